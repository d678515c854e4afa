"""Operators that write over their argument, such as ``relu_``, become those that do not, where nobody could tell."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch.export import ExportedProgram
from torch.fx import Graph
from torch.fx import Node as FxNode

#: Operators that torch makes of others, and whose result is nevertheless always a tensor of its own.
_FRESH = {
    *("aten::linear", "aten::matmul", "aten::batch_norm", "aten::layer_norm", "aten::group_norm", "aten::relu6"),
    *("aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::max_pool1d", "aten::max_pool2d", "aten::max_pool3d"),
    *("aten::conv1d.padding", "aten::conv2d.padding", "aten::conv3d.padding"),
    *("aten::conv_transpose1d", "aten::conv_transpose2d.input", "aten::conv_transpose3d.input"),
}


def without_writes(program: ExportedProgram) -> ExportedProgram:
    """``program``, changed in its place: what is written over a tensor that has no other name is a tensor of its own.

    So are activations in place behind a layer, and ``x += y``: tracing them again, as torch does it, takes most of a
    capture. What writes over a view, an input or a weight, or over what a view was taken of, stays.
    """
    graph = program.graph
    found = [(node, function) for node in graph.nodes if (function := _function_of(node)) is not None]
    place = {node: number for number, node in enumerate(graph.nodes)} if found else {}
    for node, function in found:
        if _unseen(node, place):
            _replace(graph, node, function, place, program)
    if found:
        program.graph_module.recompile()
    return program


def _function_of(node: FxNode) -> torch._ops.OpOverload | None:
    """The operator with the result that ``node`` writes over its first argument; ``None`` where it is not known."""
    overload = node.target
    if not isinstance(overload, torch._ops.OpOverload) or not overload._schema.is_mutable:
        return None
    name, variant = overload._schema.name.split("::")[1], overload._overloadname
    function = getattr(getattr(torch.ops.aten, name.removesuffix("_"), None), variant, None)
    if overload.namespace != "aten" or not name.endswith("_") or function is None or function._schema.is_mutable:
        return None
    mine, theirs = ([(each.name, str(each.type)) for each in one._schema.arguments] for one in (overload, function))
    written = [each.name for each in overload._schema.arguments if each.alias_info is not None]
    fresh = len(function._schema.returns) == 1 and function._schema.returns[0].alias_info is None
    return function if fresh and mine == theirs and written == [mine[0][0]] else None


def _unseen(node: FxNode, place: dict[FxNode, int]) -> bool:
    """Whether the tensor that ``node`` writes over has no other name, and the type of its result."""
    written = node.args[0] if node.args else None
    if not isinstance(written, FxNode) or not _is_fresh(written):
        return False
    types = {each.meta["val"].dtype for each in node.all_input_nodes if isinstance(each.meta.get("val"), Tensor)}
    earlier = [user for user in written.users if place[user] < place[node]]
    return len(types) == 1 and all(_is_fresh(user) for user in earlier)


def _is_fresh(node: FxNode) -> bool:
    """Whether the result of ``node`` is a tensor of its own: no argument, and no view of one."""
    overload = node.target
    if not isinstance(overload, torch._ops.OpOverload) or overload._schema.is_mutable:
        return False
    schema = overload._schema
    if len(schema.returns) != 1 or any(each.alias_info is not None for each in (*schema.arguments, *schema.returns)):
        return False
    # Torch keeps those that it does not make of others to what their schema says; ``dropout`` may return its argument.
    made_of_others = overload.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd)
    return not made_of_others or str(overload.name()) in _FRESH  # type: ignore[no-untyped-call]


def _replace(
    graph: Graph, node: FxNode, function: torch._ops.OpOverload, place: dict[FxNode, int], program: ExportedProgram
) -> None:
    with graph.inserting_before(node):
        result = graph.call_function(function, node.args, node.kwargs)
    result.meta, place[result] = dict(node.meta), place[node]
    written = node.args[0]
    assert isinstance(written, FxNode)
    written.replace_all_uses_with(result, lambda user: place[user] > place[node])
    node.replace_all_uses_with(result)
    for old in (node, written):
        program.graph_signature.replace_all_uses(old.name, result.name)
    graph.erase_node(node)
