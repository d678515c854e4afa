"""What was rewritten on the way to an integer network, as reports of exports say it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hw_export.integers.network import IntegerNetwork, largest_weight
from hw_export.integers.parallel import merged
from neurons.integer_rules import StreamRule
from snnconv.graph.analysis import analysis_of
from snnconv.graph.real_valued import analog_text, readout_text, share_text

#: Weights that stay below this part of the largest that there is have two bits less, and are worth a note.
_FEW = 1 / 4


def rewritten(integers: IntegerNetwork) -> list[str]:
    """What was rewritten, reduced or left to the host, and why, a sentence each."""
    found = [
        "what lies between two populations (batch norms, average pooling, sums, scales) became one kernel or matrix",
        f"weights have at most {_bits_text(integers)}, and a step of their own in every {integers.per}",
        *(
            f"{name} is rounded to integers of {taken.bits} bits, from {taken.smallest} to {taken.largest}, each "
            f"{taken.step:.6g}; what lies beyond the range that calibration saw is clipped"
            for name, taken in integers.inputs.items()
        ),
    ]
    graph = integers.network.complete_graph()
    if readout := readout_text(graph):
        found.append(f"the host computes what follows the sums that it reads, in real numbers: {readout}")
    if analysis_of(graph).analog_operations:
        synapses = integers.network.synapses
        share = share_text(synapses.analog_macs, synapses.macs)
        found.append(f"{share}, on the host, and are in no figure of the machine: {analog_text(graph)}")
    for each in merged(integers.connections):
        largest = int(np.abs(each.map.weights.astype(np.int64)).max(initial=0))
        if 0 < largest < _FEW * largest_weight(integers.weight_bits[each.target]):
            source, target = (integers.explicit.name(node) for node in (each.source, each.target))
            found.append(
                f"from {source} to {target}: weights up to {largest} only, because the membrane could overflow, "
                "thresholds would be too large, or other sources need a larger step; fewer input_bits or steps may "
                "leave more"
            )
    pairs = Counter((each.source, each.target) for each in integers.connections)
    if max(pairs.values(), default=1) > 1:
        ends = [[integers.explicit.name(node) for node in pair] for pair, count in pairs.items() if count > 1]
        several = [f"from {source} to {target}" for source, target in ends]
        found.append(
            f"weights {', '.join(several)} are held in up to {max(pairs.values())} synapses in parallel, which leaves "
            "more bits to the others of their targets"
        )
    if any(isinstance(each.rule, StreamRule) and each.rule.reset == "zero" for each in integers.populations.values()):
        found.append(
            "neurons are reset to zero, which drops what exceeds their thresholds: a rate is one over a whole number "
            "of steps, or 0, and more steps do not bring back what that loses"
        )
    saturated = sum(population.saturated for population in integers.populations.values())
    if saturated:
        found.append(f"{saturated} weights are too large for their bits, given the thresholds, and were clipped")
    return found


def _bits_text(integers: IntegerNetwork) -> str:
    bits = integers.weight_bits
    if len({*bits.values()}) == 1:
        return f"{next(iter(bits.values()))} bits"
    return ", ".join(f"{each} bits for {integers.explicit.name(node)}" for node, each in bits.items())
