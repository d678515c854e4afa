"""Checks of a captured graph by running it: that it is the model, and that its affine regions are affine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snnconv.capture.inference_copy import inference_copy
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.data.shapes import BATCH
from snnconv.errors import ModelError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.double_precision import Doubles
from snnconv.graph.front import entered
from snnconv.graph.graph import Graph, Node, largest_map, refs_in
from snnconv.graph.interpreter import Handler, Program, evaluate_graph
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
#: Samples in the batches of random values that regions are probed with; fewer where a map is as large as that.
_SAMPLES, _LARGE_MAP = 3, 2**20


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
    problems = []
    products: dict[tuple[str, str], list[Tensor]] = {}
    for end, (of_first, of_second, of_both, of_none) in regions.currents():
        error = (of_both - of_first - of_second + of_none).abs().max()
        if not bool(error <= _AFFINE_TOLERANCE * (of_both.abs().max() + of_none.abs().max() + 1.0)):
            node = graph.nodes[end[0]]
            reason = f"what leads to it is not affine (a sum is off by {float(error):.3g})"
            remedy = "report this operator combination, with the model's code"
            problems.append(Problem(node.op, node.source, reason, remedy))
        if end[0] in analysis_of(graph).products:
            products[end] = [of_first, of_second]
    for name, operator in analysis_of(graph).products.items():
        node, slots = graph.nodes[name], operands(graph.nodes[name])
        given = [{key: products[name, key][number] for key in slots} for number in (0, 1)]
        share = max(_error_along(operator, key, *given) for key in slots)
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

    The first and the last sample of a batch stand elsewhere in a larger batch, whose other samples are others: their
    activations and outputs must stay. They are compared as they are computed, and not held.
    """
    if graph.batch_axis is None:
        return
    analysis = analysis_of(graph)
    outputs = [name for name in refs_in(graph.output) if name in analysis.signals & graph.nodes.keys()]
    watched, signals = {*analysis.stations, *outputs}, analysis.signals

    def batch(seed: int, samples: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [
            tensor[:1].repeat(samples, *(1,) * (tensor.dim() - 1))  # a mask, which may not forbid all of a row
            if tensor.dtype is torch.bool
            else torch.randn((samples, *tensor.shape[1:]), generator=generator, dtype=torch.float64)
            .to(example[0])
            .double()
            for tensor in example
        ]

    samples = _SAMPLES if largest_map(graph) < _LARGE_MAP else 2
    base, changed = batch(1, samples), batch(2, samples + 2)
    moved = {0: samples - 1, samples - 1: 0}  # where the first and the last sample stand among others
    for mine, theirs in zip(changed, base, strict=True):
        for before, after in moved.items():
            mine[after] = theirs[before]
    problems: dict[str, Problem] = {}
    program = Program([*graph.nodes.values()])
    environments = [Doubles(graph, dict(zip(graph.taken, inputs, strict=True))) for inputs in (base, changed)]
    with torch.no_grad():
        for node, _ in zip(*(program.steps(environment) for environment in environments), strict=True):
            one, other = (environment[node.name] for environment in environments)
            if node.name not in signals and _grown(one, other):
                raise UnsupportedModelError(Preflight((), (Problem(node.op, node.source, *_OF_REPEATED),)))
            if node.name not in watched:
                continue
            apart = one.shape[:1] == (samples,) and other.shape == (samples + 2, *one.shape[1:])
            if not apart and (fold := _fold_before(graph, node.name)) is not None:
                problems[fold.name] = Problem(fold.op, fold.source, *_FOLDED)
            elif not apart or not all(_alike(one[before], other[after]) for before, after in moved.items()):
                reason = "its result mixes the samples of a batch, depends on their number, or moves the batch axis"
                remedy = "leave axis 0 alone in all that leads to it: name the other axes"
                problems[node.name] = Problem(node.op, node.source, reason, remedy)
    if problems:
        raise UnsupportedModelError(Preflight((), tuple(problems.values())))


def _grown(one: Any, other: Any) -> bool:
    """Whether what no input leads to has another value in a batch of another length."""
    dense = isinstance(one, Tensor) and one.layout is torch.strided
    return dense and one.shape == other.shape and not torch.equal(one, other)


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


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)


class _Regions:
    """The affine regions of a graph in double precision, from sources of events to the next ones."""

    def __init__(self, graph: Graph, example: Sequence[Tensor]) -> None:
        analysis = analysis_of(graph)
        affine = [node for node in graph.nodes.values() if node.name not in analysis.readout]
        self.stations = {name: graph.nodes[name] for name in analysis.stations}
        #: The arguments at which regions end, by station.
        self.ends = {name: OPERATORS[node.op].ends(node) for name, node in self.stations.items()}
        given = dict(zip(graph.taken, example, strict=True))
        self.shapes = {name: given[name].shape for name in graph.inputs}
        self.shapes |= {name: torch.Size(node.shape or ()) for name, node in self.stations.items()}
        samples = 1
        if graph.batch_axis == 0:
            samples = _SAMPLES if largest_map(graph) < _LARGE_MAP else 1
            self.shapes = {name: torch.Size((samples, *shape[1:])) for name, shape in self.shapes.items()}
        self.graph, self.device = graph, example[0].device
        self.masks = {name: given[name][:1].repeat(samples, *(1,) * (given[name].dim() - 1)) for name in graph.masks}
        outputs = analysis.signals.intersection(refs_in(graph.output)) - analysis.readout - self.shapes.keys()
        self.outputs = sorted(outputs)
        self.program = Program(affine)

    def currents(self) -> Iterator[tuple[tuple[str, str], list[Tensor]]]:
        """Currents into stations, by argument, and outputs, when all sources emit a, b, a + b, and nothing.

        a and b are random values for every source of events. Nothing is held for longer than it is needed.
        """
        generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
        environments = [Doubles(self.graph, self.masks) for _ in range(4)]
        drawn: list[Tensor] = []
        arrived: dict[tuple[str, str], list[Tensor]] = {}

        def draw(name: str) -> list[Tensor]:
            shape = self.shapes[name]
            one, two = (torch.randn(shape, generator=each, dtype=torch.float64).to(self.device) for each in generators)
            return [one, two, one + two, torch.zeros_like(one)]

        def station(name: str) -> Handler:
            def handle(arguments: Mapping[str, Any]) -> Tensor:
                for key in self.ends[name]:
                    arrived.setdefault((name, key), []).append(arguments[key])
                if not drawn:
                    drawn.extend(draw(name))
                return drawn.pop(0)

            return handle

        for name in self.graph.inputs:
            for environment, values in zip(environments, draw(name), strict=True):
                environment[name] = values
        handlers = {name: station(name) for name in self.stations}
        with torch.no_grad():
            for node, *_ in zip(*(self.program.steps(each, handlers) for each in environments), strict=True):
                yield from arrived.items()
                arrived.clear()
                if node.name in self.outputs:
                    yield (node.name, ""), [environment[node.name] for environment in environments]
