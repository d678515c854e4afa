"""What netx does with a file, in numpy and torch: its layers, in the units of Lava's LIF neurons, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.nn import functional

#: Membranes of 24 bits, in which a weight of 1 is 64.
LARGEST, ONE = 2**23 - 1, 64


@dataclass(frozen=True)
class Result:
    """Spikes ``[N, T, ...]`` of every layer, and membranes of the last one after every step, in units of weights."""

    spikes: list[np.ndarray]
    membranes: np.ndarray


def run(path: Path, inputs: np.ndarray) -> Result:
    """Run the file for integer ``inputs [N, ...]``, presented at every step; a spike arrives in the next layer."""
    with h5py.File(path) as file:
        steps = int(file["snnconv_netx/steps"][()])
        entries = [file["layer"][str(number)] for number in range(len(file["layer"]))]
        assert entries[0]["type"][0] == b"input"
        sent = np.repeat(inputs.reshape(len(inputs), 1, *entries[0]["shape"][()]), steps, 1)
        spikes, flattens = [], False
        for entry in entries[1:]:
            if entry["type"][0] == b"flatten":
                flattens = True
                continue
            if flattens:
                sent, flattens = sent.reshape(*sent.shape[:2], -1), False
            sent, membranes = layer(entry, sent)
            spikes.append(sent)
    assert not (membranes % ONE).any()
    return Result(spikes, membranes // ONE)


def layer(entry: Any, sent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and membranes of a layer for what was ``sent`` to it, ``[N, T, ...]``."""
    shape, neuron = tuple(entry["shape"][()]), entry["neuron"]
    bias = np.zeros(shape[::-1], np.int64)
    if "bias" in entry:
        bias[...] = entry["bias"][()]  # [W, H, C], or one a channel
    bias = bias.T * ONE
    assert neuron["type"][0] == b"CUBA" and neuron["iDecay"][()] == 4096, "currents keep nothing"
    kept, threshold = 4096 - int(neuron["vDecay"][()]), int(neuron["vThMant"][()]) * ONE
    potential = np.zeros((len(sent), *shape), np.int64)
    spikes, membranes = [], []
    for current in currents(entry, sent):
        potential = np.sign(potential) * (np.abs(potential) * kept >> 12) + current * ONE + bias
        potential = potential.clip(-LARGEST, LARGEST)
        fires = potential > threshold
        potential = np.where(fires, 0, potential)
        spikes.append(fires.astype(np.int64))
        membranes.append(potential)
    return np.stack(spikes, 1), np.stack(membranes, 1)


def currents(entry: Any, sent: np.ndarray) -> Iterator[np.ndarray]:
    weight = torch.from_numpy(entry["weight"][()].astype(np.float64))
    for step in range(sent.shape[1]):
        values = torch.from_numpy(sent[:, step].astype(np.float64))
        if entry["type"][0] == b"dense":
            found = functional.linear(values, weight)
        else:
            sizes = [tuple(entry[name][()].tolist()) for name in ("stride", "padding", "dilation")]
            found = functional.conv2d(values, weight, None, *sizes, int(entry["groups"][()]))
        assert found.shape[1:] == tuple(entry["shape"][()])
        yield found.numpy().astype(np.int64)
