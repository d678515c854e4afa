"""The codes that a search under a budget chooses from."""

from __future__ import annotations

from coding.neural_code import Code
from coding.window.few_spike import FewSpike
from coding.window.table_spike import TableSpike

#: From one spike to several, from few steps to many; what is free in them is fitted to every population.
CANDIDATES: tuple[Code, ...] = (
    *(TableSpike(steps) for steps in (4, 6, 8, 10, 12, 16, 24, 32, 48)),
    *(FewSpike(steps, spikes=2) for steps in (3, 4, 5, 6, 8)),
    *(FewSpike(steps, spikes=3) for steps in (5, 6, 8, 10, 12, 16)),
    FewSpike(10, spikes=4),
)
