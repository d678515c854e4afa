"""How values become trains: the pictures of how-it-works, codes and schedules."""

from __future__ import annotations

import torch

import snnconv
from benchmarks.concepts.drawing import TEXT, TITLE, calibration, digits, membrane, panels, titled, trained, write
from coding import Burst, Code, FewSpike, OneSpike, Phase, Rate, WindowCode
from snnconv.plots import COLOURS, QUIET, raster, staircase

#: A value, in units of the scale, that codes tell apart from its neighbours differently.
SHOWN = 0.6
CODES: dict[str, Code] = {
    "rate, 16 steps": Rate(16),
    "burst, 16 steps": Burst(16, threshold=0.125),
    "phase, 8 steps": Phase(8),
    "one-spike, 12 steps, base 1.4": OneSpike(12, base=1.4),
    "few-spike, 6 steps, base 2": FewSpike(6, base=2.0, spikes=3),
}


def how_it_works() -> None:
    """One neuron in its window, and all neurons of a population beside the original's."""
    model, image = trained(), digits().test[0][:1]
    network = snnconv.convert(model, calibration())
    run = network.run(image, record=["rasters"])
    population, *_ = network.populations.values()
    code = population.code
    assert isinstance(code, WindowCode)
    figure, (left, right) = panels(2, (7.4, 2.7))
    value = 0.72
    worth = sum(membrane(left, code, value))
    titled(left, f"a neuron with the value {value:g}: its spikes say {worth:.3f}", "time step", "in units of the scale")
    left.set_xticks(range(code.steps))
    left.legend(frameon=False, fontsize=TEXT, loc="center right")
    said = run.rasters[population.name].sum(0) * population.broadcast_scale(run.rasters[population.name].dim() - 1)
    with torch.no_grad():
        exact = torch.relu(model.bn1(model.conv1(image)))
    top = float(exact.max())
    right.plot([0, top], [0, top], color=QUIET, linewidth=0.8)
    right.scatter(exact, said, s=5, alpha=0.5, color=COLOURS[0])
    titled(right, "all neurons of its layer, for one picture", "activation of the original", "what the spikes say")
    write(figure, "how-it-works")


def codes() -> None:
    """One value as the codes say it, and what each makes of other values."""
    figure, axes = panels(3, (9.0, 4.4), rows=2)
    for panel, (colour, (label, code)) in zip(axes, zip(COLOURS, CODES.items(), strict=False), strict=False):
        train = code.encode(torch.tensor([SHOWN], dtype=torch.float64))
        decoded, payloads = float(code.decode(train)[0]), train[:, 0]
        at = payloads.nonzero().flatten()
        panel.vlines(at, 0.0, payloads[at], colors=colour, linewidth=2.4)
        panel.axhline(0.0, color=QUIET, linewidth=0.8)
        panel.set(xlim=(-0.7, code.steps - 0.3), ylim=(0.0, 1.1 * max(1.0, float(payloads.max()))))
        panel.set_xticks(range(0, code.steps, 1 if code.steps < 10 else 3))
        spikes = f"{len(at)} spike{'s' if len(at) != 1 else ''}"
        titled(panel, f"{label}\n{SHOWN:g} in {spikes}: {decoded:.3f}", "time step", "payload")
    few = {label: CODES[label] for label in ("one-spike, 12 steps, base 1.4", "few-spike, 6 steps, base 2")}
    staircase(few, axes[-1])
    titled(axes[-1], "what windows make of any value", "value", "what the spikes say")
    write(figure, "codes")


def schedules() -> None:
    """The same network as a stream and as a pipeline, for the same picture."""
    image = digits().test[0][:1]
    figure, axes = panels(2, (9.0, 3.0))
    shown = {
        "stream, rate code: all layers at once": Rate(24),
        "pipeline, few-spike code: one by one": FewSpike(8),
    }
    for panel, (title, code) in zip(axes, shown.items(), strict=True):
        network = snnconv.convert(trained(), calibration(), coding=code)
        raster(network.run(image, record=["rasters"]), network=network, neurons=10, axes=panel)
        panel.tick_params(labelsize=TEXT)
        titled(panel, "", "time step")
        panel.set_title(title, size=TITLE, loc="left")
    write(figure, "schedules")
