"""The judge that fits a network's output and the targets it is measured by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnconv.capture.binding import check_call
from snnconv.capture.capturing import Captured
from snnconv.capture.inference_copy import inference_copy
from snnconv.data.batches import batches, pieces
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.front import check_given
from snnconv.graph.graph import Graph, Node, refs_in
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.base import SelectionOperator
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.label_judge import LabelJudge
from snnconv.metrics.targets import alike, are_labels
from snnconv.metrics.value_judge import ValueJudge
from snnconv.spiking.decisions import decisions, first_output

#: Thresholds of labels behind functions of the output that are monotonic.
_THRESHOLDS = {"sigmoid": 0.5, "hardsigmoid": 0.5, "tanh": 0.0}


def judge_for(graph: Graph, exact: Any, targets: Tensor | None) -> TargetJudge:
    """How ``targets``, or agreement where there are none, are measured on outputs of ``graph`` such as ``exact``.

    Integers of the shape of the output without its axis 1 are class indices; 0 and 1 for every number of the output are
    labels; other real numbers are values. An output of whole numbers holds decisions. Raises ``InputError`` where
    several of these may be meant.
    """
    scores = first_output(exact)
    if not scores.is_floating_point():
        return ClassJudge()
    several = scores.dim() >= 2 and scores.shape[1] >= 2
    if targets is None:
        return ClassJudge() if several else ValueJudge()
    real = targets.is_floating_point()
    fits = alike(targets.shape, scores.shape)
    if fits and (not real or are_labels(targets)):
        if several and bool(((targets == 1).sum(1) == 1).all()):
            raise InputError(
                "data: every sample has exactly one target that is 1: for decisions between classes give class "
                "indices, targets.argmax(1); for labels by themselves say judge=snnconv.LabelJudge(threshold)"
            )
        return LabelJudge(_threshold(graph))
    return ValueJudge() if real or not several else ClassJudge()


def check_judge(judge: object) -> None:
    """Raise ``ConfigurationError`` unless ``judge`` is none, or one that compares with targets."""
    if isinstance(judge, type):
        raise ConfigurationError(f"judge is the class {judge.__name__}: give one that is made, {judge.__name__}()")
    if judge is not None and not isinstance(judge, TargetJudge):
        raise ConfigurationError(
            f"{type(judge).__name__} does not compare with targets: it needs the method tally "
            "(snnconv.metrics.judge.TargetJudge); detections are measured by snnconv.detection.evaluate"
        )


def check_targets(
    model: nn.Module, captured: Captured, data: Any, judge: TargetJudge | None, ignore_index: int
) -> None:
    """Raise what measuring the first samples of ``data`` by ``judge`` would raise; ``captured`` is the ``model``.

    ``ConfigurationError`` for a judge that does not compare with targets, ``InputError`` for data that do not fit.
    """
    check_judge(judge)
    graph, like = captured.graph, captured.example[0]
    inputs, targets = next(pieces(*next(batches(data, "data")), graph.batch_axis))
    check_given(graph, inputs, like.dtype, like.device, "data")
    check_call(model, inputs, "data")
    with torch.no_grad():
        exact = inference_copy(model)(*inputs)
    (judge or judge_for(graph, exact, targets)).tally(decisions, ignore_index).batch(exact, targets)


def _threshold(graph: Graph) -> float:
    """The number above which a label is 1: it depends on the last function of the network."""
    node: Node | None = graph.nodes.get(next(refs_in(graph.output)))
    while node is not None and isinstance(OPERATORS[node.op], SelectionOperator):
        node = graph.nodes.get(next(node.refs()))
    if node is None:
        return 0.0
    if node.op in _THRESHOLDS:
        return _THRESHOLDS[node.op]
    analysis = analysis_of(graph)
    if node.name in analysis.readout or not _is_logit(graph, node.name):
        raise InputError(
            f"data: targets are 0 and 1, and the output is made by {node.op}, so that it does not say above which "
            "number a label is 1: judge=snnconv.LabelJudge(threshold), or judge=snnconv.ValueJudge() for values"
        )
    return 0.0


def _is_logit(graph: Graph, name: str) -> bool:
    """Whether ``name`` is a weighted sum, an activation that only cuts what is negative, or made of such by sums."""
    node, analysis = graph.nodes.get(name), analysis_of(graph)
    if node is None or not graph.parameters.isdisjoint(node.refs()):
        return True
    population = analysis.populations.get(name)
    if population is not None:
        return population.activation(node.arguments).bound is None
    return all(_is_logit(graph, source) for source in node.refs() if source in analysis.signals)
