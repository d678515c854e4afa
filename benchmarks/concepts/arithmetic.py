"""What is neither an affine map nor a ReLU: the pictures of max pooling, products, ratios and tables."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import snnconv
from benchmarks.concepts.drawing import TEXT, filled, membrane, panels, titled, write
from coding import FewSpike, OneSpike, Rate
from snnconv.plots import COLOURS, QUIET


def max_pooling() -> None:
    """In a stream the growth of the largest sum passes; in a pipeline the train that fires first where two differ."""
    figure, (sums, passed, trains) = panels(3, (9.0, 2.7))
    rate = Rate(16)
    candidates = {"candidate 0.4": 0.4, "candidate 0.7": 0.7}
    spikes = []
    for value, late in zip(candidates.values(), (0, 4), strict=True):
        drive = torch.zeros(rate.steps, dtype=torch.float64)
        drive[late:] = value * rate.steps / (rate.steps - late)  # the larger one arrives later
        potential, train = rate.initial_potential, []
        for current in drive:
            potential += float(current)
            train.append(float(min(potential >= 1.0, 1.0)))
            potential -= train[-1]
        spikes.append(np.array(train))
    arrived = np.cumsum(spikes, axis=1)
    largest = arrived.max(0)
    for number, label in enumerate(candidates):
        sums.step(range(rate.steps), arrived[number], where="post", color=COLOURS[number], linewidth=1.2, label=label)
    sums.step(range(rate.steps), largest, where="post", color="black", linewidth=2.6, alpha=0.35, label="largest")
    for panel in (sums, passed):
        panel.set_xticks(range(0, rate.steps, 5))
    sums.legend(frameon=False, fontsize=TEXT, loc="upper left")
    titled(sums, "stream: what has arrived", "time step", "sum of payloads")
    growth = np.diff(largest, prepend=0.0)
    for row, (label, train) in enumerate({"0.4": spikes[0], "0.7": spikes[1], "passed": growth}.items()):
        at = np.nonzero(train)[0]
        passed.vlines(at, row - 0.35, row + 0.35, colors="black" if label == "passed" else COLOURS[row], linewidth=1.8)
    passed.set_yticks(range(3), ["0.4", "0.7", "passed"])
    passed.set(ylim=(2.6, -0.6), xlim=(-1, rate.steps))
    titled(passed, f"its growth passes: {growth.sum():.0f} in all, the maximum", "time step")
    window = OneSpike(10, base=1.4)
    for row, value in enumerate((0.42, 0.25, 0.7)):
        first = int(window.encode(torch.tensor([value], dtype=torch.float64))[:, 0].nonzero()[0])
        trains.vlines(first, row - 0.35, row + 0.35, colors=COLOURS[1] if value == 0.7 else QUIET, linewidth=2.6)
    trains.set_yticks(range(3), ["0.42", "0.25", "0.7"])
    trains.set(ylim=(2.6, -0.6), xlim=(-1, window.steps))
    titled(trains, "pipeline: the first to fire is the largest", "time step")
    write(figure, "max-pooling")


def products() -> None:
    """A product grows by what each spike meets: strips of a rectangle."""
    figure, (left, right) = panels(2, (7.4, 3.0))
    one, other = np.array([0.5, 0.0, 0.25, 0.125]), np.array([0.0, 0.5, 0.25, 0.0])
    total, parts = 0.0, []
    for step in range(len(one)):
        before, now = (one[:step].sum(), other[:step].sum()), (one[: step + 1].sum(), other[: step + 1].sum())
        for corner, width, height in (
            ((before[0], 0.0), one[step], before[1]),  # f(a[t], B[t-1])
            ((0.0, before[1]), now[0], other[step]),  # f(A[t], b[t])
        ):
            if width * height == 0.0:
                continue
            filled(left, corner, (width, height), COLOURS[step], "white")
            left.text(
                corner[0] + width / 2,
                corner[1] + height / 2,
                f"t = {step}",
                size=TEXT,
                color="white",
                ha="center",
                va="center",
            )
            total += width * height
        parts.append(total)
    left.set(xlim=(0, 0.92), ylim=(0, 0.8), xticks=np.unique(np.cumsum(one)), yticks=np.unique(np.cumsum(other)))
    titled(left, f"the area A · B = {one.sum():g} · {other.sum():g} = {total:g}", "A[t], what has arrived", "B[t]")
    right.step(range(len(parts)), parts, where="post", color="black", linewidth=1.4)
    right.axhline(one.sum() * other.sum(), color=QUIET, linewidth=0.8, linestyle="--")
    for row, (label, train) in enumerate({"spikes of A": one, "spikes of B": other}.items()):
        at = np.nonzero(train)[0]
        right.vlines(at, -0.19 + 0.09 * row - train[at] / 8, -0.19 + 0.09 * row, colors=COLOURS[row], linewidth=3.0)
        right.text(3.15, -0.22 + 0.09 * row, label, size=TEXT, color=COLOURS[row], va="center")
    right.set(xticks=range(4), xlim=(-0.3, 4.4), ylim=(-0.3, 0.75))
    titled(right, "what has been passed on, step by step", "time step", "f(A[t], B[t])")
    write(figure, "products")


def ratios() -> None:
    """Thresholds and what spikes take off are multiplied by the divisor."""
    code = FewSpike(6, base=2.0, spikes=3)
    figure, axes = panels(3, (9.0, 2.6))
    for panel, divisor in zip(axes, (1.0, 0.5, 2.0), strict=True):
        worth = sum(membrane(panel, code, 0.6 / divisor))
        low, high = panel.get_ylim()
        panel.set_ylim(low, high)
        ticks = [0.0, 0.5, 1.0] if divisor >= 1.0 else [0.0, 0.5, 1.0, 1.5]
        panel.set_yticks(ticks, [f"{tick * divisor:g}" for tick in ticks])
        titled(panel, f"V = 0.6, Z = {divisor:g}: V / Z is {worth:.3f}", "time step", "V")
    axes[-1].legend(frameon=False, fontsize=TEXT, loc="upper right", bbox_to_anchor=(1.0, 0.9))
    write(figure, "ratios")


def tables() -> None:
    """What a population that looks SiLU up says, with one spike and with two, and where calibration put its cells."""
    generator = torch.Generator().manual_seed(0)
    currents = 2.0 * torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    model = nn.Sequential(_identity(), nn.SiLU(), _identity()).eval()
    grid = torch.linspace(-6.0, 6.0, 4001, dtype=torch.float64)[:, None]
    figure, axes = panels(3, (9.0, 2.8))
    with torch.no_grad():
        exact = model(grid)
    for panel, (title, code) in zip(axes, {"one spike": OneSpike(10), "two spikes": FewSpike(5)}.items(), strict=False):
        network = snnconv.convert(model, currents, coding=code, bias_correction=False)
        steps = next(iter(network.populations.values())).code.steps
        panel.plot(grid[:, 0], exact[:, 0], color=QUIET, linewidth=1.0, label="SiLU")
        panel.plot(grid[:, 0], network(grid)[:, 0], color=COLOURS[0], linewidth=1.4, label="what spikes say")
        titled(panel, f"{title}, {steps} steps", "current", "value")
        panel.legend(frameon=False, fontsize=TEXT, loc="upper left")
    axes[2].hist(currents[:, 0].numpy(), bins=60, color=QUIET, alpha=0.5)
    titled(axes[2], "currents on calibration data", "current", "samples")
    axes[2].set_xlim(-6, 6)
    write(figure, "tables")


def _identity() -> nn.Linear:
    """A layer of one neuron that passes its value on."""
    layer = nn.Linear(1, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.0)
    return layer
