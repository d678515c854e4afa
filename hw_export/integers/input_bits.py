"""How many bits an input gets: as few as keep the outputs near, since what they take is missing in weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hw_export.integers.fidelity import fidelity, outputs_of
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.simulation import integer_simulation
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback

#: The bits an input may have, and how many are tried first, or taken where nothing can be measured.
FEWEST_BITS, FIRST_BITS, MOST_BITS = 2, 8, 16
#: Samples that are measured at most, and steps of neurons that they take, unless there are only a few samples.
_MOST_SAMPLES, _MOST_STEPS, _FEWEST_SAMPLES = 64, 2**26, 8
#: An error that is as much larger is the same error; one that is as much smaller is worth a bit more.
_SAME, _WORTH_A_BIT = 1.02, 0.95


def best_bits(
    rounded: Callable[[int], IntegerNetwork],
    network: SpikingNetwork,
    samples: Sequence[Inputs],
    progress: ProgressCallback | None = None,
) -> IntegerNetwork:
    """The integer network among ``rounded(bits)`` whose outputs on ``samples`` are nearest to those of ``network``.

    From 8 bits it goes down while the error stays; if it does not stay, up while the error falls. Without samples the
    first that fits is taken, from 8 bits down. Raises ``ConfigurationError`` where none fits.
    """
    bits, best = _first_that_fits(rounded)
    if not samples:
        return best
    neurons = sum(population.neurons for population in network.populations.values())
    most = max(_FEWEST_SAMPLES, min(_MOST_SAMPLES, _MOST_STEPS // (neurons * best.steps)))
    few = [tuple(tensor[:most] for tensor in samples[0])]
    tried = PartsDone(progress, "choosing bits of inputs", None)
    expected = outputs_of(network, few)

    def error(integers: IntegerNetwork) -> float:
        found = fidelity(outputs_of(integer_simulation(integers), few), expected).error
        tried.more()
        return found

    first, least = bits, error(best)
    while bits > FEWEST_BITS:
        candidate = rounded(bits - 1)
        found = error(candidate)
        if not found <= _SAME * least:  # nor where a single number has no deviation to compare with
            break
        best, least, bits = candidate, min(least, found), bits - 1
    while bits == first == FIRST_BITS or first < bits < MOST_BITS:
        try:
            candidate = rounded(bits + 1)
        except ConfigurationError:
            break
        found = error(candidate)
        if not found <= _WORTH_A_BIT * least:
            break
        best, least, bits = candidate, found, bits + 1
    tried.end()
    return best


def _first_that_fits(rounded: Callable[[int], IntegerNetwork]) -> tuple[int, IntegerNetwork]:
    for bits in range(FIRST_BITS, FEWEST_BITS, -1):
        try:
            return bits, rounded(bits)
        except ConfigurationError:
            continue
    return FEWEST_BITS, rounded(FEWEST_BITS)
