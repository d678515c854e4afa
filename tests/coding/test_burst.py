from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coding import Burst, ConfigurationError
from neurons import IntegrateFire

CODES = [
    Burst(),
    Burst(threshold=0.5),
    Burst(threshold=1 / 16, gain=1.5),
    Burst(threshold=0.125, largest_gain=4.0),
    Burst(threshold=0.25, gain=4.0, largest_gain=1.0),
]


def simulate(code: Burst, currents: Tensor, initial: float = 0.0) -> tuple[Tensor, Tensor]:
    """Payloads [T, ...] and potentials after every step [T, ...]."""
    neuron = IntegrateFire(code, initial_potential=initial)
    state, payloads, potentials = neuron.initial(currents[0]), [], []
    for t, current in enumerate(currents):
        payload, state = neuron.step(current.clone(), state, t)
        payloads.append(payload.clone())
        potentials.append(state.potential.clone())
    return torch.stack(payloads), torch.stack(potentials)


def random_currents(seed: int = 0, low: int = -300, high: int = 700) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (80, 128), generator=generator).double() / 1024


def train(code: Burst, value: float, steps: int = 24) -> list[float]:
    """Payloads, in thresholds, of a membrane that holds ``value`` thresholds and gets no more."""
    currents = torch.zeros(steps, 1, dtype=torch.float64)
    currents[0] = value * code.threshold
    return (simulate(code, currents)[0].flatten() / code.threshold).tolist()


@pytest.mark.parametrize("threshold", [1.0, 0.5, 0.125, 1 / 32])
@pytest.mark.parametrize("spikes", range(1, 9))
def test_spikes_in_a_row_carry_a_power_of_two_less_one_threshold(spikes: int, threshold: float) -> None:
    fired = train(Burst(threshold=threshold), 2.0**spikes - 1)
    assert fired == [*(2.0**k for k in range(spikes)), *[0.0] * (24 - spikes)]
    assert sum(fired) == 2**spikes - 1


@pytest.mark.parametrize("gain", [1.5, 3.0, 4.0])
@pytest.mark.parametrize("spikes", range(1, 6))
def test_spikes_in_a_row_carry_a_geometric_sum_for_any_gain(spikes: int, gain: float) -> None:
    total = (gain**spikes - 1) / (gain - 1)
    fired = train(Burst(gain=gain), total)
    assert fired[:spikes] == pytest.approx([gain**k for k in range(spikes)])
    assert sum(fired) == pytest.approx(total)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.75, [0, 0, 0]),
        (1.0, [1, 0, 0]),
        (2.0, [1, 0, 1, 0]),
        (4.0, [1, 2, 0, 1, 0]),
        (6.0, [1, 2, 0, 1, 2, 0]),
        (7.5, [1, 2, 4, 0, 0]),
        (10.0, [1, 2, 4, 0, 1, 2, 0]),
    ],
)
def test_a_silent_step_brings_the_gain_back_to_one(value: float, expected: list[float]) -> None:
    assert train(Burst(), value)[: len(expected)] == expected


@pytest.mark.parametrize("largest", [1.0, 2.0, 4.0, 32.0])
def test_the_gain_is_capped(largest: float) -> None:
    fired = train(Burst(largest_gain=largest), 100.0)
    rising = [min(2.0**k, largest) for k in range(5)]
    assert fired[:5] == rising
    assert max(fired) == largest


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("initial", [0.0, 0.0625, 0.25])
@pytest.mark.parametrize("seed", [0, 1])
def test_charge_is_conserved(seed: int, initial: float, code: Burst) -> None:
    currents = random_currents(seed)
    payloads, potentials = simulate(code, currents, initial)
    torch.testing.assert_close(payloads.sum(0), currents.sum(0) + initial - potentials[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_spike_never_carries_more_than_the_potential(code: Burst) -> None:
    payloads, potentials = simulate(code, random_currents())
    assert bool((payloads > 0).any())
    # Those that fired are left with no less than nothing, the slack of the comparison apart.
    assert float(potentials[payloads > 0].min()) >= -1e-12


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_neuron_fires_whenever_its_potential_reaches_its_present_threshold(code: Burst) -> None:
    currents = random_currents()
    payloads, potentials = simulate(code, currents)
    present = torch.full_like(currents[0], code.threshold)
    for t, payload in enumerate(payloads):
        before = potentials[t] + payload
        assert torch.equal(payload, torch.where(before >= present * (1 - 2.0**-44), present, 0.0))
        grown = (present * code.gain).clamp(max=(code.largest_gain or math.inf) * code.threshold)
        present = torch.where(payload > 0, grown, code.threshold)


@pytest.mark.parametrize("drive", [0.02, 0.1, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("code", CODES[:3], ids=str)
def test_the_mean_payload_of_a_constant_drive_is_the_drive(code: Burst, drive: float) -> None:
    # What is left in the membrane is less than a burst has grown to.
    payloads, potentials = simulate(code, torch.full((400, 1), drive, dtype=torch.float64))
    mean = float(payloads.mean())
    assert mean == pytest.approx(drive - float(potentials[-1]) / 400)
    assert mean == pytest.approx(drive, abs=0.02)


@pytest.mark.parametrize(
    ("code", "steps"),
    [
        (Burst(), 5),  # 8 thresholds: 1 + 2 + 4, a silent step, 1
        (Burst(threshold=0.5), 3),  # 1, a silent step, 1
        (Burst(threshold=1.0), 1),
        (Burst(threshold=1 / 16), 6),  # 1 + 2 + 4 + 8, a silent step, 1
        (Burst(threshold=0.125, largest_gain=1.0), 8),
        (Burst(threshold=0.125, largest_gain=2.0), 6),  # 1 + 2 + 2 + 2, too little for another 2, and 1
    ],
    ids=str,
)
def test_an_input_is_presented_again_when_a_value_of_one_has_been_fired(code: Burst, steps: int) -> None:
    potential, memory = torch.ones(1, dtype=torch.float64), None
    for _ in range(steps):
        assert float(potential) >= code.threshold  # still something to fire
        payload, _, memory = code.fire(potential, 0, memory)
        potential = potential - payload
    assert float(potential) == 0.0
    assert code.presentation == steps


def test_firing_changes_neither_potential_nor_memory() -> None:
    potential, memory = torch.tensor([0.05, 0.2, 0.6]), torch.tensor([0.125, 0.25, 0.5])
    copies = potential.clone(), memory.clone()
    payload, _, grown = Burst().fire(potential, 3, memory)
    assert torch.equal(potential, copies[0]) and torch.equal(memory, copies[1])
    assert payload.tolist() == [0.0, 0.0, 0.5]
    assert grown is not None and grown.tolist() == [0.125, 0.125, 1.0]


def test_burst_code_streams_and_has_no_window() -> None:
    assert Burst.streams and not Burst.windows
    assert not Burst.unit_payload
    assert Burst().period == 1
    assert Burst(threshold=0.5).initial_potential == 0.25


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.5, math.nan])
def test_a_threshold_outside_zero_to_one_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigurationError, match=r"Burst: threshold must lie in \(0, 1\]"):
        Burst(threshold=threshold)


@pytest.mark.parametrize("gain", [1.0, 0.5, -2.0, math.nan])
def test_a_gain_that_does_not_grow_is_refused(gain: float) -> None:
    with pytest.raises(ConfigurationError, match="gain must be above 1"):
        Burst(gain=gain)


@pytest.mark.parametrize("largest", [0.5, 0.0, -1.0, math.nan])
def test_a_cap_below_one_is_refused(largest: float) -> None:
    with pytest.raises(ConfigurationError, match="largest_gain must be at least 1"):
        Burst(largest_gain=largest)
