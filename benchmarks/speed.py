"""The speed of all simulators beside those of other libraries: ``make bench``.

Everything is divided by one network, ResNet-20 on 100 CIFAR-10 images: as given, and in its fastest form. Every number
of threads has a process of its own, in which all works take turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import snnconv
from benchmarks.cost import BATCH
from benchmarks.datasets import cifar10_test, cifar10_train, data_file
from benchmarks.forms import RAW, forms
from benchmarks.networks import WEIGHTS_FILE, check_same_function, module_resnet20, resnet20
from benchmarks.origin import machine
from benchmarks.peers import PeerMissing
from benchmarks.results import FOLDER, note, publish
from benchmarks.speed_page import PICTURE, write_page
from benchmarks.speed_peers import PEER, Mode, modes, versions
from benchmarks.speed_plot import draw
from benchmarks.stored_ratios import check_stored
from benchmarks.time_to_loss import (
    LOSS,
    modes_of,
    ratios_by_step,
    ratios_to_peer,
    rows_to_loss,
    steps_to_loss,
    work_of,
)
from benchmarks.timing import Quartiles, Turns, in_fresh_process, in_turns
from coding import Burst, FewSpike, Pipeline, Rate

THREADS = (1, 2)
#: Rounds of all works, and the most that they may become where more are needed to know the ratios.
ROUNDS, MOST_ROUNDS = 7, 24
#: Steps of a call that is timed: ours prepares what does not change with time once a call, the others have nothing to.
STEPS, PEER_STEPS = 16, 4
ORIGINAL, OURS = "original", "snnconv"
HEAD = ("work", "threads", "ms", "passes of raw", "quartiles", "passes of the fastest form", "its quartiles")
LOSS_HEAD = ("rate code", "images", "steps", "threads", "ms an image", f"times {PEER}'s", "quartiles")


def run(images: int | None = 1000) -> None:
    """Publish the tables ``speed`` and ``time_to_loss``, whose losses are those on so many ``images``, and a picture.

    All go to the folder of results, and where none of our ratios is worse than the stored one, to
    ``docs/benchmarks.md`` too, and the ratios of a machine that has none stored to ``ratios.json``. Raises
    ``TooNoisy``, and publishes nothing, where times cannot be trusted, and ``SpeedFell`` where one of our ratios is
    worse than the stored one.
    """
    for threads in THREADS:
        in_fresh_process("benchmarks.timing:fixed_alone", threads).check()  # before anything that takes long
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, network in _networks().items():
            network.save(Path(folder) / name)
        for threads in THREADS:
            note(f"timing on {threads} thread(s)")
            found.append(in_fresh_process("benchmarks.speed:timed", threads, folder=folder))
            found[-1].check(*_published(found[-1]))
    works = [row for turns in found for row in rows(turns)]
    title = f"ResNet-20, {BATCH} images, a call or a time step of it; {versions()}"
    publish("speed", title, HEAD, works)
    draw(FOLDER / PICTURE, {turns.threads: costs(turns) for turns in found})
    note("measuring losses")
    steps = steps_to_loss(images)
    losses = [row for turns in found for row in rows_to_loss(turns, steps, len(cifar10_test(images).labels))]
    loss_title = f"Until the loss stays within {LOSS} points"
    publish("time_to_loss", loss_title, LOSS_HEAD, losses)
    check_stored(machine(), {turns.threads: own_ratios(turns, steps) for turns in found})
    write_page(FOLDER / PICTURE, {title: (HEAD, works), loss_title: (LOSS_HEAD, losses)})


def _networks() -> dict[str, snnconv.SpikingNetwork]:
    convert = partial(snnconv.convert, resnet20(data_file(WEIGHTS_FILE)), cifar10_train(BATCH).images)
    return {
        "window": convert(coding=FewSpike(6, spikes=3)),
        "rate window": convert(coding=Rate(STEPS), schedule=Pipeline()),
        "integrate-fire": convert(coding=Rate(STEPS)),
        "corrective": convert(coding=Rate(STEPS), neuron="corrective"),
        "burst": convert(coding=Burst(STEPS)),
    }


def timed(folder: str) -> Turns:
    """Everything in turns, by time step where there are steps."""
    images, model = cifar10_test(BATCH).images, resnet20(data_file(WEIGHTS_FILE))
    works: dict[str, Callable[[], Any]] = {f"{ORIGINAL}, {name}": form for name, form in forms(model, images).items()}
    steps: dict[str, int] = {}
    for name in ("window", "rate window", "integrate-fire", "corrective", "burst"):
        network = snnconv.load(Path(folder) / name)
        if network.has_closed_form:
            works[f"{OURS}, {name}"] = partial(network, images)
            works[f"{OURS}, {name}, counted"] = partial(network.run, images)
        else:
            works[work_of(name)] = partial(network, images)
            steps[work_of(name)] = STEPS
    modules = module_resnet20(data_file(WEIGHTS_FILE))
    check_same_function(model, modules, images)
    for library in modes(modules, cifar10_train(BATCH).images, images):
        try:
            for mode in library():
                works[mode.name] = partial(_present, mode)
                steps[mode.name] = PEER_STEPS
        except PeerMissing as missing:
            note(str(missing))
    return in_turns(
        works,
        ROUNDS,
        retakes=MOST_ROUNDS * len(works) // 2,
        until=(MOST_ROUNDS, lambda turns: not turns.doubts(*_published(turns.divided(steps)))),
    ).divided(steps)


def _published(turns: Turns) -> tuple[Mapping[str, Quartiles], ...]:
    return in_passes_of_raw(turns), costs(turns), ratios_by_step(turns)


def _present(mode: Mode) -> None:
    mode.model.reset()
    for _ in range(PEER_STEPS // mode.steps_per_call):
        mode.model.advance(mode.images, mode.steps_per_call)


def in_passes_of_raw(turns: Turns) -> dict[str, Quartiles]:
    """Passes of the original as given that everything takes."""
    return {name: turns.ratio(name, f"{ORIGINAL}, {RAW}") for name in turns.seconds}


def costs(turns: Turns) -> dict[str, Quartiles]:
    """Passes of the original in its fastest form that everything takes."""
    fastest = turns.fastest(modes_of(ORIGINAL, turns))
    return {name: turns.ratio(name, fastest) for name in turns.seconds}


def rows(turns: Turns) -> list[list[Any]]:
    """The rows of the table ``speed``."""
    table, raw = [], in_passes_of_raw(turns)
    for name, cost in costs(turns).items():
        cells = [cell for each in (raw[name], cost) for cell in (each.median, f"{each.low:.3g}-{each.high:.3g}")]
        table.append([name, turns.threads, round(1e3 * turns.time(name).median, 1), *cells])
    return table


def own_ratios(turns: Turns, steps: Mapping[str, int | None]) -> dict[str, Quartiles]:
    """Our costs, which are not to rise: in passes of the fastest form, and to a loss in the peer's time."""
    found = {name: cost for name, cost in costs(turns).items() if name.startswith(f"{OURS}, ")}
    return found | {f"{work_of(neuron)} to the loss": each for neuron, each in ratios_to_peer(turns, steps).items()}
