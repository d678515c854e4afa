"""Checks of a captured graph by running it: that it is the model, and that its affine regions are affine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snnconv.capture.inference_copy import inference_copy
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.data.shapes import BATCH
from snnconv.errors import ModelError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.front import entered
from snnconv.graph.graph import Graph, Node, refs_in
from snnconv.graph.interpreter import Environment, Handler, Program, evaluate_graph
from snnconv.graph.operators import OPERATORS, Operator
from snnconv.graph.operators.bilinear import operands
from snnconv.graph.operators.shape import View
from snnconv.graph.output_types import typed

#: Relative error that rounding may cause in single precision through a deep network.
_CAPTURE_TOLERANCE = 1e-3
_AFFINE_TOLERANCE = 1e-9
#: Why a view into the batch axis is refused, and what to do.
_FOLDED = (
    "it folds another axis into that of the batch, so that one sample becomes several",
    "convert what stands behind it by itself, and call that on x.flatten(0, 1); or compute every step by itself: "
    "torch.stack([body(x[:, t]) for t in range(steps)], 1)",
)
_OF_REPEATED = (
    "it takes in, over axis 0, a constant that is repeated for every sample, so that its result grows with the batch",
    "leave axis 0 alone: mask.sum(1, keepdim=True), or take the mask of one sample: mask[0].sum()",
)
#: Samples in the batches of random values that regions are probed with.
_SAMPLES = 3


def check_capture(graph: Graph, model: nn.Module, example: Sequence[Tensor]) -> None:
    """Raise ``ModelError`` unless ``graph`` computes what ``model`` computes on ``example``, in real numbers."""
    with torch.no_grad():
        found, _ = evaluate_graph(graph, entered(graph, example))
        wanted = inference_copy(model)(*example)
    for mine, theirs in zip(tree_leaves(typed(found, graph.output_type)), tree_leaves(wanted), strict=True):
        if not isinstance(theirs, Tensor):
            continue
        if mine.shape != theirs.shape:
            raise ModelError(
                f"the captured graph puts out the shape {list(mine.shape)}, the model {list(theirs.shape)}; report "
                "this, with the model's code"
            )
        if not theirs.is_floating_point():
            continue
        if not bool(torch.isfinite(theirs).all()):
            raise ModelError("the model itself puts out NaN or infinite values for some sample")
        difference = float((mine - theirs).abs().max())
        if not difference <= _CAPTURE_TOLERANCE * (float(theirs.abs().max()) + 1e-12):
            raise ModelError(
                f"the captured graph differs from the model by {difference:.3g}; the model may be random or keep "
                "state between calls; make its forward pass a pure function of its inputs"
            )


def check_affine(graph: Graph, example: Sequence[Tensor]) -> None:
    """Raise ``UnsupportedModelError`` where a region between populations fails f(a + b) = f(a) + f(b) - f(0).

    Every source of events takes random values; the currents into all populations, gates, operands of products and
    outputs are compared, in double precision. Products themselves have to be linear in each operand alone.
    """
    regions = _Regions(graph, example)
    first, second = regions.draw(seed=1), regions.draw(seed=2)
    both = {name: first[name] + second[name] for name in first}
    none = {name: torch.zeros_like(first[name]) for name in first}
    values = [regions.currents(sources) for sources in (first, second, both, none)]
    problems = []
    for end in values[0]:
        of_first, of_second, of_both, of_none = (value[end] for value in values)
        error = (of_both - of_first - of_second + of_none).abs().max()
        if not bool(error <= _AFFINE_TOLERANCE * (of_both.abs().max() + of_none.abs().max() + 1.0)):
            node = graph.nodes[end[0]]
            reason = f"what leads to it is not affine (a sum is off by {float(error):.3g})"
            remedy = "report this operator combination, with the model's code"
            problems.append(Problem(node.op, node.source, reason, remedy))
    for name, operator in analysis_of(graph).products.items():
        node, slots = graph.nodes[name], operands(graph.nodes[name])
        given = [{key: value[name, key] for key in slots} for value in values]
        share = max(_error_along(operator, key, *given[:2]) for key in slots)
        if not share <= _AFFINE_TOLERANCE:
            reason = f"it is not linear in each of its factors (a sum is off by {share:.3g} of it)"
            problems.append(Problem(node.op, node.source, reason, "report this operator, with the model's code"))
    if problems:
        raise UnsupportedModelError(Preflight((), tuple(problems)))


def _error_along(operator: Operator, key: str, one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """How far f(a + c, b) is from f(a, b) + f(c, b) where a and c stand at ``key``, in units of what it is."""
    summed: Tensor = operator.evaluate({**one, key: one[key] + other[key]})
    apart: Tensor = operator.evaluate(one) + operator.evaluate({**one, key: other[key]})
    return float((summed - apart).abs().max() / (summed.abs().max() + 1.0))


def check_samples_apart(graph: Graph, example: Sequence[Tensor]) -> None:
    """Raise ``UnsupportedModelError`` where a sample's result depends on the other samples of its batch.

    The first and the last sample of a batch are kept while the others change, and the first one stands elsewhere in a
    larger batch: their activations and outputs must stay.
    """
    if graph.batch_axis is None:
        return
    double = _in_double(graph)
    analysis = analysis_of(graph)
    outputs = [name for name in refs_in(graph.output) if name in analysis.signals & graph.nodes.keys()]
    watched = {name: graph.nodes[name] for name in (*analysis.stations, *outputs)}
    constant = [node.name for node in graph.nodes.values() if node.name not in analysis.signals]

    def batch(seed: int, samples: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return tuple(
            tensor[:1].repeat(samples, *(1,) * (tensor.dim() - 1))  # a mask, which may not forbid all of a row
            if tensor.dtype is torch.bool
            else torch.randn((samples, *tensor.shape[1:]), generator=generator, dtype=torch.float64).to(example[0])
            for tensor in example
        )

    def results(inputs: Sequence[Tensor]) -> Environment:
        with torch.no_grad():
            given = [tensor if tensor.dtype is torch.bool else tensor.double() for tensor in inputs]
            return evaluate_graph(double, given, keep={*watched, *constant})[1]

    base = batch(1, _SAMPLES)
    before = results(base)
    problems: dict[str, Problem] = {}
    last, more = _SAMPLES - 1, _SAMPLES + 2
    for kept, samples, place in ((0, _SAMPLES, 0), (last, _SAMPLES, last), (0, more, last)):
        changed = batch(2, samples)
        for mine, theirs in zip(changed, base, strict=True):
            mine[place] = theirs[kept]
        after = results(changed)
        if (grown := _grown(before, after, constant)) is not None:
            node = graph.nodes[grown]
            raise UnsupportedModelError(Preflight((), (Problem(node.op, node.source, *_OF_REPEATED),)))
        for name, node in watched.items():
            one, other = before[name], after[name]
            apart = one.shape[:1] == (_SAMPLES,) and other.shape == (samples, *one.shape[1:])
            if not apart and (fold := _fold_before(graph, name)) is not None:
                problems[fold.name] = Problem(fold.op, fold.source, *_FOLDED)
            elif not apart or not torch.allclose(one[kept], other[place], rtol=1e-9, atol=1e-12, equal_nan=True):
                reason = "its result mixes the samples of a batch, depends on their number, or moves the batch axis"
                remedy = "leave axis 0 alone in all that leads to it: name the other axes"
                problems[name] = Problem(node.op, node.source, reason, remedy)
    if problems:
        raise UnsupportedModelError(Preflight((), tuple(problems.values())))


def _grown(before: Environment, after: Environment, names: Sequence[str]) -> str | None:
    """The first of ``names``, which no input leads to, that has another value in a batch of another length."""
    for name in names:
        one, other = before[name], after[name]
        dense = isinstance(one, Tensor) and one.layout is torch.strided
        if dense and one.shape == other.shape and not torch.equal(one, other):
            return name
    return None


def _fold_before(graph: Graph, name: str) -> Node | None:
    """The view behind which the first axis of ``name`` counts parts of samples, such as steps in time."""
    shapes = {node.name: node.shape for node in graph.nodes.values()}
    shapes |= {name: tuple(2 if size == BATCH else int(size) for size in shape) for name, shape in graph.inputs.items()}
    leads = {name}
    found = None
    for node in reversed([*graph.nodes.values()]):
        if node.name in leads:
            leads.update(node.refs())
            before, after = next((shapes.get(ref) for ref in node.refs()), None), node.shape
            if before and after and isinstance(OPERATORS[node.op], View) and after[0] > before[0] == 2:
                found = node if after[0] % before[0] == 0 else found
    return found


def _in_double(graph: Graph) -> Graph:
    constants = {name: t.double() if t.is_floating_point() else t for name, t in graph.constants.items()}
    return replace(graph, constants=constants)


class _Regions:
    """The affine regions of a graph in double precision, from sources of events to the next ones."""

    def __init__(self, graph: Graph, example: Sequence[Tensor]) -> None:
        analysis = analysis_of(graph)
        affine = [node for node in graph.nodes.values() if node.name not in analysis.readout]
        self.stations = [graph.nodes[name] for name in analysis.stations]
        #: The arguments at which regions end, by station.
        self.ends = {node.name: OPERATORS[node.op].ends(node) for node in self.stations}
        given = dict(zip(graph.taken, example, strict=True))
        self.shapes = {name: given[name].shape for name in graph.inputs}
        self.shapes |= {node.name: torch.Size(node.shape or ()) for node in self.stations}
        if graph.batch_axis == 0:
            self.shapes = {name: torch.Size((_SAMPLES, *shape[1:])) for name, shape in self.shapes.items()}
        self.device = example[0].device
        samples = _SAMPLES if graph.batch_axis == 0 else 1
        masks = {name: given[name][:1].repeat(samples, *(1,) * (given[name].dim() - 1)) for name in graph.masks}
        self.constants = {**_in_double(graph).constants, **masks}
        outputs = analysis.signals.intersection(refs_in(graph.output)) - analysis.readout - self.shapes.keys()
        self.outputs = sorted(outputs)
        self.program = Program(affine, keep=self.outputs)

    def draw(self, seed: int) -> dict[str, Tensor]:
        """Random values for every source of events."""
        generator = torch.Generator().manual_seed(seed)
        return {
            name: torch.randn(shape, generator=generator, dtype=torch.float64).to(self.device)
            for name, shape in self.shapes.items()
        }

    def currents(self, sources: dict[str, Tensor]) -> dict[tuple[str, str], Tensor]:
        """Currents into stations, by argument, and outputs when the sources emit these values."""
        arrived: dict[tuple[str, str], Tensor] = {}

        def station(name: str) -> Handler:
            def handle(arguments: Mapping[str, Any]) -> Tensor:
                arrived.update({(name, key): arguments[key] for key in self.ends[name]})
                return sources[name]

            return handle

        environment: Environment = {**self.constants, **sources}
        with torch.no_grad():
            self.program.run(environment, {node.name: station(node.name) for node in self.stations})
        arrived.update({(name, ""): environment[name] for name in self.outputs})
        return arrived
