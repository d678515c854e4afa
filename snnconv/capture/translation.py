"""Capture: a PyTorch model as its author wrote it becomes a graph of named operators, through ``torch.export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconv.capture.autocast import check_autocast, without_disabled_autocast
from snnconv.capture.batch_axis import batch_first
from snnconv.capture.decomposition import decomposed, foreign
from snnconv.capture.front_of import with_front
from snnconv.capture.in_place import without_writes
from snnconv.capture.inference_copy import inference_copy
from snnconv.capture.intake import check_inputs, check_pair, check_weights
from snnconv.capture.model_kinds import plain_model
from snnconv.capture.problems import UnsupportedModelError
from snnconv.capture.roles_report import inspect
from snnconv.capture.stations import functions_as_stations
from snnconv.capture.tracing import (
    export,
    functional,
    is_functional,
    runnable,
)
from snnconv.capture.translator import Translator
from snnconv.graph.graph import Graph


def capture(
    model: nn.Module | ExportedProgram,
    example: Sequence[Tensor],
    what: str = "example",
    constants: Mapping[str, Tensor] | None = None,
    targets: Tensor | None = None,
) -> Graph:
    """The graph of ``model`` at inference, for inputs like ``example`` (a batch of any size).

    A copy of the model is exported in eval mode. The batch axis is dynamic; where the model ties its
    size to something else, the graph is static and takes inputs shaped as ``example``. Arguments of forward that
    ``constants`` names become constants of the graph; ``example`` holds the others. ``targets`` that came with the
    example are refused where forward would take them as an input.

    Raises ``ModelError`` for weights that cannot be used, ``ConfigurationError`` for constants that do not fit,
    ``InputError`` if the model itself does not run on the example (which errors call ``what``),
    ``UnsupportedModelError`` for modules without PyTorch code, for control flow that depends on data and for whatever
    else cannot be exported.
    """
    model = plain_model(model)
    module = runnable(model, constants)
    constants = constants or {}
    check_weights(model, constants)
    check_inputs(module, example, what)
    check_pair(module, example, targets, what)
    if isinstance(model, ExportedProgram):
        return with_front(_to_graph(model, _program_batch_axis(model, constants), constants, example), example)
    program, batch_axis = export(inference_copy(module), example)
    return with_front(
        _to_graph(without_writes(without_disabled_autocast(program)), batch_axis, constants, example), example
    )


def _program_batch_axis(program: ExportedProgram, constants: Mapping[str, Tensor]) -> int | None:
    users = set(program.graph_signature.user_inputs) - constants.keys()
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in users]
    return 0 if values and all(isinstance(value.shape[0], torch.SymInt) for value in values) else None


def _to_graph(
    program: ExportedProgram, batch_axis: int | None, bound: Mapping[str, Tensor], example: Sequence[Tensor]
) -> Graph:
    check_autocast(program)
    if not is_functional(program):
        program = functional(program)

    def translate(program: ExportedProgram) -> Graph:
        return batch_first(Translator(program, batch_axis, bound).translate())

    graph = translate(program)
    unknown = foreign(graph)
    if not unknown:
        return graph
    try:
        written = decomposed(program, unknown, translate)
    except UnsupportedModelError:
        return graph
    # What is refused even so stays what the user wrote.
    places = {problem.source for problem in inspect(functions_as_stations(with_front(written, example))).problems}
    kept = {node.op for node in graph.nodes.values() if node.op in unknown and node.source in places}
    if not kept:
        return written
    return graph if kept == unknown else decomposed(program, unknown - kept, translate)
