"""Input neurons with the code of a hidden population."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coding import TTFS, Burst, Code, ConfigurationError, FewSpike, OneSpike, Phase, Rate, SpikeInput

VALUES = torch.linspace(0, 1, 257, dtype=torch.float64)
STREAMS = [Phase(8), Phase(3), Phase(5, 1.5), Burst(), Burst(threshold=0.5), Burst(largest_gain=2.0), Rate(16)]
WINDOWS = [OneSpike(8, 1.44), TTFS(20, 5.0), FewSpike(8, 2.0, 3), Phase(8)]


def present(code: Code, values: Tensor, steps: int) -> Tensor:
    """Payloads [T, ...] of an input over ``steps``."""
    source = SpikeInput(code)
    state, payloads = source.initial(values), []
    for t in range(steps):
        payload, state = source.step(values, state, t, None)
        payloads.append(payload.clone())
    return torch.stack(payloads)


@pytest.mark.parametrize("steps", [4, 8])
def test_a_phase_input_presents_the_binary_expansion(steps: int) -> None:
    numerators = torch.arange(2**steps)
    payloads = present(Phase(steps), numerators.double() / 2**steps, steps)
    assert torch.equal((payloads != 0).long(), torch.stack([numerators >> (steps - 1 - t) & 1 for t in range(steps)]))
    assert torch.equal(payloads.sum(0), numerators.double() / 2**steps)


def test_a_phase_input_carries_what_is_left_to_the_next_period() -> None:
    # A quarter of the last phase is left over each period, so that every fourth period presents one phase more.
    values = torch.tensor([5.25 / 8], dtype=torch.float64)
    periods = present(Phase(3), values, 24).view(8, 3).sum(1) * 8
    assert periods.tolist() == [5, 5, 5, 6, 5, 5, 5, 6]


@pytest.mark.parametrize("steps", [3, 8])
def test_periods_repeat_when_nothing_is_left(steps: int) -> None:
    values = torch.arange(2**steps).double() / 2**steps
    payloads = present(Phase(steps), values, 3 * steps).view(3, steps, -1)
    assert torch.equal(payloads[0], payloads[1]) and torch.equal(payloads[0], payloads[2])


@pytest.mark.parametrize("code", STREAMS, ids=str)
def test_an_input_fires_the_value_once_a_period_but_for_what_its_membrane_holds(code: Code) -> None:
    source, periods = SpikeInput(code), 12
    values = VALUES[:-1] * (code.maximum if isinstance(code, Phase) else 1.0)
    state, total = source.initial(values), torch.zeros_like(values)
    for t in range(periods * source.period):
        payload, state = source.step(values, state, t, None)
        total += payload
    given = periods * values + code.initial_potential
    torch.testing.assert_close(total + state[0], given, rtol=0, atol=1e-12)
    assert float((total / periods - values).abs().max()) <= 1.01 / periods
    assert source.period == code.presentation


def test_a_burst_input_is_loaded_again_when_a_value_of_one_is_fired() -> None:
    # 1 is 8 thresholds: 1 + 2 + 4, a silent step, and 1. No silent step divides that spike from the next period, so
    # its burst goes on: 2 + 4, a silent step, 1, and one threshold is left beside the half there was before.
    payloads = present(Burst(), torch.ones(1, dtype=torch.float64), 10).view(2, 5) * 8
    assert payloads.tolist() == [[1, 2, 4, 0, 1], [2, 4, 0, 1, 0]]


@pytest.mark.parametrize("value", [0, 1, 3, 7, 10, 16])
def test_a_rate_input_fires_evenly(value: int) -> None:
    fired = present(Rate(16), torch.tensor([value / 16], dtype=torch.float64), 16).flatten()
    assert fired.cumsum(0).long().tolist() == [((t + 1) * value + 8) // 16 for t in range(16)]  # rounded half up


@pytest.mark.parametrize("code", WINDOWS, ids=str)
def test_in_a_window_an_input_fires_the_train_of_its_value(code: Code) -> None:
    assert torch.equal(present(code, VALUES, code.steps), code.encode(VALUES))


@pytest.mark.parametrize("code", STREAMS, ids=str)
def test_values_and_payloads_may_be_shaped_and_typed_freely(code: Code) -> None:
    values = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    before = values.clone()
    payloads = present(code, values, 16)
    assert (payloads.shape, payloads.dtype) == ((16, 2, 3, 4), torch.float32)
    assert torch.equal(values, before)
    torch.testing.assert_close(payloads[:, 1, 2, 3], present(code, values[1, 2, 3], 16))


def test_it_names_its_code() -> None:
    assert SpikeInput(Burst()).code == Burst()


@pytest.mark.parametrize("code", [OneSpike(8), FewSpike(8), Phase(8, "fit"), TTFS(8, "gradient")], ids=str)
def test_an_input_is_fitted_to_nothing_so_its_code_must_be_all_numbers(code: Code) -> None:
    with pytest.raises(ConfigurationError, match="nothing is fitted to an input"):
        SpikeInput(code)
