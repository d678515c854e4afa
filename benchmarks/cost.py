"""Time of a simulated step in forward passes of the original network, and memory by number of steps."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

import snnconv
from benchmarks.datasets import cifar10_test, data_file
from benchmarks.networks import WEIGHTS_FILE, module_resnet20, resnet20
from benchmarks.peers import SPIKINGJELLY_BEST, PeerMissing, run_spikingjelly
from benchmarks.rate import NEURONS, convert
from benchmarks.results import note, publish
from benchmarks.timing import in_turns
from snnconv.data.shapes import concrete
from snnconv.simulators import Clock

BATCH = 100
STEPS = 16
MEMORY_STEPS = (16, 256)


def run(images: int | None = None) -> None:
    """Publish the tables ``cost`` (medians of turns) and ``memory`` (peak of fresh processes)."""
    model = resnet20(data_file(WEIGHTS_FILE))
    split = cifar10_test(images or BATCH)
    table: list[list[Any]] = []
    for neuron in NEURONS:
        network = convert(model, neuron, steps=STEPS)
        works = {"forward": partial(model, split.images), "step": partial(network, split.images)}
        turns = in_turns(works).divided({"step": STEPS})
        seconds = (turns.time("forward").median, turns.time("step").median)
        ratio = turns.ratio("step", "forward").median
        table.append([f"snnconv, {neuron}", *(round(1e3 * value, 1) for value in seconds), ratio])
    try:
        modules = module_resnet20(data_file(WEIGHTS_FILE))
        peer = run_spikingjelly(
            modules,
            split.images,
            split.images,
            split.labels,
            (STEPS,),
            settings=SPIKINGJELLY_BEST,
            batch_size=len(split.labels),
        )
        seconds = (peer.ann_seconds, peer.seconds_per_step)
        table.append([peer.label, *(round(1e3 * value, 1) for value in seconds), peer.relative_cost])
    except PeerMissing as missing:
        note(str(missing))
    publish(
        "cost", f"Milliseconds for {len(split.labels)} images", ("simulator", "ANN forward", "one step", "ratio"), table
    )
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "network.snn"
        convert(model, NEURONS[0]).save(stored)
        peaks = [_peak_in_fresh_process(stored, steps) for steps in MEMORY_STEPS]
    rows = [[steps, round(peak / 1024), peak / peaks[0]] for steps, peak in zip(MEMORY_STEPS, peaks, strict=True)]
    publish("memory", f"Peak memory of a run on {BATCH} images", ("steps", "MiB", "ratio"), rows)


def _peak_in_fresh_process(network: Path, steps: int) -> int:
    call = f"from benchmarks.cost import peak_memory; print(peak_memory({str(network)!r}, {steps}))"
    output = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True).stdout
    return int(output.split()[-1])


def peak_memory(network: str, steps: int) -> int:
    """Peak resident memory of this process, in KiB, after a run of a stored network on ``BATCH`` random images."""
    spiking = snnconv.load(network)
    images = torch.rand(concrete(spiking.input_shapes[0], {"batch": BATCH}))
    Clock(spiking, steps=steps, stop=None, seed=None).run((images,), [])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
