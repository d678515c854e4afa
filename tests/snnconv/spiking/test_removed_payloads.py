"""Codes whose spikes emit one thing and take another off the membrane, held to the recursions they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import snnconv
from coding import Code, Concurrent, FewSpikeNeuron, Fired, Phase, Pipeline, Rate, SpikeInput
from coding.neural_code import Memory
from coding.threshold import reaches
from neurons import CorrectiveIntegrateFire, IntegrateFire, Neuron, SignedIntegrateFire, SignedWindow
from tests.support.networks import Deep, draw, prepared

CODE = FewSpikeNeuron(
    5,
    thresholds=(0.9, 0.55, 0.25, 0.15, 0.05),
    removed=(0.8, 0.5, 0.3, 0.1, 0.05),
    emitted=(0.75, 0.5, 0.25, 0.1, 0.06),
)


def published(value: float) -> list[float]:
    """d(t) z(t) by step (Stoeckl, Maass 2021): v(1) = x, z(t) = 1 where v(t) >= T(t), v(t + 1) = v(t) - h(t) z(t)."""
    v, payloads = value, []
    for t in range(CODE.steps):
        z = 1.0 if v >= CODE.thresholds[t] else 0.0
        payloads.append(CODE.emitted[t] * z)
        v -= CODE.removed[t] * z
    return payloads


def published_trains(values: Tensor) -> Tensor:
    """``[T, ...]`` for ``values [...]``."""
    trains = torch.tensor([published(float(value)) for value in values.flatten()], dtype=values.dtype)
    return trains.T.reshape(CODE.steps, *values.shape)


VALUES = torch.rand(500, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2.4 - 0.4


def test_encoding_follows_the_published_recursion() -> None:
    trains = published_trains(VALUES)
    assert torch.equal(CODE.encode(VALUES), trains)
    found = CODE.quantize(VALUES)
    torch.testing.assert_close(found.values, trains.sum(0), rtol=1e-15, atol=0)
    assert torch.equal(found.spikes, (trains != 0).double().sum(0))  # type: ignore[arg-type]


def test_a_spiking_input_follows_the_published_recursion() -> None:
    code, state, payloads = SpikeInput(CODE), SpikeInput(CODE).initial(VALUES), []
    for t in range(CODE.steps):
        payload, state = code.step(VALUES, state, t, None)
        payloads.append(payload)
    assert torch.equal(torch.stack(payloads), published_trains(VALUES))


@pytest.mark.parametrize("neuron", [IntegrateFire(CODE), SignedWindow(CODE, 0.1)], ids=["integrate-fire", "signed"])
def test_a_window_follows_the_published_recursion(neuron: IntegrateFire | SignedWindow) -> None:
    values = VALUES.clamp(min=0.0)
    state, payloads = neuron.listen(values * 3.0, neuron.initial(values), 1.0 / 3.0), []  # type: ignore[arg-type]
    for t in range(CODE.steps):
        payload, state = neuron.fire(state, t)  # type: ignore[arg-type]
        payloads.append(payload.clone())
        payload.fill_(99.0)
    assert torch.equal(torch.stack(payloads), published_trains(values))
    torch.testing.assert_close(neuron.window(values).values, torch.stack(payloads).sum(0), rtol=1e-15, atol=0)


def test_the_clock_follows_the_published_recursion() -> None:
    x = draw(30, 6)
    network = snnconv.convert(prepared(Deep), x, coding=CODE, schedule=Pipeline())
    first, second = network.populations.values()
    clock, window = (network.run(x, simulator=name, record=["rasters"]) for name in ("clock", "window"))
    layers = [module for module in prepared(Deep).modules() if isinstance(module, torch.nn.Linear)]
    current = layers[0](x).detach()
    for population, layer in ((first, layers[1]), (second, layers[2])):
        trains = published_trains((current + population.shift) / population.scale)
        assert bool(trains.any()) and torch.equal(clock.rasters[population.name], trains)
        assert torch.equal(window.rasters[population.name], trains)
        current = layer(trains.sum(0) * population.scale).detach()
    torch.testing.assert_close(clock.output, current, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(window.output, current, rtol=1e-12, atol=1e-12)


@dataclass(frozen=True)
class Uneven(Code):
    """A stream with the threshold 1 whose spikes emit 1 and 1/2 in turn and take off 3/4."""

    steps: int = 16

    name: ClassVar[str] = "uneven"
    streams: ClassVar[bool] = True
    period = 1  # type: ignore[assignment]

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        spikes = reaches(potential, 1.0, out)
        return Fired(spikes * worth(t), spikes * 0.75, None)


def worth(t: int) -> float:
    return 0.5 if t % 2 else 1.0


def integrate_fire(currents: list[float]) -> list[float]:
    v, found = 0.0, []
    for t, current in enumerate(currents):
        v += current
        z = v >= 1.0
        v -= 0.75 * z
        found.append(worth(t) * z)
    return found


def reset_to_zero(currents: list[float]) -> list[float]:
    v, found = 0.0, []
    for t, current in enumerate(currents):
        v += current
        z = v >= 1.0
        v = 0.0 if z else v
        found.append(worth(t) * z)
    return found


def corrective(currents: list[float]) -> list[float]:
    v, emitted, found = 0.5, 0.0, []
    for t, current in enumerate(currents):
        v += current
        z, back = v >= 1.0, v <= -0.5
        taken = min(worth(t) * back, emitted)
        v += -0.75 * z + 0.75 * taken / worth(t)
        found.append(worth(t) * z - taken)
        emitted += found[-1]
    return found


def imbalanced(currents: list[float]) -> list[float]:
    v, found = 0.0, []
    for t, current in enumerate(currents):
        v += current
        z, below = v >= 1.0, v <= -4.0
        v += -0.75 * z + 4.0 * 0.75 * below
        found.append(worth(t) * z - worth(t) * below)
    return found


def graded(currents: list[float]) -> list[float]:
    v, charge, found = 0.0, 0.0, []
    for t, current in enumerate(currents):
        v += current
        z, below = v >= 1.0, v <= -1.0
        v += -0.75 * z + 0.75 * below
        before, charge = charge, charge + worth(t) * z - worth(t) * below
        found.append(max(charge, 0.25 * charge) - max(before, 0.25 * before))
    return found


STREAMS: dict[str, tuple[Callable[[Code], Neuron], Callable[[list[float]], list[float]]]] = {
    "subtract": (IntegrateFire, integrate_fire),
    "zero": (lambda code: IntegrateFire(code, "zero"), reset_to_zero),
    "corrective": (CorrectiveIntegrateFire, corrective),
    "imbalanced": (lambda code: SignedIntegrateFire(code, 0.25, "imbalanced"), imbalanced),
    "graded": (lambda code: SignedIntegrateFire(code, 0.25), graded),
}


def drive(steps: int) -> Tensor:
    """Currents ``[T, 200]``, multiples of 1 / 64, so that sums are exact."""
    drawn = torch.randint(-48, 56, (steps, 200), generator=torch.Generator().manual_seed(3))
    return drawn.double() / 64


def simulated(neuron: Neuron, currents: Tensor) -> Tensor:
    state, payloads = neuron.initial(currents[0]), []
    for t, current in enumerate(currents):
        payload, state = neuron.step(current.clone(), state, t)
        payloads.append(payload.clone())
        payload.fill_(99.0)
    return torch.stack(payloads)


@pytest.mark.parametrize("name", STREAMS)
def test_a_neuron_takes_off_what_the_code_removes(name: str) -> None:
    build, recursion = STREAMS[name]
    currents = drive(16)
    expected = torch.tensor([recursion(column) for column in currents.T.tolist()], dtype=torch.float64).T
    assert torch.equal(simulated(build(Uneven()), currents), expected)
    assert bool((expected > 0).any())


def test_the_clock_takes_off_what_the_code_removes_in_a_stream() -> None:
    x = draw(20, 6)
    network = snnconv.convert(prepared(Deep), x, coding=Uneven(), schedule=Concurrent(16))
    first, layer = next(iter(network.populations.values())), next(prepared(Deep).layers.children())
    raster = network.run(x, record=["rasters"]).rasters[first.name]
    drives = (layer(x).detach() / first.scale).flatten().tolist()
    expected = torch.tensor([integrate_fire([each] * 16) for each in drives], dtype=torch.float64)
    assert torch.equal(raster, expected.T.reshape(16, 20, -1))


@dataclass(frozen=True)
class Apart(Code):
    """Another code whose payloads and removals, equal as they are, are two tensors."""

    of: Code = field(default_factory=Rate)

    name: ClassVar[str] = "apart"

    @property
    def period(self) -> int:
        return self.of.period

    @property
    def initial_potential(self) -> float:
        return self.of.initial_potential

    def fire(self, potential: Tensor, t: int, memory: Memory, out: Tensor | None = None) -> Fired:
        emitted, removed, memory = self.of.fire(potential, t, memory, out)
        assert emitted is removed
        return Fired(emitted, removed.clone(), memory)


@pytest.mark.parametrize("code", [Rate(16), Phase(16)], ids=str)
@pytest.mark.parametrize("name", STREAMS)
def test_one_tensor_and_two_equal_ones_are_the_same(name: str, code: Code) -> None:
    build, _ = STREAMS[name]
    assert torch.equal(simulated(build(code), drive(16)), simulated(build(Apart(16, code)), drive(16)))
