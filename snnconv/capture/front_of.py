"""The front of a captured graph: what makes real numbers of whole ones is a graph of its own, before all spikes."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

import torch
from torch import Tensor

from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.capture.sample_masks import masks_of_samples, only_whole
from snnconv.data.batches import Inputs
from snnconv.data.shapes import BATCH, Shape
from snnconv.graph.analysis import analysis_of
from snnconv.graph.front import entered
from snnconv.graph.graph import SHAPE_ONLY, Graph, Node, Ref, Source, refs_in
from snnconv.graph.operators import OPERATORS, Role

_NOT_REAL = "it takes whole numbers, or a mask, that nothing in front of the network makes real"
_EARLIER = "look whole numbers up, mask and count in front of all weights; return what depends on them alone outside"
_MIXED = (
    "what it makes of the whole numbers of a sample depends on other samples, or does not keep the batch on axis 0",
    "leave axis 0 alone, and put it first where numbers are looked up: embedding(ids).transpose(0, 1)",
)


def with_front(graph: Graph, example: Sequence[Tensor]) -> Graph:
    """``graph``, where inputs are whole numbers, as the graph behind its front, whose inputs are all real numbers.

    The front holds what is computed from whole numbers alone, what joins that to real inputs and to what was looked up
    (masks, counts), as long as no weights stand between, and what leads to these. What forbids pairs of a softmax is no
    input but a mask (see ``masks_of_samples``, for ``example``). Shapes of the new inputs are not known yet (see
    ``front_shaped``).
    """
    graph, forbidding, filled = masks_of_samples(graph, example)
    if not graph.whole:
        return graph
    inside = _inside(graph, filled)
    signals, nodes = graph.signals(), graph.nodes.values()
    outside = {node.name: node for node in nodes if node.name not in inside}
    used = {name for node in outside.values() if node.op not in SHAPE_ONLY for name in node.refs()}
    used.update(refs_in(graph.output))
    given = [name for name in (*graph.inputs, *graph.nodes) if name in used & signals and name not in outside]
    if not given:
        reason, remedy = "it computes nothing with real numbers", "convert a model whose weights follow an embedding"
        raise UnsupportedModelError(Preflight((), (Problem("model", Source(), reason, remedy),)))
    given = [*(name for name in given if name not in forbidding), *(name for name in given if name in forbidding)]
    masks = [name for name in given if name in forbidding]
    within = {node.name: node for node in nodes if node.name in inside or node.name not in signals}
    front = replace(graph, nodes=within, output=[Ref(name) for name in given], output_type=None).without_dead_nodes()
    hidden = {*graph.inputs, *inside} - {*given}

    def visible(node: Node) -> Node:
        """``node``, reading the length of the batch off what the network behind the front takes."""
        if node.op not in SHAPE_ONLY or hidden.isdisjoint(node.refs()):
            return node
        of_first = node.mapped(lambda ref: Ref(given[0]) if ref.name in hidden else ref)
        return replace(of_first, arguments={**of_first.arguments, "dim": 0}) if node.op == "sym_size" else of_first

    behind = {name: visible(node) for name, node in outside.items()}
    inputs: dict[str, Shape] = dict.fromkeys(given[: len(given) - len(masks)], ())
    found = replace(graph, inputs=inputs, nodes=behind, whole={}, front=front, masks=dict.fromkeys(masks, ()))
    return found.without_dead_nodes()


def front_shaped(graph: Graph, example: Sequence[Tensor], samples: Sequence[Tensor]) -> tuple[Graph, Inputs]:
    """``graph`` with the shapes of what its front gives for ``example``, and these tensors.

    Raises ``UnsupportedModelError`` where that are no real numbers, and where it mixes the ``samples`` of a batch or
    their axis.
    """
    assert graph.front is not None
    front = _in_precision(graph.front, graph, example)
    graph = replace(graph, front=front)
    made = entered(graph, example)
    for name, tensor in zip(graph.inputs, made, strict=False):
        user = next((node for node in graph.nodes.values() if name in node.refs()), Node("output", "output", {}))
        if not tensor.is_floating_point():
            raise UnsupportedModelError(Preflight((), (Problem(user.op, user.source, _NOT_REAL, _EARLIER),)))
    if graph.batch_axis == 0:
        count = min(len(tensor) for tensor in samples)
        whole = entered(graph, samples)
        for place in (0, count - 1):
            alone = entered(graph, [tensor[place : place + 1] for tensor in samples])
            for name, one, all_ in zip(graph.taken, alone, whole, strict=True):
                if all_.shape != (count, *one.shape[1:]) or not torch.allclose(all_[place : place + 1], one):
                    node = front.nodes.get(name, Node(name, name, {}))
                    raise UnsupportedModelError(Preflight((), (Problem(node.op, node.source, *_MIXED),)))
    free = (BATCH,) if graph.batch_axis == 0 else ()
    shapes = {name: (*free, *tensor.shape[len(free) :]) for name, tensor in zip(graph.taken, made, strict=True)}
    masks = {name: shapes.pop(name) for name in graph.masks}
    return replace(graph, inputs=shapes, masks=masks), made


def _in_precision(front: Graph, graph: Graph, example: Sequence[Tensor]) -> Graph:
    """``front`` where it makes the inputs of ``graph`` in the precision of the network, whatever that is.

    ``torch.where(mask, 0.0, 2.0)`` is in single precision whatever the model is in.
    """
    doubled = {name: value.double() if value.is_floating_point() else value for name, value in front.constants.items()}
    given = [tensor.double() if tensor.is_floating_point() else tensor for tensor in example]
    made = entered(replace(graph, front=replace(front, constants=doubled)), given)
    floating = [tensor for tensor in (*graph.constants.values(), *example) if tensor.is_floating_point()]
    output, constants, nodes = [*refs_in(front.output)], dict(front.constants), dict(front.nodes)
    for place, tensor in enumerate(made[: len(graph.inputs)]):
        if tensor.dtype != torch.float32 or not floating:
            continue
        before, one = output[place], f"{output[place]}_one"
        output[place] = typed = f"{before}_typed"
        constants[one] = floating[0].new_ones(1)  # one of no axes would leave the precision as it is
        factors = {"self": Ref(before), "other": Ref(one)}
        nodes[typed] = replace(nodes[before], name=typed, op="mul", arguments=factors)
    return replace(front, constants=constants, nodes=nodes, output=[Ref(name) for name in output])


def _inside(graph: Graph, filled: Set[str]) -> set[str]:
    """Names of the nodes in front, none of which has its pairs ``filled``."""
    analysis = analysis_of(graph)
    whole, may_be, joining = only_whole(graph), set(graph.inputs), set[str]()
    for node in graph.nodes.values():
        arriving = [name for name in node.refs() if name in analysis.signals]
        known = OPERATORS.get(node.op)
        weighted = known is not None and known.weighted
        if node.name not in analysis.signals or weighted or node.name in filled or not may_be.issuperset(arriving):
            continue
        if node.name in whole:
            pass
        elif not whole.isdisjoint(arriving):
            joining.add(node.name)
        elif analysis.role(node.name) not in (Role.LINEAR, Role.SELECTION):
            continue
        may_be.add(node.name)
    found = {name for name in whole | joining if name in graph.nodes}
    for node in reversed([*graph.nodes.values()]):
        if node.name in found:
            found.update(name for name in node.refs() if name in analysis.signals and name in graph.nodes)
    return found
