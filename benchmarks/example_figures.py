"""The pictures of docs/figures.md: what ``snnconv.plots`` draws of a small network on digits."""

from __future__ import annotations

from pathlib import Path

import snnconv
from coding import FewSpike, OneSpike, Phase, Rate
from snnconv import plots
from snnconv.data import load_digits, train_digits_cnn

FILE = Path(__file__).parents[1] / "docs" / "figures.png"
#: Configurations of the Pareto front.
SWEPT = {
    **{f"rate {steps}": Rate(steps) for steps in (4, 8, 16, 32)},
    **{f"few-spike {steps}": FewSpike(steps) for steps in (3, 4, 6, 8)},
    **{f"one spike {steps}": OneSpike(steps) for steps in (4, 6, 8, 16)},
}


def run() -> None:
    """Write the pictures."""
    from matplotlib import pyplot

    digits = load_digits()
    model, calibration, test = train_digits_cnn(digits), digits.train[0][:400], digits.test
    networks = {
        name: snnconv.convert(model, calibration, coding=code)
        for name, code in {"rate": Rate(64), "few-spike": FewSpike(6), "phase": Phase(8)}.items()
    }
    found = {name: snnconv.evaluate(networks[name], test, reference=model) for name in ("rate", "few-spike")}
    rate, phase = networks["rate"], networks["phase"]
    figure, panels = pyplot.subplots(2, 4, figsize=(13.2, 5.2), layout="constrained")
    (first, second, third, fourth), (fifth, sixth, seventh, eighth) = panels
    plots.accuracy_over_steps(found, first)
    plots.energy(found, third)
    plots.verification(snnconv.verify(rate), fourth)
    plots.raster(phase.run(test[0][:1], record=["rasters"]), network=phase, axes=fifth)
    plots.membranes(rate, test[0][:1], neurons=2, axes=sixth)
    plots.intervals({name: snnconv.spike_statistics(each, test[0]) for name, each in networks.items()}, seventh)
    plots.levels({"rate": Rate(8), "phase": Phase(5), "few-spike": FewSpike(8, base=1.7, spikes=2)}, eighth)
    # Labels stand where there is room once the layout is known.
    plots.pareto(snnconv.sweep(model, calibration, test, SWEPT), axes=second)
    plots.save_figure(figure, str(FILE))
