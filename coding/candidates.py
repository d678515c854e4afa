"""The codes that are chosen from where none is asked for, or the cheapest."""

from __future__ import annotations

from coding.neural_code import Code
from coding.rate import Rate
from coding.window.few_spike import FewSpike
from coding.window.one_spike import OneSpike
from coding.window.phase import Phase
from coding.window.table_spike import TableSpike

#: From one spike to as many as there are steps, from few steps to many; what is free in them is fitted to every
#: population. The finest change one decision in a thousand where a hundred classes are close to each other.
CANDIDATES: tuple[Code, ...] = (
    *(TableSpike(steps) for steps in (4, 6, 8, 10, 12, 16, 24, 32, 48)),
    *(FewSpike(steps, spikes=2) for steps in (3, 4, 5, 6, 8)),
    *(FewSpike(steps, spikes=3) for steps in (5, 6, 8, 10, 12, 16)),
    *(FewSpike(steps, spikes=4) for steps in (10, 12)),
    FewSpike(12, spikes=6),
    *(Phase(steps) for steps in (6, 8, 10, 12, 14)),
    *(Rate(steps) for steps in (8, 32, 128)),
)

#: What a network without wishes chooses from for every population, by how much its errors move the output.
DEFAULTS: tuple[Code, ...] = (OneSpike(24), FewSpike(8, spikes=3), FewSpike(12, spikes=4))
