"""Constants: operations that no input reaches are carried out once, by torch itself, while a program is translated."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node as FxNode
from torch.fx.node import map_arg

from snnconv.capture.tracing import SIZE_ARITHMETIC
from snnconv.graph.graph import Argument, Ref, map_refs, refs_in
from snnconv.graph.operators.roles import is_random


class Constants:
    """The tensors of a graph that depend neither on an input nor on the size of a batch, by name.

    ``parameters`` are the names of those that a training of the original would change.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.parameters: set[str] = set()

    def add(self, name: str, tensor: Tensor, parameter: bool = False) -> Ref:
        """A reference to ``tensor``, kept under ``name``."""
        self.tensors[name] = tensor
        if parameter:
            self.parameters.add(name)
        return Ref(name)

    def suffice(self, node: FxNode, values: Mapping[str, Argument]) -> bool:
        """Whether a call takes nothing but constants and always has the same result.

        ``values`` are what the nodes of the program became.
        """
        if isinstance(node.target, torch._ops.OpOverload):
            if _draws(node.target, node):
                return False
        elif node.target not in SIZE_ARITHMETIC and node.target is not operator.getitem:
            return False
        needed = (values[argument.name] for argument in node.all_input_nodes)
        return all(name in self.tensors for value in needed for name in refs_in(value))

    def compute(self, node: FxNode, values: Mapping[str, Argument]) -> Argument:
        """The result of a call that constants suffice for: references to new constants, or plain numbers."""

        def value(argument: FxNode) -> Any:
            return map_refs(values[argument.name], lambda ref: self.tensors[ref.name])

        assert callable(node.target)
        with torch.no_grad():
            result = node.target(*map_arg(node.args, value), **map_arg(node.kwargs, value))
        needed = {name for argument in node.all_input_nodes for name in refs_in(values[argument.name])}
        return self._kept(node.name, result, {self.tensors[name].dtype for name in needed & self.parameters})

    def _kept(self, name: str, result: Any, trained: set[torch.dtype]) -> Argument:
        if isinstance(result, Tensor):
            # What has another type than the parameters, such as a mask of them, is nothing that training changes.
            return self.add(name, result, parameter=result.dtype in trained)
        if isinstance(result, Sequence) and not isinstance(result, str):
            return [self._kept(f"{name}[{place}]", item, trained) for place, item in enumerate(result)]
        return result


def _draws(overload: torch._ops.OpOverload, node: FxNode) -> bool:
    """Whether a call has another result each time."""
    names = (argument.name for argument in overload._schema.arguments)
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return is_random(overload._schema.name.rpartition("::")[2], given)  # decompositions draw by prims::normal
