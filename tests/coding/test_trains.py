"""What the spike trains of window codes look like, and how they are ordered."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from coding import TTFS, ConfigurationError, FewSpike, OneSpike, Phase
from coding.window.closed_form import trains
from coding.window.rounding import ROUNDINGS, Rounding
from coding.window.window_code import WindowCode

CODES: list[WindowCode] = [
    Phase(8),
    Phase(6, 1.5),
    TTFS(20, 5.0),
    TTFS(20, 4.0, -2.5, "geometric"),
    OneSpike(12, 1.3),
    OneSpike(12, 2.0, "floor"),
    *[FewSpike(8, base, spikes, rounding) for base in (1.4, 2.0) for spikes in (1, 3, 8) for rounding in ROUNDINGS],
]
IDEMPOTENT = [
    *[OneSpike(steps, base, rounding) for steps in (6, 24) for base in (1.16, 2.0, 3.0) for rounding in ROUNDINGS],
    *[TTFS(steps, steps / 4, delay, rounding) for steps in (20, 80) for delay in (0.0, -2.5) for rounding in ROUNDINGS],
    *[Phase(steps) for steps in (4, 8, 12)],
    *[FewSpike(8, 2.0, spikes, rounding) for spikes in (1, 2, 3, 8) for rounding in ROUNDINGS],
]


def values_for(code: WindowCode, dtype: torch.dtype = torch.float64) -> Tensor:
    """Values from below zero to beyond the largest level, in rising order."""
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(3000, generator=generator, dtype=dtype) * 1.3 - 0.1).mul_(code.maximum).sort().values


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_train_holds_the_payload_of_each_step_or_nothing(code: WindowCode) -> None:
    payloads = torch.tensor(code.table().payloads, dtype=torch.float64)[:, None]
    train = code.encode(values_for(code))
    assert train.shape == (code.steps, 3000)
    assert bool(((train == 0) | (train == payloads)).all())


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_train_has_as_many_spikes_as_the_limit_at_most_and_some_train_has(code: WindowCode) -> None:
    counts = (code.encode(values_for(code)) != 0).sum(0)
    assert int(counts.max()) == (code.limit or code.steps)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_payload_that_the_potential_reaches_is_fired_while_spikes_are_left(code: WindowCode) -> None:
    potential, fired = values_for(code), torch.zeros(3000)
    for payload, spikes in zip(code.table().payloads, code.encode(potential) != 0, strict=True):
        due = (potential >= payload * (1 + 1e-12)) & (fired < (code.limit or code.steps))
        assert bool(spikes[due].all())
        potential, fired = potential - payload * spikes, fired + spikes.float()
    assert bool(fired.any())


@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_larger_value_has_the_lexicographically_larger_train(code: WindowCode) -> None:
    spikes = (code.encode(values_for(code)) != 0).long()
    order = sum(spikes[t] << (code.steps - 1 - t) for t in range(code.steps))
    assert isinstance(order, Tensor)
    assert bool((order.diff() >= 0).all())
    assert int((order.diff() > 0).sum()) >= code.steps // 2


def falls_somewhere(code: WindowCode) -> bool:
    """Whether some value decodes to less than a smaller value does."""
    decoded = [train.value for train in trains(code.table(), 0.0)]
    return any(later > earlier + 1e-9 for earlier, later in pairwise(decoded))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("steps", [5, 8, 12])
@pytest.mark.parametrize("spikes", [1, 2, 3, 5])
def test_decoding_is_monotone_from_base_two_on(spikes: int, steps: int, rounding: Rounding) -> None:
    assert not any(falls_somewhere(FewSpike(steps, base, spikes, rounding)) for base in (2.0, 2.5, 4.0))


@pytest.mark.parametrize("base", [1.05, 1.2, 1.4, 1.6, 1.8])
@pytest.mark.parametrize("spikes", [1, 2, 3, 8])
def test_decoding_is_monotone_for_any_base_when_every_spike_is_floored(spikes: int, base: float) -> None:
    assert not falls_somewhere(FewSpike(8, base, spikes, "floor"))


@pytest.mark.parametrize("rounding", ["arithmetic", "geometric", "lookahead"])
@pytest.mark.parametrize("spikes", [2, 3, 8])
def test_rounding_several_spikes_below_base_two_decodes_some_larger_values_to_less(
    spikes: int, rounding: Rounding
) -> None:
    assert falls_somewhere(FewSpike(8, 1.6, spikes, rounding))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("code", IDEMPOTENT, ids=str)
def test_quantising_a_quantised_value_changes_nothing(code: WindowCode, dtype: torch.dtype) -> None:
    once = code.quantize(values_for(code, dtype))
    again = code.quantize(once.values)
    assert torch.equal(again.values, once.values)
    assert again.spikes is not None and once.spikes is not None
    assert torch.equal(again.spikes, once.spikes)


def test_several_spikes_to_a_base_below_two_are_not_idempotent_with_lookahead() -> None:
    # The best representation of a level may differ from the train that was fired for a value near it.
    code = FewSpike(8, 1.4, 3)
    once = code.quantize(values_for(code)).values
    assert not torch.allclose(code.quantize(once).values, once)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_values_at_and_below_zero_are_silent(code: WindowCode) -> None:
    assert not code.encode(torch.tensor([0.0, -0.0, -1e-9, -0.5, -7.0])).any()


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("excess", [1.0, 1.5, 1e6])
def test_values_from_the_maximum_on_saturate(code: WindowCode, excess: float) -> None:
    largest = code.maximum
    assert largest == pytest.approx(math.fsum(code.table().payloads[: code.limit]))
    values = torch.tensor([largest * excess], dtype=torch.float64)
    assert float(code.quantize(values).values) == pytest.approx(largest)
    assert (code.encode(values) != 0).flatten().tolist() == [t < (code.limit or code.steps) for t in range(code.steps)]


@pytest.mark.parametrize("code", CODES, ids=str)
def test_encoding_and_decoding_is_quantising(code: WindowCode) -> None:
    values = values_for(code)
    found = code.quantize(values)
    train = code.encode(values)
    torch.testing.assert_close(code.decode(train), found.values, rtol=1e-14, atol=0)
    assert found.spikes is not None and torch.equal((train != 0).double().sum(0), found.spikes)


@pytest.mark.parametrize("code", [c for c in CODES if c.limit is not None], ids=str)
def test_updates_end_with_the_last_spike_allowed(code: WindowCode) -> None:
    values = values_for(code)
    fired = (code.encode(values) != 0).cumsum(0)
    expected = 1 + (fired[:-1] < code.limit).double().sum(0)
    assert torch.equal(code.quantize(values).updates, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", CODES, ids=str)
def test_trains_divide_the_values_into_intervals_from_the_largest_down(code: WindowCode) -> None:
    found = list(trains(code.table(), 0.0))
    lowest = [train.lowest for train in found]
    assert lowest == sorted(lowest, reverse=True)
    assert (found[-1].lowest, found[-1].value, found[-1].spikes) == (-math.inf, 0.0, 0)
    assert found[0].value == pytest.approx(code.maximum)


@pytest.mark.parametrize("code", [Phase(4), TTFS(4, 3.0), OneSpike(4, 2.0), FewSpike(4, 2.0, 2)], ids=str)
def test_a_second_window_starts_afresh(code: WindowCode) -> None:
    potential, memory = torch.tensor([0.8, 0.3, 0.05]), None
    payloads = []
    for t in range(8):
        if t == 4:
            potential = torch.tensor([0.8, 0.3, 0.05])
        payload, _, memory = code.fire(potential, t, memory)
        potential = potential - payload
        payloads.append(payload)
    assert torch.equal(torch.stack(payloads[:4]), torch.stack(payloads[4:]))
    assert bool((torch.stack(payloads[:4]) != 0).any(0)[0])


@pytest.mark.parametrize("base", [1.0, 0.5, -2.0, 65.0, True, None, "best", float("nan")])
@pytest.mark.parametrize("family", [Phase, OneSpike, FewSpike])
def test_a_base_that_makes_no_levels_is_refused(family: type[Phase], base: object) -> None:
    with pytest.raises(ConfigurationError, match=r"base must be 'fit' or a number above 1"):
        family(8, base=base)  # type: ignore[arg-type]


@pytest.mark.parametrize("spikes", [0, 9, -1, 2.0, True])
def test_a_limit_outside_the_window_is_refused(spikes: object) -> None:
    with pytest.raises(ConfigurationError, match="spikes must lie between 1 and the 8 steps"):
        FewSpike(8, 2.0, spikes)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda r: OneSpike(8, 2.0, r), lambda r: TTFS(8, rounding=r)])
def test_a_rounding_that_there_is_not_is_refused_with_those_there_are(make: type[OneSpike]) -> None:
    with pytest.raises(ConfigurationError, match="floor, arithmetic, geometric, lookahead"):
        make("up")  # type: ignore[arg-type]


@pytest.mark.parametrize("tau", [0.0, -1.0, "best", None, math.inf, math.nan])
def test_a_tau_that_is_no_time_constant_is_refused(tau: object) -> None:
    with pytest.raises(ConfigurationError, match="tau must be fit, gradient, sample-gradient or a positive number"):
        TTFS(8, tau)  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [8.0, -8.0, math.nan])
def test_a_delay_beyond_the_window_is_refused(delay: float) -> None:
    with pytest.raises(ConfigurationError, match="delay must lie within the 8 steps"):
        TTFS(8, 2.0, delay)


@pytest.mark.parametrize(
    "code", [OneSpike(8), FewSpike(8), Phase(8, "fit"), TTFS(8, "fit"), TTFS(8, "gradient")], ids=str
)
def test_a_code_that_is_still_to_be_fitted_says_so(code: WindowCode) -> None:
    assert code.free_parameter in ("fit", "gradient")
    with pytest.raises(ConfigurationError, match="is fitted by convert"):
        code.encode(torch.ones(1))
