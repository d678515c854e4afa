"""Window codes of different papers are one family: where two of them coincide, and what their formulas say."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from coding import TTFS, Code, FewSpike, OneSpike, Phase
from coding.window.rounding import ROUNDINGS, Rounding

BASES = [1.1, 1.16, 1.5, 2.0, 3.0]


def values(count: int = 4000, largest: float = 1.3) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, generator=generator, dtype=torch.float64) * (largest + 0.1) - 0.1


def assert_same_trains(first: Code, second: Code, x: Tensor, scale: float = 1.0) -> None:
    """``second`` sees ``scale`` times the value, and its payloads are that much larger."""
    expected = first.encode(x) * scale
    assert bool(expected.any())
    torch.testing.assert_close(second.encode(x * scale), expected, rtol=1e-12, atol=0)
    found, other = first.quantize(x), second.quantize(x * scale)
    assert found.spikes is not None and other.spikes is not None
    assert torch.equal(found.spikes, other.spikes)
    torch.testing.assert_close(other.values, found.values * scale, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("base", BASES)
def test_few_spikes_limited_to_one_are_one_spike_coding(base: float, rounding: Rounding) -> None:
    assert FewSpike(10, base, 1, rounding).table() == OneSpike(10, base, rounding).table()
    assert_same_trains(OneSpike(10, base, rounding), FewSpike(10, base, 1, rounding), values())


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("steps", [1, 4, 8, 12])
def test_few_spikes_without_a_limit_and_without_rounding_are_phase_coding_one_phase_earlier(
    steps: int, base: float
) -> None:
    # A phase is worth base^-(1 + t), a few-spike payload base^-t.
    assert_same_trains(Phase(steps, base), FewSpike(steps, base, steps, "floor"), values(), scale=base)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("base", BASES)
def test_one_spike_coding_is_time_to_first_spike_with_tau_from_the_base(base: float, rounding: Rounding) -> None:
    assert_same_trains(OneSpike(16, base, rounding), TTFS(16, 1 / math.log(base), 0.0, rounding), values())


@pytest.mark.parametrize("delay", [-3.0, -0.7, 1.5])
@pytest.mark.parametrize("rounding", ["floor", "arithmetic", "geometric", "lookahead"])
def test_a_delay_scales_all_levels(rounding: Rounding, delay: float) -> None:
    plain, delayed = TTFS(20, 5.0, 0.0, rounding), TTFS(20, 5.0, delay, rounding)
    assert_same_trains(plain, delayed, values(), scale=math.exp(delay / 5.0))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("family", [OneSpike, FewSpike, Phase])
def test_with_base_makes_levels_of_that_base(family: type[OneSpike], base: float) -> None:
    payloads = family(6).with_base(base).table().payloads
    assert [later / earlier for earlier, later in pairwise(payloads)] == pytest.approx([1 / base] * 5)
    assert TTFS(6).with_base(base).table().payloads[1] == pytest.approx(1 / base)


@pytest.mark.parametrize(("rounding", "factor"), [("floor", lambda b: 1.0), ("arithmetic", lambda b: (1 + 1 / b) / 2)])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("steps", [4, 12, 24])
def test_a_membrane_that_grows_under_a_constant_threshold_fires_the_same_trains(
    steps: int, base: float, rounding: Rounding, factor: object
) -> None:
    # Hwang and Kung 2024: V <- B V at every step, and a spike where V reaches B^T (1 + 1/B) / 2, once.
    assert callable(factor)
    x = values()
    threshold = base**steps * factor(base) * (1 - 2.0**-44)
    membrane = x * base ** (steps - 1)  # at the end of integration
    fired, train = torch.zeros_like(x, dtype=torch.bool), []
    for _ in range(steps):
        membrane = membrane * base
        spikes = (membrane >= threshold) & ~fired
        fired |= spikes
        train.append(spikes)
    assert torch.equal(torch.stack(train), OneSpike(steps, base, rounding).encode(x) != 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [1, 4, 8, 12])
def test_phases_are_the_leading_binary_digits(steps: int, dtype: torch.dtype) -> None:
    numerators = torch.arange(4096)
    x = numerators.to(dtype) / 4096
    train = Phase(steps).encode(x)
    digits = torch.stack([(numerators >> (11 - t)) & 1 for t in range(steps)])
    assert torch.equal((train != 0).long(), digits)
    assert torch.equal(train.sum(0), (x * 2**steps).floor() / 2**steps)


def test_eight_phases_floor_to_the_256th() -> None:
    x = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(Phase().encode(x).sum(0), (256 * x).floor() / 256)
    assert torch.equal(Phase().quantize(x).values, (256 * x).floor() / 256)


@pytest.mark.parametrize("delay", [0.0, -3.3, 2.6])
@pytest.mark.parametrize(("steps", "tau"), [(80, 20.0), (20, 5.0), (80, 10.0)])
def test_time_to_first_spike_is_the_logarithm_of_the_value_rounded_up(steps: int, tau: float, delay: float) -> None:
    # T2FSNN: t_f = ceil(t_d - tau ln x), no earlier than 0, and silent from T on.
    code, x = TTFS(steps, tau, delay), values()
    time = (delay - tau * x.clamp(min=1e-300).log()).ceil().clamp(min=0)
    silent = (x <= 0) | (time > steps - 1)
    spikes = code.encode(x) != 0
    assert torch.equal(spikes.any(0), ~silent)
    assert torch.equal(spikes.long().argmax(0)[~silent].double(), time[~silent])
    decoded = torch.where(silent, 0.0, torch.exp(-(time - delay) / tau))
    torch.testing.assert_close(code.quantize(x).values, decoded, rtol=1e-12, atol=0)
    assert 0.0 < float(silent.double().mean()) < 0.5


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("steps", [4, 24])
def test_one_spike_phases_follow_the_formula_of_the_threshold_shift(steps: int, base: float) -> None:
    # k = max(0, ceil(log_B((1 + 1/B) / (2 x)))), silent for k > T - 1.
    x = values()
    exponent = torch.log((1 + 1 / base) / (2 * x.clamp(min=1e-300))) / math.log(base)
    phase = exponent.ceil().clamp(min=0)
    expected = torch.where((x <= 0) | (phase > steps - 1), 0.0, base**-phase)
    torch.testing.assert_close(OneSpike(steps, base, "arithmetic").quantize(x).values, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("spikes", [2, 3, 5])
def test_few_spikes_to_base_two_without_rounding_are_the_first_binary_digits_that_are_set(spikes: int) -> None:
    numerators = torch.arange(256)
    kept = []
    for number in numerators.tolist():
        digits = [bit for bit in range(7, -1, -1) if number >> bit & 1][:spikes]
        kept.append(sum(2**bit for bit in digits) / 128)
    found = FewSpike(8, 2.0, spikes, "floor").quantize(numerators.double() / 128).values
    assert found.tolist() == kept
