"""What an exported network loses: its outputs beside those of the original, on samples that fitted nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.data.batches import Inputs, as_inputs
from snnconv.graph.output_types import typed
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.simulators import simulator_for

#: Samples that run together.
_CHUNK = 64
#: The outputs of some samples: one tensor ``[N, ...]`` for each that the model returns.
Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Fidelity:
    """How near a network's outputs are to those of the original on ``samples`` samples.

    ``error`` is the root mean square error of all outputs, each in units of its own standard deviation (NaN for a
    single number); ``agreement`` the share of equal decisions in percent, ``None`` for what are no class scores.
    """

    samples: int
    error: float
    agreement: float | None

    def __str__(self) -> str:
        decided = "" if self.agreement is None else f", {self.agreement:.1f} % of decisions as the original"
        return f"output error {100 * self.error:.2f} %{decided} ({self.samples} samples)"


def fidelity(found: Outputs, exact: Outputs) -> Fidelity:
    """Fidelity of the outputs ``found`` to those of the original, ``exact``."""
    pairs = list(zip(found, exact, strict=True))
    errors = [float((one - two).square().mean() / _variance(two).clamp(min=1e-30)) for one, two in pairs]
    decided = [decisions(outputs) for outputs in (found, exact)]
    agreement = None
    if decided[0] is not None and decided[1] is not None:
        agreement = 100.0 * float((decided[0] == decided[1]).double().mean())
    return Fidelity(len(exact[0]), (sum(errors) / len(errors)) ** 0.5, agreement)


def _variance(values: Tensor) -> Tensor:
    """The variance, which a single number has not: NaN."""
    return values.var() if values.numel() > 1 else torch.full_like(values.sum(), math.nan)


def decisions(outputs: Outputs) -> Tensor | None:
    """The class of the largest score, ``[N]``; ``None`` for outputs that are no class scores."""
    if len(outputs) != 1 or outputs[0].dim() != 2 or outputs[0].shape[1] < 2:
        return None
    return outputs[0].argmax(1)


def outputs_of(network: SpikingNetwork, inputs: Sequence[Inputs], progress: ProgressCallback | None = None) -> Outputs:
    """What ``network`` yields, chunk by chunk of ``inputs``."""
    samples = PartsDone(progress, "measuring fidelity", sum(len(chunk[0]) for chunk in inputs))

    def of(chunk: Inputs) -> Any:
        own = network.check(tuple(tensor.to(network.like) for tensor in chunk))
        output, _ = simulator_for(network).run(own, [], samples.more)
        return typed(output, network.graph.output_type)

    found = _joined(of, inputs)
    samples.end()
    return found


def original_outputs(network: SpikingNetwork, inputs: Sequence[Inputs]) -> Outputs:
    """What the original of ``network`` yields, chunk by chunk of ``inputs``."""
    return _joined(lambda chunk: network.reference(*(tensor.to(network.like) for tensor in chunk)), inputs)


def chunks_of(network: SpikingNetwork, samples: Tensor | Sequence[Tensor] | None) -> Sequence[Inputs]:
    """``samples``, a batch, in chunks that run together; if not given, those that ``network`` held out."""
    if samples is None:
        return network.held_out
    tensors = network.check(tuple(each.to(network.like) for each in as_inputs(samples, "samples")))
    starts = range(0, len(tensors[0]), _CHUNK)
    return [tuple(tensor[start : start + _CHUNK] for tensor in tensors) for start in starts]


def _joined(outputs: Callable[[Inputs], Any], inputs: Sequence[Inputs]) -> Outputs:
    chunks = [[one.detach().double().cpu() for one in tree_leaves(outputs(chunk))] for chunk in inputs]
    return tuple(torch.cat(pieces) for pieces in zip(*chunks, strict=True))
