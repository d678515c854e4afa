"""What networks cost, keep and look at: the pictures of energy, measures, attention, gradients and crossbars."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import snnconv
from benchmarks.concepts.drawing import TEXT, calibration, digits, panels, titled, trained, write
from coding import FewSpike, Phase, Rate, Thermometer
from snnconv import plots
from snnconv.plots import COLOURS, QUIET

#: Noise of a read, and how often it is drawn.
NOISES, SEEDS = (0.0, 0.1, 0.2, 0.4, 0.6), 3


def energy() -> None:
    """The same evaluations under both models."""
    networks = {"rate, 64 steps": Rate(64), "few-spike": FewSpike(6)}
    found = {
        label: snnconv.evaluate(
            snnconv.convert(trained(), calibration(), coding=code), digits().test, reference=trained()
        )
        for label, code in networks.items()
    }
    figure, axes = panels(2, (9.0, 2.1))
    for panel, model in zip(axes, ("E2", "E3"), strict=True):
        plots.energy(found, panel, model=model)
    write(figure, "energy")


def measures() -> None:
    """Errors of populations, and accuracy over the steps of a stream beside a pipeline."""
    stream = snnconv.convert(trained(), calibration(), coding=Rate(48))
    pipeline = snnconv.convert(trained(), calibration(), coding=FewSpike(6))
    figure, (left, right) = panels(2, (9.0, 2.8))
    plots.accuracy_over_steps(
        {
            name: snnconv.evaluate(network, digits().test, reference=trained())
            for name, network in {"rate": stream, "few-spike": pipeline}.items()
        },
        left,
    )
    plots.verification(snnconv.verify(stream, digits().test[0]), right)
    write(figure, "measures")


class RowTransformer(nn.Module):
    """The eight rows of a digit as eight tokens, and attention between them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.positions = nn.Linear(8, 16), nn.Parameter(0.1 * torch.randn(8, 16))
        layer = nn.TransformerEncoderLayer(16, 1, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores ``[N, 10]``."""
        scores: Tensor = self.head(self.encoder(self.embed(images.squeeze(1)) + self.positions).mean(1))
        return scores


def attention() -> None:
    """Where spikes look, and where the original does."""
    torch.manual_seed(0)
    model = RowTransformer()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    images, labels = digits().train
    for _ in range(30):
        for batch in torch.split(torch.randperm(len(labels)), 128):
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(model(images[batch]), labels[batch]))
            optimizer.step()
    model.eval()
    network = snnconv.convert(model, calibration())
    shown = digits().test[0][:1]
    figure, axes = panels(3, (9.0, 2.7))
    axes[0].imshow(shown[0, 0], cmap="gray_r")
    axes[0].set(xticks=[], yticks=range(8))
    titled(axes[0], "a digit; each row is a token", up="token")
    plots.attention(network, shown, axes=axes[1])
    plots.attention(network, shown, axes=axes[2], original=True)
    for panel, title in zip(axes[1:], ("decoded from spikes", "of the original"), strict=True):
        titled(panel, title, "key (token)", "query (token)")
    write(figure, "attention")


def gradients() -> None:
    """What a window makes of a value, and what stands in for its derivative."""
    code = FewSpike(3, base=2.0, spikes=2)
    values = torch.linspace(-0.5, 1.8, 1201, dtype=torch.float64)
    said = code.quantize(values).values
    inside = (values < code.maximum).double()
    slope = (values > 0).double() * inside
    moved = torch.where(said > 0, said / values.clamp(min=1e-9), torch.zeros_like(said)) * inside
    rules: dict[str, Tensor] = {
        "activation": slope,
        "timing": moved,
        "antlr": torch.where(said > 0, moved, slope),
    }
    figure, (left, *others) = panels(4, (9.6, 2.3))
    left.plot(values, said, color="black", linewidth=1.4)
    left.plot(values, values.clamp(min=0.0), color=QUIET, linewidth=0.8, linestyle="--")
    titled(left, "q(v), three steps", "v", "what the spikes say")
    for panel, (colour, (rule, derivative)) in zip(others, zip(COLOURS, rules.items(), strict=False), strict=True):
        panel.plot(values, derivative, color=colour, linewidth=1.4)
        panel.set_ylim(-0.1, 2.1)
        titled(panel, f'dq/dv, rule "{rule}"', "v")
    write(figure, "gradients")


def crossbars() -> None:
    """Accuracy under noise, by code: equal pulses average it."""
    codes: dict[str, Thermometer | Phase] = {
        "16 equal pulses": Thermometer(16),
        "8 equal pulses": Thermometer(8),
        "phase, 8 steps": Phase(8),
    }
    figure, (left, right) = panels(2, (7.4, 2.7))
    for colour, marker, (label, code) in zip(COLOURS, "os^", codes.items(), strict=False):
        network = snnconv.convert(trained(), calibration(), coding=code)
        kept = [_accuracy(network, sigma) for sigma in NOISES]
        left.plot(NOISES, kept, f"{marker}-", color=colour, markersize=4, label=label)
    left.legend(frameon=False, fontsize=TEXT)
    titled(left, f"digits, means of {SEEDS} seeds", "noise of a read, sigma", "accuracy (%)")
    pulses = np.arange(1, 25)
    right.plot(pulses, 1.0 / np.sqrt(pulses), color=COLOURS[0], label="p equal pulses, 1 / √p")
    right.axhline(3.0**-0.5, color=COLOURS[2], label="phase, √(1/3)")
    right.axhline((4.0 / 3.0) ** 0.5, color=COLOURS[3], linestyle="--", label="base 2 from 1 on, √(4/3)")
    right.set_ylim(0, 1.9)
    right.legend(frameon=False, fontsize=TEXT, loc="upper right")
    titled(right, "noise that is left of a window", "pulses p", "in sigma")
    write(figure, "crossbars")


def _accuracy(network: snnconv.SpikingNetwork, sigma: float) -> float:
    noise = snnconv.CrossbarNoise(sigma)
    found = [snnconv.evaluate(network, digits().test, noise=noise, seed=seed) for seed in range(SEEDS if sigma else 1)]
    return float(np.mean([each.accuracy for each in found]))
