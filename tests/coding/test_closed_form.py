"""The closed form of a window code is what its firing rule makes step by step."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from coding import TTFS, Burst, Code, FewSpike, OneSpike, Phase
from coding.neural_code import Quantized
from coding.window.closed_form import Levels, levels_of, trains
from coding.window.rounding import ROUNDINGS
from coding.window.window_code import WindowCode

DTYPES = [torch.float32, torch.float64]
CPU = torch.device("cpu")

ONE_SPIKE = [
    *[OneSpike(steps, base, rounding) for steps in (1, 4, 24) for base in (1.16, 2.0) for rounding in ROUNDINGS],
    *[TTFS(20, 5.0, delay, rounding) for delay in (0.0, -3.5, 2.25) for rounding in ROUNDINGS],
    TTFS(80),
    FewSpike(12, 1.3, 1),
]
#: Payloads and thresholds are multiples of powers of two, so that ties are ties in any precision.
BINARY = [
    *[Phase(steps) for steps in (1, 2, 8, 12)],
    *[FewSpike(steps, 2.0, spikes) for steps in (2, 8, 12) for spikes in (2, steps)],
    *[FewSpike(8, 2.0, 3, rounding) for rounding in ("floor", "arithmetic", "lookahead")],
    FewSpike(8, 4.0, 2, "floor"),
    FewSpike(20, 2.0, 3),
    FewSpike(16, 2.0, 3, "arithmetic"),
    # Sums with the last threshold have one digit more than single and double precision hold.
    FewSpike(24, 2.0, 3),
    FewSpike(24, 2.0, 2, "arithmetic"),
    FewSpike(53, 2.0, 2),
    FewSpike(53, 2.0, 2, "floor"),
]
#: Sums of these payloads are rounded; the smallest is not far below the largest.
ROUNDED = [
    *[FewSpike(8, base, spikes) for base in (1.2, 1.43, 1.9) for spikes in (2, 3, 8)],
    *[FewSpike(10, 1.5, 3, rounding) for rounding in ROUNDINGS],
    Phase(8, 1.5),
    FewSpike(24, 1.2, 2),
]
#: As above, and the smallest payload is far below the largest.
WIDE = [FewSpike(12, 3.0, 3), FewSpike(16, 1.7, 4, "geometric"), FewSpike(24, 2.0, 3, "geometric"), Phase(12, 1.7)]
ALL = [*ONE_SPIKE, *BINARY, *ROUNDED, *WIDE]


def closed_form(code: WindowCode, dtype: torch.dtype) -> Levels:
    found = levels_of(code.table(), dtype, CPU)
    assert found is not None
    return found


def ties(code: WindowCode, dtype: torch.dtype) -> Tensor:
    """Values that lie on levels, and on thresholds that they meet after some spikes."""
    limits = [train.lowest for train in trains(code.table(), 0.0)][:-1]
    levels = [train.value for train in trains(code.table(), 0.0)]
    return torch.tensor([*limits, *levels], dtype=torch.float64).to(dtype)


def drawn(code: WindowCode, dtype: torch.dtype, count: int = 4000) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    values = torch.rand(count, generator=generator, dtype=dtype) * (1.25 * code.maximum) - 0.1 * code.maximum
    spread = torch.rand(count, generator=generator, dtype=dtype).mul_(-30).exp2_() * code.maximum
    return torch.cat([values, spread])


def assert_alike(code: Code, values: Tensor) -> None:
    found, expected = code.quantize(values), Code.quantize(code, values)
    for name in ("spikes", "updates"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    # The order of additions differs, so sums of several payloads differ by rounding; a lone payload is the same.
    torch.testing.assert_close(found.values, expected.values, rtol=4 * torch.finfo(values.dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", ALL, ids=str)
def test_any_value_has_the_window_that_the_firing_rule_gives_it(code: WindowCode, dtype: torch.dtype) -> None:
    assert_alike(code, drawn(code, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", [*ONE_SPIKE, *BINARY], ids=str)
def test_values_on_levels_and_thresholds_are_ties_at_which_both_fire_the_same_spikes(
    code: WindowCode, dtype: torch.dtype
) -> None:
    assert_alike(code, ties(code, dtype))


@pytest.mark.parametrize("code", [*ROUNDED, *WIDE], ids=str)
def test_ties_between_rounded_sums_give_the_same_spikes_in_double_precision(code: WindowCode) -> None:
    assert_alike(code, ties(code, torch.float64))


@pytest.mark.parametrize("ulps", [16, -16])
@pytest.mark.parametrize("code", [code for code in ALL if code.table().payloads[-1] > 2.0**-40], ids=str)
def test_the_rounding_error_of_a_sum_as_large_as_the_window_changes_no_spike_of_a_tie(
    code: WindowCode, ulps: int
) -> None:
    # However small the threshold that is met: the error of a sum does not shrink with it.
    values = ties(code, torch.float64)
    disturbed = values + ulps * math.ulp(code.maximum)
    wide = torch.ones_like(values, dtype=torch.bool)
    if code in (*ROUNDED, *WIDE):  # whose trains may lie within rounding errors of each other
        sizes = torch.tensor([train.lowest for train in trains(code.table(), 0.0)][:-1], dtype=torch.float64)
        gaps = (values[:, None] - sizes).abs()
        wide = ((gaps < 1e-15) | (gaps > 1e-11)).all(1)
    assert bool(wide.any())
    encoders: list[Callable[[Tensor], Quantized]] = [code.quantize, lambda each: Code.quantize(code, each)]
    for encode in encoders:
        found, expected = encode(disturbed[wide]), encode(values[wide])
        for name in ("spikes", "updates"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", ALL, ids=str)
def test_values_at_the_ends_of_the_range_are_those_of_the_firing_rule(code: WindowCode, dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    assert_alike(code, torch.tensor([0.0, -0.0, tiny, -tiny, tiny / 8, -1e-3, -1.0, -1e30, 1e30], dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", [*ONE_SPIKE[:4], *BINARY, *ROUNDED], ids=str)
def test_infinity_saturates_and_minus_infinity_is_silent(code: WindowCode, dtype: torch.dtype) -> None:
    values = torch.tensor([math.inf, -math.inf], dtype=dtype)
    for found in (code.quantize(values), Code.quantize(code, values)):
        assert found.spikes is not None
        torch.testing.assert_close(found.values, torch.tensor([code.maximum, 0.0], dtype=dtype))
        assert found.spikes.tolist() == [code.limit or code.steps, 0]


@pytest.mark.parametrize("code", [OneSpike(8, 1.44), FewSpike(8, 2.0, 3), Phase(6), TTFS(20, 5.0)], ids=str)
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.view(4, 6, 5, 8),
        lambda x: x.view(4, 6, 5, 8).to(memory_format=torch.channels_last),
        lambda x: x.view(4, 6, 5, 8).permute(3, 1, 0, 2),
        lambda x: x.view(30, 32)[:, ::3],
        lambda x: x.view(30, 32)[3:4].expand(5, 32),
        lambda x: x[:0].view(0, 7),
        lambda x: x[17],
        lambda x: x.view(1, -1, 1),
    ],
    ids=["plain", "channels last", "permuted", "strided", "expanded", "empty", "no axes", "single axes"],
)
def test_values_of_any_shape_and_layout_are_quantised_element_by_element(
    arrange: Callable[[Tensor], Tensor], counted: bool, code: WindowCode
) -> None:
    flat = torch.rand(960, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    values = arrange(flat)
    before = values.clone()
    found, expected = code.quantize(values, counted), [arrange(x) for x in Code.quantize(code, flat)]  # type: ignore[arg-type]
    torch.testing.assert_close(found.values, expected[0], rtol=5e-7, atol=0)
    if counted:
        assert found.spikes is not None and found.updates is not None
        assert torch.equal(found.spikes, expected[1]) and torch.equal(found.updates, expected[2])
    else:
        assert found.spikes is None and found.updates is None
    assert torch.equal(values, before)


def test_a_layout_is_kept() -> None:
    values = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    for tensor in OneSpike(8, 1.44).quantize(values):
        assert tensor is not None and tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("code", [*BINARY, *ROUNDED], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_alone_are_the_values_with_counts(code: WindowCode, dtype: torch.dtype) -> None:
    values = torch.cat([drawn(code, dtype), ties(code, dtype), torch.tensor([math.inf, 1e30], dtype=dtype)])
    counted, alone = code.quantize(values), code.quantize(values, counted=False)
    torch.testing.assert_close(alone.values, counted.values, rtol=4 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("code", [Phase(20), FewSpike(30, 2.0, 8)], ids=str)
def test_a_code_with_too_many_trains_is_encoded_step_by_step(code: WindowCode) -> None:
    assert levels_of(code.table(), torch.float64, CPU) is None
    values = torch.rand(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    payloads, found = code.encode(values), code.quantize(values)
    torch.testing.assert_close(found.values, payloads.sum(0), rtol=1e-14, atol=0)
    assert found.spikes is not None and torch.equal(found.spikes, (payloads != 0).double().sum(0))


@pytest.mark.parametrize("code", [OneSpike(8, 2.0), Phase(4), FewSpike(8, 2.0, 3), Burst(8)], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions_are_encoded_step_by_step(code: Code, dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 0.125, 0.25, 0.5, 0.75, 0.875, -0.5], dtype=dtype)
    found, exact = code.quantize(values), code.quantize(values.double())
    assert found.values.dtype == dtype
    assert torch.equal(found.values.double(), exact.values)
    assert found.spikes is not None and exact.spikes is not None
    assert torch.equal(found.spikes.double(), exact.spikes)


@pytest.mark.parametrize(("code", "number"), [
    *[(OneSpike(steps, 1.3), steps + 1) for steps in (1, 8, 24)],
    *[(TTFS(steps, steps / 4), steps + 1) for steps in (1, 20, 80)],
    *[(Phase(steps), 2**steps) for steps in (1, 8, 12)],
    *[(FewSpike(steps, 2.0, spikes), sum(math.comb(steps, n) for n in range(spikes + 1)))
      for steps, spikes in ((8, 1), (8, 2), (8, 3), (12, 3), (8, 8))],
])  # fmt: skip
def test_the_number_of_trains_is_that_of_combinatorics(code: WindowCode, number: int) -> None:
    assert len(closed_form(code, torch.float64).values) == number


@pytest.mark.parametrize("steps", [8, 10, 12])
def test_a_base_below_two_leaves_trains_unused(steps: int) -> None:
    # Payloads overlap: a first spike that is due cannot wait, so many combinations never occur.
    assert len(closed_form(FewSpike(steps, 1.3, steps, "floor"), torch.float64).values) < 2**steps / 2
