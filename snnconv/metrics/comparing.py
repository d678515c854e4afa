"""What ranks compare before they share a measurement: the network, the original, the settings, and how many samples."""

from __future__ import annotations

from typing import Any

from torch import nn

from snnconv.data.batches import number_of_samples
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.ranks import Ranks
from snnconv.storage.digests import graph_digest, weights_digest
from snnconv.storage.manifest import tensors_of
from snnconv.storage.signed import signature


def check_ranks(ranks: Ranks, workers: object, executor: object) -> None:
    """Raise ``ConfigurationError`` where several ``ranks`` share work that is to be done elsewhere, too."""
    if ranks.size > 1 and not (workers is None and executor is None):
        raise ConfigurationError(
            "ranks share the work themselves: leave workers and executor out, or start one process"
        )


def compare_ranks(ranks: Ranks, network: SpikingNetwork, reference: nn.Module | None, data: Any, settings: str) -> None:
    """Raise ``RankError``, with rank and name, unless all ``ranks`` are to measure the same.

    What the samples are is compared as they are read.
    """
    if ranks.size == 1:
        return
    codes = "; ".join(f"{each.name} {each.code} {each.neuron}" for each in network.populations.values())
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(network).items()}
    facts = {
        "network": f"{graph_digest(network.complete_graph())} {signature(f'{network.plan} {codes}', tensors)}",
        "reference": "none" if reference is None else weights_digest(reference),
        "settings": settings,
        "number of samples": str(number_of_samples(data, network.batch_axis)),
    }
    ranks.agree("networks, settings or data", facts)
