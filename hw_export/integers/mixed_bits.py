"""Mixed bits: which weights get how many, so that outputs move least for so many bits in all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from hw_export.explicit.network import ExplicitNetwork
from hw_export.integers.fidelity import Outputs, fidelity
from hw_export.integers.network import IntegerNetwork
from snnconv.errors import ConfigurationError
from snnconv.tuning.allocation import least_cost

#: By population or output, by name: how far outputs move with so many bits for the weights that it receives.
Sensitivities = Mapping[str, Mapping[int, float]]


def weights_of(found: ExplicitNetwork) -> dict[str, int]:
    """How many weights each population and output receives, by name, a kernel once; those of a shared name together."""
    counts: dict[str, int] = {}
    for node in (*found.populations, *found.outputs):
        name = found.name(node)
        counts[name] = counts.get(name, 0) + sum(int(each.map.weights.size) for each in found.into(node))
    return counts


def sensitivities(
    targets: Sequence[str],
    bits: Sequence[int],
    integers_of: Callable[[Mapping[str, int]], IntegerNetwork],
    outputs_of: Callable[[IntegerNetwork], Outputs],
    done: Callable[[], object],
) -> Sensitivities:
    """Mean squared errors of the outputs where one of ``targets`` has fewer than the most ``bits``, and all others not.

    They are beside the outputs with the most bits, in units of their variances; infinite where there are no such
    integers. ``done`` is called for each that is measured.
    """
    most = max(bits)
    exact = outputs_of(integers_of(dict.fromkeys(targets, most)))
    found: dict[str, dict[int, float]] = {}
    for target in targets:
        found[target] = {most: 0.0}
        for few in sorted({*bits} - {most}):
            try:
                integers = integers_of(dict.fromkeys(targets, most) | {target: few})
            except ConfigurationError:
                found[target][few] = math.inf
            else:
                found[target][few] = fidelity(outputs_of(integers), exact).error ** 2
            done()
    return found


def mixed_bits(sensitivity: Sensitivities, weights: Mapping[str, int], mean: int) -> dict[str, int]:
    """Bits by name, ``mean`` of them at most in the mean over all ``weights``, with the least sum of ``sensitivity``.

    ``mean`` is one of the bits of each. Errors of different targets are taken to add up.
    """
    parts = [
        {bits: (bits * weights[name], error) for bits, error in errors.items()} for name, errors in sensitivity.items()
    ]
    everywhere = [mean] * len(parts)  # it may take all of the budget, of which ``least_cost`` leaves some
    found = [least_cost(parts, mean * sum(weights.values())), everywhere]
    sums = [sum(part[bits][1] for part, bits in zip(parts, chosen, strict=True)) for chosen in found]
    return dict(zip(sensitivity, found[sums.index(min(sums))], strict=True))
