"""One simulation of a converted network, read out at every time step.

A peer's network is wrapped as a `SpikingModel`; `simulate` presents each batch for the largest number of
steps asked for and notes accuracy and spikes at each step on the way, so that several numbers of steps cost
one simulation. Time is measured apart, without the spike counters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from benchmarks.datasets import batches
from benchmarks.timing import in_turns

_TIMED_STEPS = 16
_ROUNDS = 3


class SpikingModel(Protocol):
    """A converted network that advances a few time steps a call and keeps its state between calls."""

    @property
    def label(self) -> str:
        """Library, version and settings."""

    @property
    def neurons(self) -> Sequence[nn.Module]:
        """The neuron layers; a layer's output is its spikes (or number of spikes) per neuron and step."""

    def reset(self) -> None:
        """Forget the state. Must come before each batch."""

    def advance(self, images: Tensor, steps: int) -> Tensor:
        """Present ``images`` ``[N, ...]`` for ``steps`` steps; their outputs ``[steps, N, classes]``."""

    def spikes(self, output: Tensor, steps: int) -> Tensor:
        """Sum a neuron layer's output during `advance` to spikes per step, float64 ``[steps]``."""


@dataclass(frozen=True)
class PeerResult:
    """What one simulation of one peer gave."""

    label: str
    """Library, version and settings."""
    images: int
    """How many test images."""
    ann_accuracy: float
    """Fraction of right answers of the network before conversion, on the same images."""
    accuracy_by_step: tuple[float, ...]
    """Fraction of right answers after 1, 2, ... steps, from the summed outputs."""
    spikes_by_step: tuple[float, ...]
    """Spikes of all hidden neurons per image, up to and including step 1, 2, ..."""
    spiking_layers: int
    neurons: int
    """Hidden spiking neurons, as the peer builds them."""
    batch_size: int
    steps_per_call: int
    """1 is single-step mode; more is multi-step mode."""
    seconds_per_step: float
    """For one step of one batch."""
    ann_seconds: float
    """For one forward pass of the network before conversion, same batch."""

    def accuracy(self, steps: int) -> float:
        """Fraction of right answers after ``steps`` steps."""
        return self.accuracy_by_step[steps - 1]

    def spikes_per_neuron(self, steps: int) -> float:
        """Mean spikes per hidden neuron and image in ``steps`` steps (0 where nothing spikes)."""
        return self.spikes_by_step[steps - 1] / self.neurons if self.neurons else 0.0

    @property
    def relative_cost(self) -> float:
        """Time of one step over the time of one ANN forward pass."""
        return self.seconds_per_step / self.ann_seconds


class PeerSpikeCounter:
    """Counts the spikes of all neuron layers by time step, by forward hooks. A context manager."""

    def __init__(self, model: SpikingModel, steps: int) -> None:
        self.by_step = torch.zeros(steps, dtype=torch.float64)
        self.neurons = 0
        self._model = model
        self._start = 0
        self._length = 0
        self._batch = 0
        self._seen: dict[nn.Module, int] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> PeerSpikeCounter:
        self._hooks = [layer.register_forward_hook(self._count) for layer in self._model.neurons]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def expect(self, start: int, length: int, batch: int) -> None:
        """The next call covers steps ``start`` to ``start + length`` of ``batch`` images."""
        self._start, self._length, self._batch = start, length, batch

    def _count(self, layer: nn.Module, _: object, output: Tensor) -> None:
        self.by_step[self._start : self._start + self._length] += self._model.spikes(output, self._length)
        self._seen[layer] = output.numel() // (self._length * self._batch)
        self.neurons = sum(self._seen.values())


def simulate(
    model: SpikingModel,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    steps: Sequence[int],
    *,
    batch_size: int = 50,
    steps_per_call: int = 1,
) -> PeerResult:
    """Run ``model`` for ``max(steps)`` steps on each batch, and ``network`` once, and time both.

    Args:
        model: the converted network.
        network: what it was converted from, in evaluation mode.
        images: ``[N, ...]``, presented as a constant current.
        labels: int64 ``[N]``.
        steps: the numbers of steps of interest; only the largest one sets the work.
    """
    if not steps or min(steps) < 1:
        raise ValueError(f"steps must be positive numbers, got {list(steps)}")
    last = max(steps)
    right = torch.zeros(last, dtype=torch.int64)
    ann_right = 0
    with torch.no_grad(), PeerSpikeCounter(model, last) as counter:
        for batch, classes in zip(batches(images, batch_size), batches(labels, batch_size), strict=True):
            ann_right += int((network(batch).argmax(1) == classes).sum())
            model.reset()
            total: Tensor | None = None
            for start in range(0, last, steps_per_call):
                length = min(steps_per_call, last - start)
                counter.expect(start, length, len(batch))
                outputs = model.advance(batch, length).cumsum(0)
                if total is not None:
                    outputs = outputs + total
                total = outputs[-1]
                right[start : start + length] += (outputs.argmax(2) == classes).sum(1)
    first = images[:batch_size]
    seconds, ann_seconds = time_step(model, network, first, steps_per_call)
    return PeerResult(
        label=model.label,
        images=len(images),
        ann_accuracy=ann_right / len(images),
        accuracy_by_step=tuple((right.double() / len(images)).tolist()),
        spikes_by_step=tuple((counter.by_step.cumsum(0) / len(images)).tolist()),
        spiking_layers=len(model.neurons),
        neurons=counter.neurons,
        batch_size=len(first),
        steps_per_call=steps_per_call,
        seconds_per_step=seconds,
        ann_seconds=ann_seconds,
    )


def time_step(model: SpikingModel, network: nn.Module, images: Tensor, steps_per_call: int) -> tuple[float, float]:
    """Seconds for a time step and for an ANN forward pass of a batch, in turns."""
    works: dict[str, Callable[[], object]] = {
        "step": partial(_present, model, images, steps_per_call),
        "forward": partial(network, images),
    }
    turns = in_turns(works, rounds=_ROUNDS).divided({"step": _calls(steps_per_call) * steps_per_call})
    return turns.time("step").median, turns.time("forward").median


def fastest_call(model: SpikingModel, images: Tensor, choices: Sequence[int]) -> int:
    """The number of steps per call, among ``choices``, that costs the least time per step here, in turns."""
    works = {str(steps): partial(_present, model, images, steps) for steps in choices}
    turns = in_turns(works, rounds=_ROUNDS).divided({str(steps): _calls(steps) * steps for steps in choices})
    return int(turns.fastest(works))


def _present(model: SpikingModel, images: Tensor, steps_per_call: int) -> None:
    model.reset()
    for _ in range(_calls(steps_per_call)):
        model.advance(images, steps_per_call)


def _calls(steps_per_call: int) -> int:
    """Calls that are timed together."""
    return max(1, _TIMED_STEPS // steps_per_call)
