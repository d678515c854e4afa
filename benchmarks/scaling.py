"""Workers beside one: seconds of an evaluation and of a sweep, what a model makes of them, and the memory of a pool."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

import snnconv
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, resnet20
from benchmarks.results import note, publish
from benchmarks.scaling_model import WorkCosts, transfer_seconds
from benchmarks.timing import Quartiles
from coding import FewSpike, OneSpike
from snnconv.data.batches import PIECE
from snnconv.data.shards import shards
from snnconv.storage.saving import content_of

IMAGES, ROUNDS = 2048, 3
CALIBRATION_IMAGES = 256
CODE = FewSpike(6, spikes=3)
#: Eight configurations that take about as long as each other.
CODINGS: dict[str, Any] = {f"few-spike {steps}": FewSpike(steps, spikes=3) for steps in (4, 5, 6, 7)}
CODINGS |= {f"one-spike {steps}": OneSpike(steps) for steps in (8, 12, 16, 24)}
POOLS = (1, 2)
HEAD = ("work", "items", "1 worker s", "2 workers s", "ratio", "serial s", "item s", "transfer s")
#: Numbers of workers that the model predicts, pictures of the data set for which it does, and how much faster items
#: are in the simulation.
MANY, PICTURES, FASTER = (2, 8, 64), 50_000, 10.0
MODEL_HEAD = ("workers", "predicted s", "times one", "faster items: predicted s", "simulated s")
#: Side of pictures, samples, and neurons of the widest layer, of the network whose memory is measured.
SIDE, SAMPLES, WIDTH = 64, 1024, 2048
MEMORY_HEAD = ("workers", "start s", "network MiB", "beside idle workers MiB", "activations of one MiB", "allowed MiB")
_MIB = 2.0**20


def run(images: int | None = None) -> None:
    """Publish the tables ``scaling``, ``scaling_model`` and ``scaling_memory``."""
    test, model = cifar10_test(images or IMAGES), resnet20(data_file(WEIGHTS_FILE))
    calibration = cifar10_train(CALIBRATION_IMAGES).images
    network, half = snnconv.convert(model, calibration, coding=CODE), len(test.labels) // 2
    few = (test.images[:half], test.labels[:half])
    works: dict[str, tuple[Callable[[Any], Any], int]] = {
        "evaluate": (lambda pool: snnconv.evaluate(network, test, executor=pool), -(-len(test.labels) // PIECE)),
        "sweep": (lambda pool: snnconv.sweep(model, calibration, few, CODINGS, executor=pool), len(CODINGS)),
    }
    transfers = {"evaluate": transfer_seconds(next(shards(test, 0))), "sweep": transfer_seconds(CODE)}
    table, costs = [], {}
    with _pools() as pools:
        for name, (work, items) in works.items():
            seconds = _in_turns(work, pools)
            one, two = (Quartiles.of(seconds[number]) for number in POOLS)
            ratio = Quartiles.of([a / b for a, b in zip(*seconds.values(), strict=True)])
            costs[name] = found = WorkCosts.of(one.median, two.median, items, transfers[name])
            note(f"{name}: ratio {ratio}")
            table.append([name, items, str(one), str(two), str(ratio), found.serial, found.item, found.transfer])
    publish("scaling", f"{len(test.labels)} images of CIFAR-10, workers of one thread each", HEAD, table)
    shard = next(shards(test, 0))
    title = f"evaluate on {PICTURES} pictures, by the model, and by threads that wait {FASTER:g} times shorter"
    publish("scaling_model", title, MODEL_HEAD, [_modelled(costs["evaluate"], n, shard) for n in (1, *MANY)])
    _memory()


def _in_turns(work: Callable[[Any], Any], pools: dict[int, Any]) -> dict[int, list[float]]:
    """Seconds of ``work`` by number of workers; all must come to the same."""
    seconds: dict[int, list[float]] = {number: [] for number in pools}
    found = []
    for number in [*pools] * ROUNDS:
        start = time.perf_counter()
        found.append(work(pools[number]))
        seconds[number].append(time.perf_counter() - start)
    if any(each != found[0] for each in found):
        raise AssertionError("figures depend on the number of workers")
    return seconds


@contextmanager
def _pools() -> Iterator[dict[int, snnconv.Workers]]:
    """Workers by their number, which have computed something before."""
    pools = {number: snnconv.Workers(number) for number in POOLS}
    try:
        for pool in pools.values():
            _warm(pool)
        yield pools
    finally:
        for pool in pools.values():
            pool.close()


def _warm(pool: snnconv.Workers) -> float:
    """Seconds in which all of ``pool`` are ready: started, with kernels compiled."""
    network = snnconv.convert(
        nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)), torch.rand(40, 8), coding=CODE
    )
    start = time.perf_counter()
    snnconv.evaluate(network, torch.rand(2 * pool.workers * PIECE, 8), executor=pool)
    return time.perf_counter() - start


def _modelled(costs: WorkCosts, workers: int, shard: Any) -> list[Any]:
    items = math.ceil(PICTURES / PIECE)
    faster = WorkCosts(costs.serial / FASTER, costs.item / FASTER, costs.transfer)
    seconds = costs.predicted(items, workers)
    simulated = None if workers == 1 else round(faster.simulated(items, workers, shard), 2)
    one = costs.predicted(items, 1)
    return [workers, round(seconds, 1), round(one / seconds, 1), round(faster.predicted(items, workers), 2), simulated]


def _memory() -> None:
    """Publish what pools need beside idle workers, as the system counts it: what several share is divided by them."""
    torch.manual_seed(0)
    side = SIDE // 4
    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32 * side * side, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10)),
    )
    network = snnconv.convert(model, torch.rand(40, 3, SIDE, SIDE), coding=CODE)
    size, data = len(content_of(network)) / _MIB, [torch.rand(PIECE, 3, SIDE, SIDE) for _ in range(SAMPLES // PIECE)]
    own, table = 0.0, []
    for number in POOLS:
        with snnconv.Workers(number) as pool:
            starting = _warm(pool)
            processes = {future.result() for future in [pool.submit(_process) for _ in range(4 * number)]}
            idle = sum(map(_held, processes))
            with _most(processes) as most:
                snnconv.evaluate(network, data, executor=pool)
            beside = most[0] - idle
        own = beside - size if number == 1 else own
        allowed = size + 1.3 * number * own
        table.append([number, *(round(each, 1) for each in (starting, size, beside, own, allowed))])
    publish("scaling_memory", f"Memory of a pool, pictures of {SIDE} x {SIDE}", MEMORY_HEAD, table)


def _process() -> str:
    time.sleep(0.2)  # so that the others take what is left
    return Path("/proc/self").resolve().name


def _held(process: str) -> float:
    """MiB that the process holds, its share of what several hold."""
    lines = Path("/proc", process, "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def _most(processes: set[str]) -> Iterator[list[float]]:
    """The most MiB that ``processes`` hold together as long as this lasts."""
    most, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            most[0] = max(most[0], sum(map(_held, processes)))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()
