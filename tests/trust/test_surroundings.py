"""Surroundings: what a user's program has set of torch and of its process changes no result of the library."""

from __future__ import annotations

import os
import pickle
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import snnconv
from coding import Concurrent, OneSpike, Rate
from snnconv import SpikingNetwork, learning
from snnconv.data.digits import Digits, train_digits_cnn
from snnconv.data.events import Events
from snnconv.data.planetoid import normalized_adjacency

ROOT = Path(__file__).parents[2]
X = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 3
EDGES = torch.tensor([[0, 1], [1, 0]])
DIGITS = Digits(
    (torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)), LABELS[:8]), (torch.ones(1, 1, 8, 8),) * 2
)


@contextmanager
def default_precision(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, Callable[[], Any]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default double": lambda: default_precision(torch.float64),
    "default half": lambda: default_precision(torch.float16),
    "default meta": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "deterministic": deterministic,
}


@cache
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 6), nn.ReLU6(), nn.Linear(6, 3)
    ).eval()


@cache
def pipeline() -> SpikingNetwork:
    return snnconv.convert(model(), X, coding=OneSpike(4))


@cache
def stream() -> SpikingNetwork:
    return snnconv.convert(model(), X, coding=Rate(8), schedule=Concurrent(8), percentile=99.0)


def rasters(network: SpikingNetwork, simulator: str) -> Tensor:
    run = network.run(X, record=["rasters"], simulator=simulator)
    return torch.cat([raster.flatten() for raster in run.rasters.values()])


def figures(value: Any) -> Tensor:
    return torch.frombuffer(bytearray(str(value).encode()), dtype=torch.uint8)


USES: dict[str, Callable[[Path], Tensor]] = {
    "convert a pipeline": lambda folder: snnconv.convert(model(), X, coding=OneSpike(4))(X),
    "convert a stream": lambda folder: snnconv.convert(
        model(), X, coding=Rate(8), schedule=Concurrent(8), percentile=99.0
    )(X),
    "preflight": lambda folder: figures(snnconv.preflight(model(), X)),
    "window": lambda folder: rasters(pipeline(), "window"),
    "clock": lambda folder: rasters(pipeline(), "clock"),
    "stream": lambda folder: rasters(stream(), "clock"),
    "reference": lambda folder: pipeline().reference(X),
    "evaluate": lambda folder: figures(snnconv.evaluate(pipeline(), (X, LABELS), reference=model())),
    "verify": lambda folder: figures(snnconv.verify(stream())),
    "statistics": lambda folder: figures(snnconv.spike_statistics(pipeline(), X)),
    "tune": lambda folder: snnconv.tune(pipeline(), X, epochs=1)(X),
    "pickle": lambda folder: pickle.loads(pickle.dumps(stream()))(X),
    "digits": lambda folder: train_digits_cnn(DIGITS, epochs=1).fc2.weight.detach(),
    "graph": lambda folder: normalized_adjacency(EDGES, 3).to_dense(),
    "events": lambda folder: Events(*EDGES, EDGES[0], EDGES[0], (2, 2)).spikes(3, 1),
    "files": lambda folder: (stream().save(folder / "a.snn"), snnconv.load(folder / "a.snn")(X))[1],
}


@cache
def usual(use: str, folder: Path) -> Tensor:
    pipeline(), stream()  # made here, whatever is used first
    return USES[use](folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("surroundings")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_torch_change_nothing(setting: str, use: str, folder: Path) -> None:
    wanted = usual(use, folder)
    with SETTINGS[setting]():
        found = USES[use](folder)
    assert (found.dtype, found.device) == (wanted.dtype, wanted.device) and torch.equal(found, wanted)


class _Half(TorchDispatchMode):
    """Notes where tensors in half precision are made."""

    def __init__(self) -> None:
        super().__init__()
        self.places: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dtype == torch.float16 for leaf in tree_leaves(found)):
            frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(f"{ROOT}{os.sep}")]
            self.places[f"{func} at {frames[-1].filename}:{frames[-1].lineno}"] += 1
        return found


@pytest.mark.parametrize("use", ["convert a pipeline", "convert a stream", "tune"])
def test_no_line_makes_tensors_in_the_default_precision(use: str, folder: Path) -> None:
    usual(use, folder)
    with default_precision(torch.float16), _Half() as half:
        USES[use](folder)
    assert half.places == Counter()


def test_a_network_that_learned_in_half_precision_is_refused() -> None:
    network = learning.LayeredNetwork([16, 3]).half()
    samples = learning.EncodedSamples(X.flatten(1), LABELS, learning.LatencyEncoder(steps=8, last=4))
    with pytest.raises(snnconv.ModelError, match=r"is torch\.float16, in which steps of training are lost"):
        learning.train(network, samples, epochs=1)
