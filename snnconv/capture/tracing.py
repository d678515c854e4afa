"""Tracing: a copy of a model as its author wrote it becomes an exported program."""

from __future__ import annotations

import logging
import operator
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.fx import Graph
from torch.fx import Node as FxNode

from snnconv.capture.batch_loops import check_no_loop
from snnconv.capture.binding import Bound, bound, call_arguments
from snnconv.capture.exporter_noise import quiet_exporter
from snnconv.capture.places import place_of_error
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.graph.sparse import is_sparse

_logger = logging.getLogger(__name__)

#: Plain functions that an exported program calls: arithmetic of sizes by the names of its operators.
SIZE_ARITHMETIC: dict[Any, str] = {
    operator.add: "size_add",
    operator.sub: "size_sub",
    operator.mul: "size_mul",
    operator.floordiv: "size_floordiv",
    operator.mod: "size_mod",
    operator.neg: "size_neg",
    operator.truediv: "size_truediv",
    operator.pow: "size_pow",
    torch.sym_float: "size_float",
    torch.sym_min: "size_min",
    torch.sym_max: "size_max",
}


def runnable(model: nn.Module | ExportedProgram, constants: Mapping[str, Tensor] | None = None) -> nn.Module:
    """The module that computes what ``model`` computes, given the arguments of forward that ``constants`` names."""
    return bound(model if isinstance(model, nn.Module) else model.module(), constants)


def first_line(error: BaseException | None) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def export(model: nn.Module, example: Sequence[Tensor]) -> tuple[ExportedProgram, int | None]:
    """The exported program of a model in eval mode, and its batch axis: 0, or ``None`` where the model fixes it."""
    doubled = tuple(torch.cat([value[:1], value[:1]]) for value in example)
    try:
        with torch.no_grad():
            model(*doubled)  # tracing would not notice that an index of nodes does not fit into the batch
        return _run_export(model, doubled, free=True), 0
    except Exception as error:
        if _depends_on_data(error):
            raise _refusal(error) from error
        # What fails with a free batch axis may tie its size to something else, as a graph network does.
        reason, fixed = first_line(error), "specialized" in str(error)
    if fixed:
        pair: ExportedProgram | None = None
        with suppress(Exception):  # what the exporter says on the example itself counts
            pair = _run_export(model, doubled, free=False)
        if pair is not None:
            check_no_loop(pair, model, doubled)
    try:
        program = _run_export(model, tuple(example), free=False)
    except Exception as error:
        raise _refusal(error) from error
    shapes_seen = [list(tensor.shape) for tensor in example]
    _logger.warning(
        "the model fixes its first axis (%s): one call is one sample of shape %s; if that axis is to count samples, "
        "read its length from x.shape[0], not from len(x), write no number in its place, and give recurrent layers "
        "batch_first=True",
        reason,
        shapes_seen,
    )
    return program, None


def _run_export(model: nn.Module, example: tuple[Tensor, ...], free: bool) -> ExportedProgram:
    """The exported program; where the batch is ``free``, that of any length."""
    with torch.no_grad(), quiet_exporter():
        inner, placed, named = call_arguments(model, example)
        shapes = _free_batch(model, [*placed, *named.values()]) if free else None
        return torch.export.export(inner, placed, named, dynamic_shapes=shapes, strict=False)


def _free_batch(model: nn.Module, arguments: Sequence[Any]) -> Any:
    """Inputs, and constants that are repeated for every sample, by tensor: they may stand in any order."""
    shapes, batch = ShapesCollection(), Dim("batch")  # type: ignore[no-untyped-call]
    constants = [*model.constants.values()] if isinstance(model, Bound) else []
    for value in arguments:
        if not any(value is each for each in constants):
            shapes[value] = {0: batch}
    return shapes


def functional(program: ExportedProgram) -> ExportedProgram:
    """The program without operations that change tensors in place; views may become plainer ones."""
    try:
        with torch.no_grad(), quiet_exporter():
            result: ExportedProgram = program.run_decompositions({})
    except Exception as error:
        remedy = "if it computes on a sparse tensor, do that outside the model and leave products with it inside"
        problem = Problem("export", place_of_error(error), f"torch.export fails: {first_line(error)}", remedy)
        raise UnsupportedModelError(Preflight((), (problem,))) from error
    with_plain_views(result.graph)
    return result


def with_plain_views(graph: Graph) -> Graph:
    """``graph``, changed in its place, with views of tensors of any layout: what replaces attention has another one."""
    for node in graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    return graph


def is_functional(program: ExportedProgram) -> bool:
    """Whether it calls only operators that change nothing and make dense tensors, and no function of its own.

    Most programs are from the start, and tracing them again takes most of a capture.
    """
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op != "placeholder" and isinstance(value, Tensor) and is_sparse(value):
            return False
        if isinstance(node.target, torch._ops.OpOverload):
            if node.target._schema.is_mutable or _keeps_statistics(node):
                return False
        elif node.op not in ("placeholder", "output") and node.target not in {*SIZE_ARITHMETIC, operator.getitem}:
            return False
    return True


def _keeps_statistics(node: FxNode) -> bool:
    """Whether it normalises by statistics of the batch, and so changes running ones though its schema names none."""
    schema = node.target._schema  # type: ignore[union-attr]
    given = dict(zip((argument.name for argument in schema.arguments), node.args, strict=False)) | node.kwargs
    return bool(given.get("training") or given.get("use_input_stats"))


def _depends_on_data(error: Exception) -> bool:
    text = str(error)
    return "data-dependent" in text or "DataDependent" in type(error).__name__ or ".item()" in text


def _on_data(error: Exception) -> tuple[str, str]:
    """What depends on values that tracing does not look at, and what to do about it."""
    text = str(error)
    if "Size-like symbols: u" in text:  # a number that nonzero made
        return (
            "a size depends on how many elements a mask picks, which tracing does not look up, though it be a constant",
            "pick by positions: register_buffer('kept', mask.nonzero().flatten()) in __init__, and x[:, self.kept] in "
            "place of x[:, mask]",
        )
    if "extract specialized integer" in text:
        frames = traceback.extract_tb(error.__traceback__)
        pooling = any("torch_geometric" in frame.filename for frame in frames)
        return (
            "it reads a number out of a tensor, as int() and item() do, which tracing does not know",
            "give the pooling the number of graphs, size=: global_mean_pool(x, batch, size=...)"
            if pooling
            else "take numbers of constants in __init__, and keep those of the input in tensors",
        )
    reason = "control flow depends on the values of the input"
    return reason, (
        "compute both branches and choose with torch.where, or decide outside the model; of a loop that writes a text, "
        "convert the step, which scores all positions, and write the loop around snnconv.Decoder"
    )


def _refusal(error: Exception) -> UnsupportedModelError:
    if _depends_on_data(error):
        reason, remedy = _on_data(error)
    elif "in output, which is not a known type" in str(error):
        kind = str(error).partition("<class '")[2].partition("'")[0].rpartition(".")[2]
        reason = f"it returns a {kind}, in which torch.export cannot find the tensors"
        remedy = (
            "call it without the cache of keys and values, model.config.use_cache = False; "
            "snnconv.Decoder runs the network one token after the other"
            if kind.endswith("Cache")
            else "return a tuple or a dict of tensors; a dataclass is made known by "
            f"torch.export.register_dataclass({kind})"
        )
    else:
        reason = f"torch.export cannot trace it: {first_line(error)}"
        remedy = "make torch.export.export(model, example) succeed, or pass the ExportedProgram itself"
    return UnsupportedModelError(Preflight((), (Problem("export", place_of_error(error), reason, remedy),)))
