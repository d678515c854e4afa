"""quantize(): a network in integers, with as many bits for payloads and weights as membranes of 24 bits allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import get_args

import torch

from hw_export.explicit.network import ExplicitNetwork, explicit
from hw_export.integers.input_bits import FEWEST_BITS, MOST_BITS, best_bits
from hw_export.integers.mean_errors import corrected
from hw_export.integers.network import FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS, IntegerNetwork, Per
from hw_export.integers.ranges import NeuronLimits
from hw_export.integers.rounding import rounded
from neurons.table_lookup import Tables
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.surroundings import own_surroundings

#: The least share of its scale to which that of a population with tables is brought down: an integer stands for it.
_LEAST_RESCALING = 2.0**-8


@own_surroundings()
def quantize(
    network: SpikingNetwork,
    *,
    per: Per = "channel",
    input_bits: int | None = None,
    weight_bits: int | Mapping[str, int] = MOST_WEIGHT_BITS,
    samples: Sequence[Inputs] | None = None,
    limits: NeuronLimits | None = None,
    progress: ProgressCallback | None = None,
) -> IntegerNetwork:
    """``network`` with integers: a step for the weights of every output channel, or of every population.

    ``input_bits`` are those of an input, 2 to 16, its sign included where calibration saw both. If not given, they are
    those with which the outputs are nearest to the network's on ``samples``, chunks of a batch, or on the calibration
    samples held out; a network that was loaded has none, and gets 8, or fewer where 8 do not fit. Weights have
    ``weight_bits``, 2 to 8 with their sign: those that a population or an output receives as many as a mapping gives
    its name, or "*" for the rest, and 8 where it gives neither. The payloads of window codes get as many bits as
    membranes of 24 bits allow, in the worst case of what could arrive; where that is not enough, weights get fewer.
    Narrower ``limits`` are kept by all populations that weights of at least 4 bits allow to. Biases of a pipeline take
    back what all of this adds to currents on average, on the samples held out, or on ``samples`` where there are none.
    Raises ``ConfigurationError`` for what integers cannot represent, and where a membrane could still overflow.
    """
    check_per(per)
    if input_bits is not None:
        check_input_bits(input_bits)
    found = written_out(network, progress)
    widths = weight_bits_of(found, weight_bits)

    def of(bits: int) -> IntegerNetwork:
        return rounded(found, per, bits, limits or NeuronLimits(), widths)

    seen = network.held_out if samples is None else samples
    integers = best_bits(of, network, seen, progress) if input_bits is None else of(input_bits)
    return corrected(integers, network.held_out or seen)


def check_input_bits(bits: int) -> None:
    """Raise ``ConfigurationError`` unless an input can have so many ``bits``."""
    if not (isinstance(bits, Integral) and FEWEST_BITS <= bits <= MOST_BITS):
        raise ConfigurationError(f"input_bits must lie between {FEWEST_BITS} and {MOST_BITS}, whole, got {bits!r}")


def weight_bits_of(found: ExplicitNetwork, chosen: int | Mapping[str, int]) -> dict[str, int]:
    """The bits of the weights that each population and output of ``found`` receives, by node.

    A name that a population and an output share stands for both, "*" for all that are not named. Raises
    ``ConfigurationError`` for bits that there are not, and for names that no population or output has.
    """
    names = {node: found.name(node) for node in (*found.populations, *found.outputs)}
    if not isinstance(chosen, Mapping):
        check_weight_bits(chosen)
        return dict.fromkeys(names, chosen)
    known = [*dict.fromkeys(names.values())]
    for name, bits in chosen.items():
        if name not in ("*", *known):
            raise ConfigurationError(
                f"weight_bits: {name!r} is no population and no output; there are {', '.join(known)}"
            )
        check_weight_bits(bits)
    rest = chosen.get("*", MOST_WEIGHT_BITS)
    return {node: chosen.get(name, rest) for node, name in names.items()}


def check_weight_bits(bits: int) -> None:
    """Raise ``ConfigurationError`` unless weights can have so many ``bits``."""
    if not (isinstance(bits, Integral) and FEWEST_WEIGHT_BITS <= bits <= MOST_WEIGHT_BITS):
        raise ConfigurationError(
            f"weight_bits must lie between {FEWEST_WEIGHT_BITS} and {MOST_WEIGHT_BITS}, whole, got {bits!r}"
        )


def check_per(per: str) -> None:
    """Raise ``ConfigurationError`` unless weights can share a step ``per`` that."""
    if per not in get_args(Per):
        raise ConfigurationError(f"per must be one of {', '.join(get_args(Per))}, got {per!r}")


def written_out(network: SpikingNetwork, progress: ProgressCallback | None = None) -> ExplicitNetwork:
    """The explicit form of ``network`` for ``rounded``; raises ``ConfigurationError`` for what integers have not."""
    if network.batch_axis is None:
        raise ConfigurationError(
            "a network that takes one sample per call, such as a graph network, cannot be exported yet"
        )
    if network.period != 1:
        raise ConfigurationError(f"a stream that presents a value over {network.period} steps cannot be exported")
    found = explicit(_with_full_payloads(network), progress)
    for name in found.outputs:
        if not found.currents[name].shape:
            raise ConfigurationError(f"output {name} has no axis beside that of the batch: leave the squeeze out")
        if name not in network.graph.nodes or name in network.populations:
            raise ConfigurationError(
                f"output {name.removesuffix(' decoded')} is the spikes of a population and cannot be exported; let the "
                "network end in a layer without an activation"
            )
    for node, population in found.populations.items():
        if not found.currents[node].shape:
            raise ConfigurationError(
                f"{population.name} has no axis beside that of the batch: keep it where the model sums, keepdim=True"
            )
    return found


def _with_full_payloads(network: SpikingNetwork) -> SpikingNetwork:
    """``network`` where the largest value of each table is 1, so that all channels have the payloads there are.

    The scale of a population with tables changes no spike. It is the larger of currents and values, and values may be
    much the smaller, as those of a sigmoid are; a payload counts a part of the scale.
    """
    rescaled = {}
    for node, population in network.populations.items():
        if population.tables is None:
            continue
        tables = Tables(*population.tables)
        levels = population.code.steps - tables.payloads.shape[1]
        ends = torch.stack([tables.payloads, tables.payloads + levels * tables.slopes])
        share = ends.abs().amax((0, 2)).clamp(min=_LEAST_RESCALING)
        parts = share[:, None]
        changed = Tables(*(row * parts if name == "rates" else row / parts for name, row in tables._asdict().items()))
        rescaled[node] = replace(population, scale=population.scale * share, tables=torch.stack([*changed]))
    return network.with_(populations={**network.populations, **rescaled}) if rescaled else network
