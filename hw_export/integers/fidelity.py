"""What an exported network loses: its outputs beside those of the original, on samples that fitted nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.data.batches import Inputs, as_inputs
from snnconv.graph.output_types import typed
from snnconv.network import SpikingNetwork
from snnconv.progress import Inner, PartsDone, ProgressCallback
from snnconv.simulators import simulator_for

#: Samples that fidelity is measured on together.
_CHUNK = 64


@dataclass(frozen=True)
class Fidelity:
    """How near a network's outputs are to those of the original on ``samples`` samples.

    ``error`` is the root mean square error of all outputs, each in units of its own standard deviation; ``agreement``
    the share of equal decisions in percent, ``None`` for outputs that are no class scores.
    """

    samples: int
    error: float
    agreement: float | None

    def __str__(self) -> str:
        decided = "" if self.agreement is None else f", {self.agreement:.1f} % of decisions as the original"
        return f"output error {100 * self.error:.2f} %{decided} ({self.samples} samples)"


def fidelity(
    network: SpikingNetwork,
    original: SpikingNetwork,
    inputs: Sequence[Inputs],
    progress: ProgressCallback | None = None,
) -> Fidelity:
    """Fidelity of ``network`` to the activations of ``original``, chunk by chunk of ``inputs``."""
    pairs: list[list[tuple[Tensor, Tensor]]] = []
    samples = PartsDone(progress, "measuring fidelity", sum(len(chunk[0]) for chunk in inputs))
    for chunk in inputs:
        exact = tree_leaves(original.reference(*(tensor.to(original.like) for tensor in chunk)))
        own = network.check(tuple(tensor.to(network.like) for tensor in chunk))
        output, _ = simulator_for(network).run(own, [], samples.more)
        found = tree_leaves(typed(output, network.graph.output_type))
        pairs.append([(one.double().cpu(), two.double().cpu()) for one, two in zip(exact, found, strict=True)])
    samples.end()
    joined = [tuple(torch.cat(column) for column in zip(*each, strict=True)) for each in zip(*pairs, strict=True)]
    errors = [float((two - one).square().mean() / one.var().clamp(min=1e-30)) for one, two in joined]
    agreement = None
    if len(joined) == 1 and joined[0][0].dim() == 2 and joined[0][0].shape[1] > 1:
        decisions = [scores.argmax(1) for scores in joined[0]]
        agreement = 100.0 * float((decisions[0] == decisions[1]).double().mean())
    return Fidelity(len(joined[0][0]), (sum(errors) / len(errors)) ** 0.5, agreement)


def fidelities(
    networks: Mapping[str, SpikingNetwork],
    original: SpikingNetwork,
    samples: Tensor | Sequence[Tensor] | None,
    progress: ProgressCallback | None = None,
) -> dict[str, Fidelity]:
    """Fidelity of every one of ``networks`` by its label, on ``samples`` or on those that ``original`` held out.

    Empty where it holds none, as a network that was loaded.
    """
    chunks = chunks_of(original, samples)
    return {
        label: fidelity(one, original, chunks, None if progress is None else Inner(progress, label))
        for label, one in (networks.items() if chunks else ())
    }


def chunks_of(network: SpikingNetwork, samples: Tensor | Sequence[Tensor] | None) -> Sequence[Inputs]:
    """``samples``, checked, in parts that are computed together; those that ``network`` held out if there are none."""
    if samples is None:
        return network.held_out
    tensors = network.check(tuple(each.to(network.like) for each in as_inputs(samples, "samples")))
    starts = range(0, len(tensors[0]), _CHUNK)
    return [tuple(tensor[start : start + _CHUNK] for tensor in tensors) for start in starts]
