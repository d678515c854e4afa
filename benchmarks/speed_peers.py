"""The other libraries in the modes that might be their fastest: steps a call, batch norms folded, channels last."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from typing import NamedTuple

from torch import Tensor, nn

from benchmarks.forms import channels_last, with_folded_norms
from benchmarks.peer_imports import peer_version
from benchmarks.simulation import SpikingModel
from benchmarks.sinabs_peer import SINABS_NORMALISED, SinabsModel
from benchmarks.snntorch_peer import SnntorchModel
from benchmarks.spikingjelly_peer import SpikingJellyModel

PEER = "SpikingJelly"


class Mode(NamedTuple):
    """A converted network in one mode: its images, and how many steps a call makes."""

    name: str
    model: SpikingModel
    images: Tensor
    steps_per_call: int


def modes(network: nn.Module, calibration: Tensor, images: Tensor) -> list[Callable[[], Iterator[Mode]]]:
    """The modes of every library, to be called one by one: each raises ``PeerMissing`` where it is not installed.

    ``network`` consists of modules. SpikingJelly folds its batch norms itself, the others get them folded.
    """
    folded = with_folded_norms(network, images)

    def spikingjelly() -> Iterator[Mode]:
        for calls in (1, 4):
            model = SpikingJellyModel(network, calibration)
            yield Mode(f"{PEER}, {_calls(calls)}", model, images, calls)
        arranged, inputs = channels_last(network, images)
        yield Mode(f"{PEER}, channels last", SpikingJellyModel(arranged, calibration), inputs, 1)

    def sinabs() -> Iterator[Mode]:
        for calls in (1, 4):
            yield Mode(f"sinabs, {_calls(calls)}", SinabsModel(folded, calibration, SINABS_NORMALISED), images, calls)

    def snntorch() -> Iterator[Mode]:
        yield Mode("snntorch, loop", SnntorchModel(folded, calibration), images, 1)
        arranged, inputs = channels_last(folded, images)
        yield Mode("snntorch, loop, channels last", SnntorchModel(arranged, calibration), inputs, 1)

    return [spikingjelly, sinabs, snntorch]


def versions() -> str:
    """The libraries that are installed, such as "spikingjelly 2.0.0, snntorch 1.0.0"."""
    found = []
    for library in ("spikingjelly", "sinabs", "snntorch"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{library} {peer_version(library)}")
    return ", ".join(found)


def _calls(steps: int) -> str:
    return f"{steps} step{'s' if steps > 1 else ''} a call"
