"""Integers keep the decisions of an ordinary network, or are refused; what may be chance is warned of."""

from __future__ import annotations

import functools
import re
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import snnconv
from coding import Burst, Concurrent, FewSpike, Phase, Pipeline, Rate
from hw_export.integers.assessment import assessed, check_loss
from hw_export.integers.built_in import with_hard_reset
from hw_export.integers.declared import LIF
from hw_export.integers.fidelity import chunks_of, fidelity, outputs_of
from hw_export.integers.input_bits import FIRST_BITS
from hw_export.integers.quantization import quantize
from hw_export.integers.rewriting import rewritten
from hw_export.integers.simulation import integer_simulation
from snnconv import ConfigurationError, SpikingNetwork
from snnconv.data import load_digits


@functools.cache
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    """A perceptron of many inputs, trained on digits of 28 x 28 pixels, with samples to calibrate it and to test it."""
    torch.manual_seed(0)
    loaded = load_digits()
    (train, labels), (test, _) = loaded.train, loaded.test
    images, test = (functional.interpolate(each, size=28, mode="bilinear") for each in (train, test))
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for batch in torch.randperm(len(images)).split(50) * 6:
        optimizer.zero_grad()
        functional.cross_entropy(model(images[batch]), labels[batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval(), images[:300], test


CODES = (Rate(32), Rate(64), Rate(128), Burst(32, largest_gain=16), Phase(8), FewSpike(8))


@functools.cache
def perceptron(code: Any) -> SpikingNetwork:
    model, images, _ = digits()
    schedule = Concurrent(code.steps) if code.streams and code.period == 1 else Pipeline()
    return snnconv.convert(model, images, coding=code, schedule=schedule)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_every_code_keeps_the_decisions_of_a_perceptron_at_its_defaults(code: Any) -> None:
    network, test = perceptron(code), digits()[2]
    integers = quantize(network)
    found = assessed(integers, {"as converted": network}, chunks_of(network, test), allow_loss=1.0)
    assert found["as integers"].agreement >= 0.99 * found["as converted"].agreement
    ((_, taken),) = integers.inputs.items()
    assert taken.smallest == 0 and 4 <= taken.bits <= 10


@pytest.mark.parametrize("code", [Rate(32), Burst(32, largest_gain=16), FewSpike(8)], ids=str)
def test_the_bits_chosen_are_among_the_best_of_all(code: Any) -> None:
    network = perceptron(code)
    samples = [tuple(tensor[:64] for tensor in network.held_out[0])]
    expected, errors = outputs_of(network, samples), {}
    for bits in range(3, 14):
        with suppress(ConfigurationError):  # bursts hold fewer
            integers = quantize(network, input_bits=bits)
            errors[bits] = fidelity(outputs_of(integer_simulation(integers), samples), expected).error
    ((_, chosen),) = quantize(network).inputs.items()
    assert errors[chosen.bits] <= 1.06 * min(errors.values()) < 0.5 * max(errors.values())


def test_bits_that_ruin_a_network_are_honoured_and_refused_with_the_numbers() -> None:
    network = perceptron(Rate(64))
    chunks, networks = chunks_of(network, digits()[2]), {"as converted": network}
    integers = quantize(network, input_bits=15)
    assert next(iter(integers.inputs.values())).bits == 15
    with pytest.raises(ConfigurationError, match=r"of \d+ samples \d+ .* % of these decisions are lost.*bits"):
        assessed(integers, networks, chunks, allow_loss=1.0)
    found = assessed(integers, networks, chunks, allow_loss=99.0)
    assert found["as integers"].agreement < 0.97 * found["as converted"].agreement
    with pytest.raises(ConfigurationError, match="allow_loss is in percent"):
        assessed(integers, networks, chunks, allow_loss=-1.0)


def test_without_samples_nothing_is_measured_and_inputs_get_eight_bits() -> None:
    network = perceptron(Rate(64))
    integers = quantize(network, samples=[])
    assert next(iter(integers.inputs.values())).bits == FIRST_BITS
    assert assessed(integers, {"as converted": network}, [], allow_loss=1.0) == {}
    burst = quantize(perceptron(Burst(32, largest_gain=16)), samples=[])  # where as many do not fit, fewer
    assert next(iter(burst.inputs.values())).bits < FIRST_BITS


def test_a_single_number_measures_nothing_and_inputs_get_eight_bits() -> None:
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    layers = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
    network = snnconv.convert(layers, x, coding=FewSpike(6))
    ((_, taken),) = quantize(network, samples=chunks_of(network, x[:1])).inputs.items()
    assert taken.bits == FIRST_BITS


def scores(*classes: int) -> tuple[Tensor]:
    return (functional.one_hot(torch.tensor(classes), 3).double(),)


@pytest.mark.parametrize(
    ("after", "refused"),
    [
        ([0] * 100, None),
        ([0] * 99 + [1], None),
        ([0] * 98 + [1] * 2, False),
        ([0] * 97 + [1] * 3, True),
        ([1] * 100, True),
        ([0] * 287 + [1] * 37, True),
    ],
)
def test_a_loss_is_refused_where_it_is_no_chance(
    after: list[int], refused: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    exact, integers = scores(*[0] * len(after)), quantize(perceptron(Rate(32)), input_bits=8)
    if refused:
        with pytest.raises(ConfigurationError, match="decisions are lost") as raised:
            check_loss(integers, exact, exact, scores(*after), 1.0)
        (enough,) = re.findall(r"allow_loss=([\d.]+) or more", str(raised.value))
        check_loss(integers, exact, exact, scores(*after), float(enough))  # what it advises helps
    else:
        check_loss(integers, exact, exact, scores(*after), 1.0)
    assert ("may differ by chance" in caplog.text) == (refused is False)


def test_what_is_refused_is_more_than_what_is_allowed_as_it_is_written() -> None:
    integers = quantize(perceptron(Rate(32)), input_bits=8)
    exact, after = scores(*[0] * 2500), scores(*[0] * 2474, *[1] * 26)
    with pytest.raises(ConfigurationError, match=r" 1\.04 % of these decisions are lost, 1 % are allowed"):
        check_loss(integers, exact, exact, after, 1.0)


def test_what_a_reset_to_zero_loses_is_told_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    network = perceptron(Rate(32))
    hard, chunks = with_hard_reset(network), chunks_of(network, digits()[2])
    integers = quantize(hard, per="population", input_bits=8, limits=LIF)
    assert any("neurons are reset to zero, which drops" in note for note in rewritten(integers))
    assert not any("reset to zero" in note for note in rewritten(quantize(network, input_bits=8)))
    found = assessed(integers, {"as converted": network, "reset to zero": hard}, chunks, allow_loss=100.0)
    assert not caplog.text
    lost = 100.0 - 100.0 * (found["reset to zero"].agreement or 0.0) / (found["as converted"].agreement or 0.0)
    assert lost > 1.0
    with suppress(ConfigurationError):  # integers may lose more than so little
        assessed(integers, {"as converted": network, "reset to zero": hard}, chunks, allow_loss=0.5)
    assert f"reset to zero: of {len(digits()[2])} samples" in caplog.text and f"{lost:.1f} % of these" in caplog.text
    assert "such neurons drop what exceeds their thresholds" in caplog.text


def test_gains_and_losses_are_weighed_and_values_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    integers = quantize(perceptron(Rate(32)), input_bits=8)
    exact = scores(*[0] * 100)
    check_loss(integers, exact, scores(*[0] * 80, *[1] * 20), scores(*[1] * 20, *[0] * 80), 1.0)
    values = (torch.arange(30.0).reshape(10, 3, 1),)
    check_loss(integers, values, values, (values[0] + 0.5,), 1.0)
    assert not caplog.text
    check_loss(integers, values, values, (values[0] + 3.0,), 1.0)
    assert "the outputs move by 34" in caplog.text
