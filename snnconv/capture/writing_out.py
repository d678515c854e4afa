"""Writing out: single operators of a program become what they are made of, and nothing else is traced again."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._subclasses import FakeTensor
from torch.export import ExportedProgram
from torch.fx import Graph
from torch.fx import Node as FxNode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg

from snnconv.capture.exporter_noise import quiet_exporter
from snnconv.capture.inlining import inlined
from snnconv.capture.places import place_of
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.capture.tracing import first_line, with_plain_views

#: What a part has of the operation that was written: where that was.
_PLACE = ("stack_trace", "nn_module_stack")

_Table = Mapping[Any, Callable[..., Any]]


def written_out(program: ExportedProgram, table: _Table) -> ExportedProgram:
    """A copy of ``program`` with the operators in ``table`` replaced by what the functions of theirs call there.

    All others stay as they are: tracing all of a program again, as torch does it, takes most of a capture. Raises
    ``UnsupportedModelError`` where torch fails to trace such a function.
    """
    graph, signature = copy.deepcopy(program.graph), copy.deepcopy(program.graph_signature)
    for old, node in zip(program.graph.nodes, graph.nodes, strict=True):
        node.name = old.name  # copies of inputs that are called as functions of Python are have got other names
    for node in [node for node in graph.nodes if node.target in table]:
        given = node.all_input_nodes
        inner = _traced(node, given, table)
        with graph.inserting_before(node):
            result = inlined(inner, graph, given)
        replaced = {node: result} if isinstance(result, FxNode) else _by_item(node, result)
        for whole, part in replaced.items():
            signature.replace_all_uses(whole.name, part.name)
            whole.replace_all_uses_with(part)
            graph.erase_node(whole)
        if node not in replaced:
            graph.erase_node(node)
    return ExportedProgram(
        root=program.graph_module,
        graph=with_plain_views(graph),
        graph_signature=signature,
        state_dict=program.state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=program.module_call_graph,
        example_inputs=program.example_inputs,
        constants=program.constants,
        verifiers=program.verifiers,
    )


def _by_item(node: FxNode, results: Any) -> dict[FxNode, FxNode]:
    """The nodes that take a result of ``node`` out, with the one of ``results`` that each takes."""
    assert all(user.target is operator.getitem for user in node.users)
    return {user: results[user.args[1]] for user in node.users}


def _traced(node: FxNode, given: list[FxNode], table: _Table) -> Graph:
    """What ``node`` is made of, as a graph that takes what the nodes ``given`` to it are."""

    def function(*values: Any) -> Any:
        known = dict(zip(given, values, strict=True))
        args, kwargs = map_arg((node.args, node.kwargs), known.__getitem__)
        result = table[node.target](*args, **kwargs)
        return (*result,) if isinstance(result, tuple) else result

    mode = next(value.fake_mode for each in node.graph.nodes if isinstance(value := each.meta.get("val"), FakeTensor))
    try:
        with torch.no_grad(), quiet_exporter(), mode:
            traced = make_fx(function, decomposition_table={**table}, pre_dispatch=True)
            inner = traced(*(each.meta["val"] for each in given)).graph
    except Exception as error:
        reason = f"torch cannot trace what it is made of: {first_line(error)}"
        problem = Problem(str(node.target), place_of(node), reason, "compute the same by other operators")
        raise UnsupportedModelError(Preflight((), (problem,))) from error
    inner.eliminate_dead_code()
    place = {key: node.meta[key] for key in _PLACE if key in node.meta}
    for part in inner.nodes:
        part.meta = {**({"val": part.meta["val"]} if "val" in part.meta else {}), **place}
    return inner
