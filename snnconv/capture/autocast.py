"""Blocks of a model under autocast: where it is switched off they are what they hold, else they are refused."""

from __future__ import annotations

import operator

from torch.export import ExportedProgram
from torch.fx import GraphModule
from torch.fx import Node as FxNode

from snnconv.capture.inlining import inlined
from snnconv.capture.places import place_of
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError

_REASON = "it computes in another precision than the weights have"
_REMEDY = "leave torch.autocast out of forward, and put it around the call of the model instead"


def without_disabled_autocast(program: ExportedProgram) -> ExportedProgram:
    """``program``, changed in its place: blocks under ``torch.autocast(enabled=False)`` are the operations in them.

    No autocast surrounds a captured model, so that such a block changes nothing.
    """
    graph = program.graph
    found = [node for node in graph.nodes if _is_block(node) and not _enabled(node)]
    for block in found:
        with graph.inserting_before(block):
            results = inlined(_inside(program, block).graph, graph, block.args[5:])
        for user in [*block.users]:
            assert user.target is operator.getitem
            user.replace_all_uses_with(results[user.args[1]])
            graph.erase_node(user)
        graph.erase_node(block)
    if found:
        program.graph_module.recompile()
    return program


def check_autocast(program: ExportedProgram) -> None:
    """Raise ``UnsupportedModelError`` where the program enters autocast: its own casts would lose their places."""
    problems = []
    for node in program.graph.nodes:
        if _is_block(node):
            places = [place_of(operation) for operation in (node, *_inside(program, node).graph.nodes)]
            source = next((place for place in places if place.file), places[0])
            problems.append(Problem("autocast", source, _REASON, _REMEDY))
    if problems:
        raise UnsupportedModelError(Preflight((), tuple(problems)))


def _is_block(node: FxNode) -> bool:
    return getattr(node.target, "__name__", "") == "wrap_with_autocast"


def _enabled(node: FxNode) -> bool:
    return bool(node.args[2])


def _inside(program: ExportedProgram, block: FxNode) -> GraphModule:
    inner: GraphModule = getattr(program.graph_module, block.args[4].target)  # type: ignore[union-attr, arg-type]
    return inner
