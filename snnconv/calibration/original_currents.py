"""What the original's populations receive on the samples on which the biases of networks are corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from coding import Code
from snnconv.data.batches import Inputs
from snnconv.graph.graph import Graph, Node
from snnconv.graph.interpreter import Environment, Handler, Program
from snnconv.graph.operators import ActivationFunction
from snnconv.graph.operators.activation import activation_at
from snnconv.spiking.input_range import InputRange

#: Samples that means are taken over (their error is then far below that of a spike), and activations held at once.
_MOST_SAMPLES, _MOST_ACTIVATIONS = 128, 2**27
#: Chunks of 32 samples that hold as many.
MOST_CHUNKS = 4
#: Currents that are kept from one network to the next.
_MOST_KEPT = 2**25


class OriginalCurrents:
    """Currents of ``activations`` in the original ``graph``, node by node, on as many of ``chunks`` as memory allows.

    The first network that is corrected has them computed beside its own, and none is held for longer than it needs it.
    From the second on they are computed once and kept, where they are few enough.
    """

    def __init__(self, graph: Graph, activations: Mapping[str, ActivationFunction], chunks: Sequence[Inputs]) -> None:
        self.graph, self._activations = graph, activations
        batched = graph.batch_axis == 0
        neurons = sum(torch.Size(_shape(graph.nodes[node])[1 if batched else 0 :]).numel() for node in activations)
        self.samples: Inputs = chunks[0]
        if batched and len(chunks) > 1:
            most = min(_MOST_SAMPLES, max(1, _MOST_ACTIVATIONS // neurons))
            self.samples = tuple(torch.cat(column)[:most] for column in zip(*chunks, strict=True))
        self._few = neurons * (len(self.samples[0]) if batched else 1) <= _MOST_KEPT
        self._found: dict[str, Tensor] = {}
        self._networks, self._keeps, self._complete = 0, False, False

    def environment(self) -> Environment:
        """The constants of the graph, and the samples as it takes them."""
        return {**self.graph.constants, **dict(zip(self.graph.taken, self.samples, strict=True))}

    def run(self) -> Iterator[Node]:
        """The nodes in order, for one more network; behind each its current may be taken."""
        self._networks += 1
        if self._complete:
            yield from self.graph.nodes.values()
            return
        self._keeps = self._few and self._networks > 1
        self._found.clear()  # of a run that was not ended
        program = Program([*self.graph.nodes.values()])
        yield from program.steps(self.environment(), {node: self._listen(node) for node in self._activations})
        self._complete = self._keeps

    def take(self, node: str) -> Tensor:
        """The current that ``node`` received in this run; to be taken once, and never changed."""
        return self._found[node] if self._keeps else self._found.pop(node)

    def _listen(self, node: str) -> Handler:
        operator, activation = activation_at(self.graph.nodes[node]), self._activations[node]

        def keep(arguments: Mapping[str, Any]) -> Tensor:
            self._found[node] = operator.current(arguments)
            return activation(self._found[node])

        return keep


def presented(inputs: Inputs, code: Code | None, ranges: Sequence[InputRange]) -> Inputs:
    """What the windows of a spiking input in ``code`` make of ``inputs``, masks last; without one the same."""
    if code is None:
        return inputs
    found = (
        seen.restore(code.quantize(seen.normalize(values), counted=False).values)
        for values, seen in zip(inputs, ranges, strict=False)
    )
    return (*found, *inputs[len(ranges) :])


def _shape(node: Node) -> tuple[int, ...]:
    assert node.shape is not None
    return node.shape
