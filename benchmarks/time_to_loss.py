"""Rate code until its loss stays within a bound: steps, of ours and of SpikingJelly, and with their times the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from benchmarks.cost import BATCH
from benchmarks.datasets import LabelledImages, cifar10_train, data_file
from benchmarks.networks import WEIGHTS_FILE, module_resnet20, resnet20
from benchmarks.peers import run_spikingjelly
from benchmarks.rate import CALIBRATION_IMAGES, convert, measure
from benchmarks.speed_peers import PEER
from benchmarks.timing import Quartiles, Turns
from coding import Pipeline

#: The bound, in percentage points, and the steps within which it is looked for.
LOSS, MOST_STEPS = 0.5, {"integrate-fire": 64, "corrective": 48, PEER: 64}
#: Rate code in windows, one population after the other: a call settles a window of any length at once.
WINDOWS, WINDOW_STEPS = "windows", (4, 6, 8, 12, 16, 24, 32)


def steps_to_loss(test: LabelledImages, peer: bool) -> dict[str, int | None]:
    """Steps from which on the loss stays within ``LOSS``, of windows, our neurons and ``peer``, if there is one."""
    model = resnet20(data_file(WEIGHTS_FILE))
    found: dict[str, int | None] = {WINDOWS: _window_to_loss(model, test)}
    for neuron, steps in MOST_STEPS.items():
        if neuron != PEER:
            found[neuron] = measure(convert(model, neuron, steps), model, test, neuron).latency(LOSS)
        elif peer:
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


def ratios_to_peer(turns: Turns, steps: Mapping[str, int | None]) -> dict[str, Quartiles]:
    """Time to the loss of every one of our neurons, in that of the peer in its fastest mode; of those that come to it.

    ``turns`` are seconds of a step, by ``work_of``.
    """
    peers, needed = modes_of(PEER, turns), steps.get(PEER)
    if not peers or needed is None:
        return {}
    fastest = turns.fastest(peers)
    return {
        neuron: turns.ratio(work_of(neuron), fastest).times(_calls(neuron, count) / needed)
        for neuron, count in steps.items()
        if neuron != PEER and count is not None
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
