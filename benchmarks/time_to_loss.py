"""Rate code until its loss stays within a bound: steps, of ours and of SpikingJelly, and with their times the time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

import benchmarks
import coding
import neurons
import snnconv
from benchmarks.cost import BATCH
from benchmarks.datasets import LabelledImages, cifar10_test, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, module_resnet20, resnet20
from benchmarks.peers import PeerMissing, run_spikingjelly
from benchmarks.rate import CALIBRATION_IMAGES, convert, measure
from benchmarks.results import FOLDER, publish
from benchmarks.speed_peers import PEER, versions
from benchmarks.timing import Quartiles, Turns
from coding import Pipeline

#: The bound, in percentage points, and the steps within which it is looked for.
LOSS, MOST_STEPS = 0.5, {"integrate-fire": 64, "corrective": 48, PEER: 64}
#: Rate code in windows, one population after the other: a call settles a window of any length at once.
WINDOWS, WINDOW_STEPS = "windows", (4, 6, 8, 12, 16, 24, 32)
_FILE = FOLDER / "steps.json"


def run(images: int | None = 1000) -> None:
    """Measure and keep what ``steps_to_loss`` gives, on any machine: ``speed`` then has only times to measure."""
    steps = steps_to_loss(images)
    publish(
        "steps_to_loss",
        f"Steps from which on the loss stays within {LOSS} points",
        ("rate code", "steps"),
        [*steps.items()],
    )


def steps_to_loss(images: int | None) -> dict[str, int | None]:
    """Steps from which on the loss stays within ``LOSS``, of windows, our neurons and the peer, if it is installed.

    They do not depend on how fast the machine is, and are kept in the folder of results until the code changes, here or
    in what computes.
    """
    asked = _asked(images)
    if _FILE.exists():
        kept = json.loads(_FILE.read_text())
        if kept["asked"] == asked:
            found: dict[str, int | None] = kept["steps"]
            return found
    found = _measured(cifar10_test(images))
    FOLDER.mkdir(exist_ok=True)
    _FILE.write_text(json.dumps({"asked": asked, "steps": found}, indent=2) + "\n")
    return found


def _asked(images: int | None) -> str:
    """A digest of all that steps depend on: so many images, the code of these packages, and versions."""
    digest = hashlib.sha256(f"{images}, {torch.__version__}, {versions()}".encode())
    for package in (snnconv, coding, neurons, benchmarks):
        for folder in package.__path__:
            for file in sorted(Path(folder).rglob("*.py")):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _measured(test: LabelledImages) -> dict[str, int | None]:
    model = resnet20(data_file(WEIGHTS_FILE))
    found: dict[str, int | None] = {WINDOWS: _window_to_loss(model, test)}
    for neuron, steps in MOST_STEPS.items():
        if neuron != PEER:
            found[neuron] = measure(convert(model, neuron, steps), model, test, neuron).latency(LOSS)
            continue
        with suppress(PeerMissing):
            result = run_spikingjelly(
                module_resnet20(data_file(WEIGHTS_FILE)),
                cifar10_train(CALIBRATION_IMAGES).images,
                test.images,
                test.labels,
                (steps,),
                batch_size=BATCH,
            )
            found[neuron] = first_within([100 * (result.ann_accuracy - each) for each in result.accuracy_by_step], LOSS)
    return found


def _window_to_loss(model: nn.Module, test: LabelledImages) -> int | None:
    """The shortest window that keeps the loss, as all longer ones do that are tried."""
    losses = []
    for steps in WINDOW_STEPS:
        network = convert(model, "integrate-fire", steps, Pipeline())
        result = measure(network, model, test, f"a window of {steps}")
        assert result.accuracy is not None and result.reference_accuracy is not None
        losses.append(result.reference_accuracy - result.accuracy)
    place = first_within(losses, LOSS)
    return None if place is None else WINDOW_STEPS[place - 1]


def first_within(losses: Sequence[float], bound: float) -> int | None:
    """The number of steps from which on all ``losses`` are at most ``bound``; ``None`` where the last is not."""
    outside = [step for step, loss in enumerate(losses, 1) if loss > bound + 1e-9]
    first = outside[-1] + 1 if outside else 1
    return first if first <= len(losses) else None


def ratios_by_step(turns: Turns) -> dict[str, Quartiles]:
    """The time of a step of every work of rate code, or of a call that settles windows, in the peer's fastest step."""
    peers = modes_of(PEER, turns)
    fastest = turns.fastest(peers) if peers else ""
    return {
        neuron: turns.ratio(work_of(neuron), fastest)
        for neuron in (WINDOWS, *MOST_STEPS)
        if peers and neuron != PEER and work_of(neuron) in turns.seconds
    }


def ratios_to_peer(turns: Turns, steps: Mapping[str, int | None]) -> dict[str, Quartiles]:
    """Time to the loss of every one of our neurons, in that of the peer in its fastest mode; of those that come to it.

    ``turns`` are seconds of a step, by ``work_of``.
    """
    needed = steps.get(PEER)
    if needed is None:
        return {}
    return {
        neuron: ratio.times(_calls(neuron, count) / needed)
        for neuron, ratio in ratios_by_step(turns).items()
        if (count := steps.get(neuron)) is not None
    }


def rows_to_loss(turns: Turns, steps: Mapping[str, int | None], images: int) -> list[list[Any]]:
    """Rows: rate code, images of the loss, steps, threads, milliseconds an image, times in the peer's, quartiles."""
    ratios, table = ratios_to_peer(turns, steps), []
    for neuron, count in steps.items():
        work = turns.fastest(modes_of(PEER, turns)) if neuron == PEER else work_of(neuron)
        milliseconds = (
            None if count is None else round(1e3 * _calls(neuron, count) * turns.time(work).median / BATCH, 2)
        )
        ratio = ratios.get(neuron)
        cells = [None, None] if ratio is None else [ratio.median, f"{ratio.low:.3g}-{ratio.high:.3g}"]
        table.append([work, images, count, turns.threads, milliseconds, *cells])
    return table


def work_of(neuron: str) -> str:
    """What a step of rate code with our ``neuron``, or a call that settles windows, is called where it is timed."""
    return "snnconv, rate window" if neuron == WINDOWS else f"snnconv, {neuron} step"


def _calls(neuron: str, steps: int) -> int:
    """How often the work of ``neuron`` is done for so many ``steps``."""
    return 1 if neuron == WINDOWS else steps


def modes_of(library: str, turns: Turns) -> list[str]:
    """The works of ``turns`` that are this library's."""
    return [name for name in turns.seconds if name.startswith(f"{library}, ")]
