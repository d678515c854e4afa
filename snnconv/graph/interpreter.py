"""Straight-line execution of graph nodes, each value freed after its last use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import torch
from torch import Tensor

from snnconv.data.shapes import BATCH, Shape, concrete
from snnconv.graph.graph import Argument, Graph, Node, Ref, map_refs, refs_in
from snnconv.graph.operators import OPERATORS, Operator, carried
from snnconv.graph.operators.base import Arguments, Carries

#: Values of inputs, constants and nodes by name.
Environment = dict[str, Any]
#: What to do instead of evaluating a node: its arguments (values) -> its result.
Handler = Callable[[Mapping[str, Any]], Any]


class Program:
    """A sequence of nodes prepared for repeated execution.

    ``keep`` names the results that stay in the environment; every other result is dropped after its last use. Values
    that were in the environment before are never dropped. Given ``signals``, affine operators are evaluated without
    what they add to these.
    """

    def __init__(self, nodes: Sequence[Node], keep: Iterable[str] = (), signals: Set[str] | None = None) -> None:
        kept = set(keep)
        last_use: dict[str, int] = {node.name: position for position, node in enumerate(nodes)}
        for position, node in enumerate(nodes):
            for name in node.refs():
                if name in last_use:
                    last_use[name] = position
        self.nodes = tuple(nodes)
        self._steps = []
        for position, node in enumerate(nodes):
            drop = tuple(name for name, last in last_use.items() if last == position and name not in kept)
            open_arguments = [(key, value) for key, value in node.arguments.items() if any(refs_in(value))]
            # Operators may read their arguments by position: those to fill in keep their place.
            fixed = {**node.arguments, **{key: None for key, _ in open_arguments}}
            evaluate = OPERATORS[node.op].evaluate if signals is None else _homogeneous(node, signals)
            self._steps.append((node, evaluate, fixed, open_arguments, drop))

    def calls(self, environment: Environment) -> Iterator[tuple[Node, Handler, Callable[[], dict[str, Any]]]]:
        """Every node with its function and its arguments from ``environment``; nothing is evaluated or dropped."""
        for node, evaluate, fixed, open_arguments, _ in self._steps:

            def arguments(fixed: Any = fixed, open_arguments: Any = open_arguments) -> dict[str, Any]:
                return {**fixed, **{key: resolve(value, environment) for key, value in open_arguments}}

            yield node, evaluate, arguments

    def run(self, environment: Environment, handlers: Mapping[str, Handler] | None = None) -> None:
        """Evaluate the nodes into ``environment``; nodes named in ``handlers`` are given to their handler."""
        for _ in self.steps(environment, handlers):
            pass

    def steps(self, environment: Environment, handlers: Mapping[str, Handler] | None = None) -> Iterator[Node]:
        """The same node by node: each is yielded with its result in ``environment``, before anything is dropped."""
        handlers = handlers or {}
        for node, evaluate, fixed, open_arguments, drop in self._steps:
            arguments = dict(fixed)
            for key, value in open_arguments:
                arguments[key] = environment[value.name] if type(value) is Ref else resolve(value, environment)
            environment[node.name] = handlers.get(node.name, evaluate)(arguments)
            arguments.clear()
            yield node
            for name in drop:
                del environment[name]


def _homogeneous(node: Node, signals: Set[str]) -> Handler:
    return functools.partial(_without_offset, OPERATORS[node.op], carried(node, signals))


def _without_offset(operator: Operator, carries: Carries, arguments: Arguments) -> Any:
    return operator.evaluate(operator.homogeneous(arguments, carries))


def resolve(argument: Argument, environment: Environment) -> Any:
    """The argument with every reference replaced by its value."""
    return map_refs(argument, lambda ref: environment[ref.name])


def evaluate_graph(
    graph: Graph, inputs: Sequence[Tensor], keep: Iterable[str] = (), handlers: Mapping[str, Handler] | None = None
) -> tuple[Any, Environment]:
    """Output of the whole graph for ``inputs``, masks last, and the environment with the results named in ``keep``."""
    kept = {*keep, *refs_in(graph.output)}
    environment: Environment = {**graph.constants, **dict(zip(graph.taken, inputs, strict=True))}
    Program(list(graph.nodes.values()), kept).run(environment, handlers)
    return resolve(graph.output, environment), environment


def zero_inputs(
    graph: Graph,
    dtype: torch.dtype,
    device: torch.device | str | None = None,
    shapes: Mapping[str, Shape] | None = None,
    samples: int = 1,
) -> tuple[Tensor, ...]:
    """Inputs of zeros, of ``shapes`` if they are given, and masks that forbid nothing, for so many ``samples``."""
    given = {**graph.taken, **(shapes or {})}
    return tuple(
        torch.zeros(
            concrete(given[name], {BATCH: samples}), dtype=torch.bool if name in graph.masks else dtype, device=device
        )
        for name in graph.taken
    )


def laid_out(tensor: Tensor) -> Tensor:
    """Images and kernels with channels last, the layout in which convolutions run fastest; others contiguous."""
    if tensor.layout is not torch.strided:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor.contiguous()
