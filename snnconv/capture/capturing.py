"""One way in: a PyTorch model becomes a graph in normal form, checked, with the report on its operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconv.capture.analog_names import may_stay_real_valued
from snnconv.capture.checks import check_affine, check_capture, check_samples_apart
from snnconv.capture.front_of import front_shaped
from snnconv.capture.model_kinds import plain_model
from snnconv.capture.normal_form import normal_form
from snnconv.capture.places import place_of_error
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.capture.roles_report import inspect
from snnconv.capture.stations import functions_as_stations
from snnconv.capture.tracing import first_line, runnable
from snnconv.capture.translation import capture
from snnconv.data.batches import Inputs
from snnconv.data.shapes import BATCH
from snnconv.errors import SnnconvError
from snnconv.graph.graph import Graph, largest_map
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.multiplications import multiplications
from snnconv.surroundings import kept_random_numbers

#: Samples of the example on which graph and model are compared, and values of their largest map.
_COMPARED, _MOST_VALUES = 32, 2**24


@dataclass(frozen=True)
class Captured:
    """A model as a graph in normal form, and the report on the operations that it was written with.

    The shapes that nodes record are those of their results for ``example``: two samples, where the batch is free. It is
    what the graph takes, and so what its front makes of the samples of the user.
    """

    graph: Graph
    report: Preflight
    example: Inputs

    @property
    def output(self) -> Any:
        """The output for ``example``."""
        with torch.no_grad():
            return evaluate_graph(self.graph, self.example)[0]


def captured(
    model: nn.Module | ExportedProgram,
    example: Sequence[Tensor],
    what: str = "example",
    constants: Mapping[str, Tensor] | None = None,
    analog: Sequence[str] = (),
    targets: Tensor | None = None,
) -> Captured:
    """``model`` at inference as a checked graph in normal form, for inputs like ``example``.

    A batch may have any size; other axes have that of the example, even where the model leaves them free.

    The graph computes what the model computes on the example, is affine between populations, and keeps samples apart.
    Only copies of the model run (``inference_copy``), in one thread at a time. Arguments of forward that ``constants``
    names become constants of the graph; ``example``, which errors call ``what``, holds the others. ``analog`` names
    what may stay real-valued. ``targets`` that came with the example are refused where forward would take them as an
    input.

    Raises ``UnsupportedModelError`` with the report on the model where it cannot be converted, ``ModelError`` for
    weights that cannot be used and a model that computes something else at every call, ``InputError`` for an example
    and ``ConfigurationError`` for constants that do not fit and for names in ``analog`` that allow nothing.
    """
    try:
        with kept_random_numbers():  # a model that draws random numbers draws others without us
            return _captured(plain_model(model), tuple(example), what, constants, analog, targets)
    except SnnconvError:
        raise
    except Exception as error:
        reason = f"it cannot be followed: {type(error).__name__}: {first_line(error)}"
        remedy = "report this, with the model's code; until then leave out what the place, if there is one, names"
        problem = Problem("model", place_of_error(error), reason, remedy)
        raise UnsupportedModelError(Preflight((), (problem,))) from error


def _captured(
    model: nn.Module | ExportedProgram,
    example: Inputs,
    what: str,
    constants: Mapping[str, Tensor] | None,
    analog: Sequence[str],
    targets: Tensor | None,
) -> Captured:
    graph = capture(model, example, what, constants, targets)
    graph = functions_as_stations(graph, may_stay_real_valued(graph, analog))
    report = inspect(graph, analog)
    if not report.ok:
        raise UnsupportedModelError(report)
    compared = pair = example
    if graph.batch_axis == 0:
        pair = tuple(torch.cat([tensor[:1], tensor[:1]]) for tensor in example)
        samples = min(len(tensor) for tensor in example)
        samples = min(samples, _COMPARED, max(2, _MOST_VALUES // largest_map(graph)))
        compared = tuple(tensor[:samples] for tensor in example) if samples > 1 else pair
    check_capture(graph, runnable(model, constants), compared)
    if graph.front is not None:
        graph = replace(graph, front=_sized(graph.front, pair))
        graph, pair = front_shaped(graph, pair, compared)
    one = pair if graph.batch_axis is None else tuple(tensor[:1] for tensor in pair)
    shapes = {name: tuple(tensor.shape) for name, tensor in zip(graph.taken, one, strict=True)}
    report = replace(report, macs=multiplications(graph, shapes))
    graph = normal_form(_sized(graph, pair), pair)
    try:
        check_samples_apart(graph, pair)
        check_affine(graph, pair)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(Preflight(report.lines, error.preflight.problems)) from error
    return Captured(graph, report, pair)


def _sized(graph: Graph, example: Inputs) -> Graph:
    """``graph`` for inputs of the sizes of ``example``: populations have as many neurons as it gives them."""
    shapes = zip(graph.inputs.items(), example, strict=False)
    return replace(
        graph,
        inputs={
            name: tuple(size if size == BATCH else found for size, found in zip(shape, tensor.shape, strict=True))
            for (name, shape), tensor in shapes
        },
    )
