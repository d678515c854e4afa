"""Decomposition: an operator that the vocabulary lacks is replaced by what it is made of, mostly as torch says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Set
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.export import ExportedProgram

from snnconv.capture.attention import ATTENTION
from snnconv.capture.einsum import einsum
from snnconv.capture.in_place import without_writes
from snnconv.capture.norms import NORMS
from snnconv.capture.recurrent import RECURRENT
from snnconv.capture.tracing import functional, is_functional
from snnconv.capture.writing_out import written_out
from snnconv.graph.graph import Graph
from snnconv.graph.operators import OPERATORS

#: Decompositions may call operators that are unknown themselves; so often they are asked for theirs.
_ROUNDS = 4


def decomposed(program: ExportedProgram, names: Set[str], translate: Callable[[ExportedProgram], Graph]) -> Graph:
    """The graph of ``program`` with the operators called ``names`` replaced by others, where there is a decomposition.

    A recurrent layer unrolls into its steps, an ``einsum`` into matrix products. Raises ``UnsupportedModelError`` where
    torch fails to trace the result.
    """
    kept = foreign(translate(program)) - names
    wanted, table = set(names), dict[torch._ops.OperatorBase, Callable[..., Any]]()
    for _ in range(_ROUNDS):
        found = [_decomposition(each) for each in _operators(program) if name_of(each) in wanted and each not in table]
        for entry in found:
            table |= entry
        program = without_writes(written_out(program, table))
        if not is_functional(program):
            program = functional(program)
        graph = translate(program)
        wanted = foreign(graph) - kept
        if not wanted or not any(found):
            break
    return graph


def foreign(graph: Graph) -> set[str]:
    """Names of operators that the vocabulary lacks."""
    return {node.op for node in graph.nodes.values()} - OPERATORS.keys()


def name_of(operator: torch._ops.OpOverload) -> str:
    """The name under which the vocabulary would have an operator: that of its schema, if it is torch's own."""
    space, name = operator._schema.name.split("::")
    # Arguments of prims.where have other names than those of the vocabulary.
    own = space == "aten" or (space == "prims" and name != "where")
    return name if own else operator._schema.name


def _operators(program: ExportedProgram) -> set[torch._ops.OpOverload]:
    return {node.target for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}


def _lerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """Between two tensors; torch's decomposition branches on the weight for the sake of rounding."""
    return start + weight * (end - start)


def _expand_as(values: Tensor, other: Tensor) -> Tensor:
    """A signal repeated to the size of another one, of which only the size counts."""
    return values.expand(other.shape)


def _copy(values: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """What stands in ``values`` after ``source`` was written over it, as by ``x[:, 0] = source``."""
    return source.to(values.dtype).expand(values.shape)


def _bilinear(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.Bilinear`` as a linear layer of the one input and a product with the other."""
    outputs, inner, width = weight.shape
    mixed = torch.nn.functional.linear(one, weight.transpose(1, 2).reshape(outputs * width, inner))
    products = mixed.reshape(*one.shape[:-1], outputs, width) * other.unsqueeze(-2)
    return products.sum(-1) if bias is None else products.sum(-1) + bias


#: Our own decompositions, where torch's lead out of the vocabulary.
_OWN: dict[torch._ops.OperatorBase, Callable[..., Any]] = {
    **ATTENTION,
    **NORMS,
    torch.ops.prims.where.default: torch.where,
    torch.ops.aten.lerp.Scalar: _lerp,
    torch.ops.aten.lerp.Tensor: _lerp,
    torch.ops.aten.expand_as.default: _expand_as,
    torch.ops.aten.copy.default: _copy,
    torch.ops.aten.bilinear.default: _bilinear,
    torch.ops.aten.einsum.default: einsum,
    **RECURRENT,
}


def _decomposition(operator: torch._ops.OpOverload) -> dict[torch._ops.OperatorBase, Callable[..., Any]]:
    """The entry of a table of decompositions for one operator; empty if torch has none."""
    if operator in _OWN:
        return {operator: _OWN[operator]}
    found: dict[torch._ops.OperatorBase, Callable[..., Any]] = {**get_decompositions([operator])}
    if not found and operator in _composite():
        found[operator] = _composite()[operator]
    if not found and operator._can_decompose():  # another name of an operator, as arcsin is
        found[operator] = operator.decompose
    return found


@functools.cache
def _composite() -> dict[torch._ops.OperatorBase, Callable[..., Any]]:
    """What torch itself computes by other operators, such as ``einsum``."""
    return torch.export.default_decompositions()
