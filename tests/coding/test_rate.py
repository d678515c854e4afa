from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from coding import Code, ConfigurationError, Rate

STEPS = [1, 2, 3, 7, 16, 64, 100]
#: Values k / 1024: sums of them are exact in both precisions, so a spike count is an integer computation.
NUMERATORS = torch.arange(1025)


@dataclass(frozen=True)
class EmptyRate(Rate):
    """Rate code from an empty membrane."""

    @property
    def initial_potential(self) -> float:
        return 0.0


def exact_values(dtype: torch.dtype) -> torch.Tensor:
    return NUMERATORS.to(dtype) / 1024


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", STEPS)
def test_an_empty_membrane_fires_floor_of_steps_times_value(steps: int, dtype: torch.dtype) -> None:
    train = EmptyRate(steps).encode(exact_values(dtype))
    assert torch.equal(train.sum(0).long(), NUMERATORS * steps // 1024)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", STEPS)
def test_a_half_full_membrane_rounds_half_up(steps: int, dtype: torch.dtype) -> None:
    train = Rate(steps).encode(exact_values(dtype))
    assert torch.equal(train.sum(0).long(), (2 * NUMERATORS * steps + 1024) // 2048)


@pytest.mark.parametrize("steps", STEPS)
def test_a_train_has_time_first_and_holds_zeros_and_ones(steps: int) -> None:
    values = exact_values(torch.float32)[:1024].view(4, 16, 16)
    train = Rate(steps).encode(values)
    assert train.shape == (steps, 4, 16, 16)
    assert train.dtype == values.dtype
    assert set(train.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("steps", STEPS)
def test_decoding_a_train_is_off_by_half_a_level_at_most(steps: int) -> None:
    values = exact_values(torch.float64)
    decoded = Rate(steps).decode(Rate(steps).encode(values))
    assert float((decoded - values).abs().max()) <= 0.5 / steps + 1e-15


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", STEPS)
def test_coding_a_decoded_value_again_changes_nothing(steps: int, dtype: torch.dtype) -> None:
    code = Rate(steps)
    once = code.decode(code.encode(exact_values(dtype)))
    assert torch.equal(code.decode(code.encode(once)), once)


@pytest.mark.parametrize("steps", STEPS)
def test_values_outside_zero_and_one_saturate(steps: int) -> None:
    values = torch.tensor([-3.0, -0.25, 1.0, 1.5, 7.0])
    code = Rate(steps)
    assert code.decode(code.encode(values)).tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_decoding_is_linear_in_the_train() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 16, 5, generator=generator, dtype=torch.float64)
    code = Rate(16)
    torch.testing.assert_close(code.decode(2 * first - 3 * second), 2 * code.decode(first) - 3 * code.decode(second))


def test_encoding_leaves_the_values_as_they_are() -> None:
    values = torch.tensor([0.0, 0.3, 1.0])
    before = values.clone()
    Rate(9).encode(values)
    assert torch.equal(values, before)


def test_firing_leaves_the_potential_as_it_is() -> None:
    potential = torch.tensor([-1.0, 0.5, 1.0, 2.5])
    before = potential.clone()
    payload, _, _ = Rate(4).fire(potential, 0, None)
    assert torch.equal(potential, before)
    assert payload.tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("steps", [0, -1, True, 2.0, 1.5, "8", None])
def test_steps_must_be_an_integer_of_at_least_one(steps: object) -> None:
    with pytest.raises(ConfigurationError, match="steps must be an integer of at least 1"):
        Rate(steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("code", [Rate, EmptyRate])
def test_a_window_counts_the_spikes_that_a_constant_drive_makes(
    code: type[Rate], steps: int, dtype: torch.dtype
) -> None:
    values = torch.cat([exact_values(dtype), torch.tensor([-2.0, -0.25, 1.25, 9.0], dtype=dtype)])
    found = code(steps).quantize(values)
    assert found.spikes is not None and found.updates is not None
    assert torch.equal(found.spikes, code(steps).encode(values).sum(0))
    assert torch.equal(found.values, found.spikes / steps)
    assert bool((found.updates == steps).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [1, 3, 7, 10, 31, 64, 100, 256])
def test_the_closed_form_counts_the_spikes_of_a_window_fired_step_by_step(steps: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(steps)
    drawn = torch.rand(2000, generator=generator, dtype=dtype) * 1.4 - 0.2
    halves = (torch.arange(2 * steps + 1, dtype=dtype) - 0.5) / steps  # where rounding to a count turns
    values = torch.cat([drawn, halves, halves + 0.5 / steps])
    code = Rate(steps)
    for found, expected in zip(code.quantize(values), Code.quantize(code, values), strict=True):
        assert found is not None and expected is not None
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("code", [Rate(1), Rate(3), Rate(64), Rate(1000), EmptyRate(16)], ids=repr)
def test_counts_that_are_looked_up_are_those_that_are_computed_to_the_bit(code: Rate, dtype: torch.dtype) -> None:
    """On both sides of every threshold, far outside of the range, and anywhere."""
    levels = code.tabulated(dtype, torch.device("cpu"))
    assert levels is not None and len(levels.values) == code.steps + 1
    reached = levels.following[:-1].view(dtype)
    anywhere = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    outside = torch.tensor([0.0, -0.0, 1e9, -1e9, float("inf"), -float("inf")], dtype=dtype)
    values = torch.cat([reached, reached.nextafter(reached.new_zeros(1)), anywhere, outside])
    computed = code.quantize(values)
    assert computed.spikes is not None
    assert torch.equal(computed.spikes[: code.steps], torch.arange(1, code.steps + 1, dtype=dtype))
    for looked_up, expected in zip(levels(values, counted=True), computed, strict=True):
        assert torch.equal(looked_up, expected)


def test_windows_of_many_counts_or_without_bits_to_go_by_are_computed() -> None:
    assert Rate(2**20).tabulated(torch.float64, torch.device("cpu")) is None
    assert Rate(4).tabulated(torch.bfloat16, torch.device("cpu")) is None


def test_the_spikes_of_a_window_fill_its_first_steps() -> None:
    code, values = Rate(10), torch.linspace(0, 1, 41, dtype=torch.float64)
    potential, counts = values * 10 + 0.5, code.quantize(values).spikes
    for t in range(10):
        payload, _, _ = code.fire(potential, t, None)
        potential = potential - payload
        assert counts is not None and torch.equal(payload, (counts > t).double())
