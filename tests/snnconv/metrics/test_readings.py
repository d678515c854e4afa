"""The reading of a verification names the population that hurts most, why, and what helps."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import Code, Concurrent, FewSpike, Pipeline, Rate
from snnconv.data import load_digits
from snnconv.detection import draw_shapes
from tests.support.networks import ZOO, make, network_of
from tests.support.transformers import transformer


def deep(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()


def values(count: int = 400) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("code", "options", "cause", "cure"),
    [
        (Rate(256), {"percentile": 70.0}, "saturation", "percentile=100"),
        (FewSpike(12, spikes=4), {"percentile": 70.0}, "saturation", "samples"),
        (Rate(8), {"percentile": 100.0}, "too early", "neuron='corrective'"),
        (FewSpike(4, spikes=1), {}, "too few spikes", "a code of more steps or spikes for it"),
        (Rate(8), {"schedule": Pipeline()}, "too few spikes", "a code of more steps for it"),
        (FewSpike(4, spikes=4), {}, "too few spikes", "a code of more steps for it"),
    ],
)
def test_the_cause_is_what_was_done_to_the_network(code: Code, options: Any, cause: str, cure: str) -> None:
    found = snnconv.verify(snnconv.convert(deep(), values(), coding=code, **options))
    assert found.reading.cause == cause and cure in found.reading.cure
    assert str(found).endswith(str(found.reading)) and found.reading.population in str(found.reading)
    assert json.loads(json.dumps(found.to_dict()))["reading"] == vars(found.reading)


def test_currents_beyond_those_that_tables_were_fitted_to_are_saturation_whatever_the_value() -> None:
    class Sine(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(x)

    model = nn.Sequential(nn.Linear(6, 32), Sine(), nn.Linear(32, 4)).eval()
    network = snnconv.convert(model, values(), coding=FewSpike(8, spikes=3))
    assert snnconv.verify(network, values()).reading.cause == "too few spikes"
    reading = snnconv.verify(network, 5 * values()).reading
    assert reading.cause == "saturation" and "percentile" not in reading.cure and "more calibration" in reading.cure


@pytest.mark.parametrize("hurt", [0, 1])
def test_the_population_named_is_the_one_that_was_hurt(hurt: int) -> None:
    network = snnconv.convert(deep(), values(), coding=FewSpike(12, spikes=4))
    nodes = list(network.populations)
    population = network.populations[nodes[hurt]]
    small = {nodes[hurt]: type(population)(**{**vars(population), "scale": population.scale / 6.0})}
    found = snnconv.verify(network.with_(populations=network.populations | small))
    assert found.reading.population == population.name and found.reading.cause == "saturation"
    other = found.populations[1 - hurt]
    assert other.own < 0.02 < found.populations[hurt].own
    if hurt == 0:
        assert other.relative > 0.05  # it hands on what it received, and adds nothing


def test_own_errors_are_those_against_what_was_received() -> None:
    _, x = make("deep")
    network = network_of("deep")
    found, run = snnconv.verify(network, x), network.run(x, record=["rasters"])
    first, second = (run.rasters[p.name].mean(0) * p.scale for p in network.populations.values())
    layer = make("deep")[0].get_submodule("layers")[2]  # type: ignore[index]
    with torch.no_grad():
        wanted = torch.relu(layer(first))
    assert found.populations[0].own == pytest.approx(found.populations[0].relative)
    assert found.populations[1].own == pytest.approx(float((second - wanted).norm() / wanted.norm()))


def test_a_good_network_needs_no_cure() -> None:
    reading = snnconv.verify(snnconv.convert(deep(), values(), coding=FewSpike(12, spikes=4))).reading
    assert reading.cure == "" and reading.output < 0.02 and "nothing is amiss" in str(reading)


@pytest.mark.parametrize(("factor", "grows"), [(0.0, False), (30.0, True)])
def test_a_network_that_multiplies_small_differences_is_told_as_such(factor: float, grows: bool) -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(6, 32), nn.Linear(32, 1)
    with torch.no_grad():
        offset = last(torch.relu(first(values()))).mean()
        last.bias.sub_(offset)
        first.bias.add_(factor)  # the output is a small difference of large values
        last.bias.sub_(last(torch.relu(first(values()))).mean())
    reading = snnconv.verify(snnconv.convert(nn.Sequential(first, nn.ReLU(), last), values(), coding="rate")).reading
    assert (reading.growth > 3.0) == grows
    assert ("multiplies any small difference" in str(reading)) == grows


def told(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(record.getMessage() for record in caplog.records if record.name.startswith("snnconv"))


def test_a_warning_of_the_output_names_the_population_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    network = snnconv.convert(deep(), values(), coding=FewSpike(4, spikes=1))
    reading = snnconv.verify(network).reading
    assert reading.text.startswith(f"population {reading.population} adds the largest error of its own, ")
    assert f"on samples held out from calibration; population {reading.population} adds" in told(caplog)
    assert "reading" not in told(caplog)


def test_few_calibration_samples_are_told(caplog: pytest.LogCaptureFixture) -> None:
    snnconv.convert(deep(), values(16), coding=Rate(64))
    assert "16 calibration samples are too few" in told(caplog)
    assert "on samples held out from calibration" in told(caplog)
    caplog.clear()
    snnconv.convert(deep(), values(), coding=FewSpike(12, spikes=4))
    assert told(caplog) == ""
    snnconv.convert(deep(), values(4), coding=FewSpike(12, spikes=4))
    assert "4 calibration samples are too few to hold one out" in told(caplog)


def test_a_coarse_code_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    snnconv.convert(deep(), values(), coding=FewSpike(4, spikes=1))
    assert "a code of more steps or spikes" in told(caplog) and "too few to hold" not in told(caplog)


class Peaks(nn.Module):
    """A maximum over a whole map behind the activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 6, 3, padding=1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.last(torch.relu(self.first(x)).amax((2, 3)))
        return scores


def test_scales_in_front_of_a_wide_maximum_are_the_maximum(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    model, x = Peaks().eval(), torch.randn(100, 1, 12, 12)
    scales = {
        percentile: next(iter(snnconv.convert(model, x, coding=Rate(64), percentile=percentile).populations.values()))
        for percentile in (None, 100.0)
    }
    assert torch.equal(scales[None].scale, scales[100.0].scale)
    assert "percentile" not in told(caplog)
    snnconv.convert(model, x, coding=Rate(64), percentile=99.9)
    assert "percentile=99.9 cuts about 14 % of what the maximum over 144 values behind it picks" in told(caplog)


def test_a_pooling_of_few_values_keeps_the_percentile() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 3)).eval()
    x = torch.randn(100, 1, 12, 12)
    own, given = (
        next(iter(snnconv.convert(model, x, coding=Rate(8), percentile=each).populations.values())).scale
        for each in (None, 99.9)
    )
    assert torch.equal(own, given)


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 2.0), (3.0, 0.0), (255.0, 0.0)])
@pytest.mark.parametrize("schedule", [None, Concurrent(8)])
def test_data_beyond_the_calibrated_range_are_told(
    factor: float, offset: float, schedule: Concurrent | None, caplog: pytest.LogCaptureFixture
) -> None:
    code = FewSpike(12, spikes=4) if schedule is None else Rate(8)
    network = snnconv.convert(deep(), values(), coding=code, schedule=schedule)
    caplog.clear()
    snnconv.evaluate(network, values(600)[400:])
    assert told(caplog) == ""
    for measured in (snnconv.evaluate, snnconv.verify):
        caplog.clear()
        measured(network, factor * values() + offset)
        assert "input 0 leaves the range seen in calibration" in told(caplog)


@pytest.mark.parametrize("input", ["real", "poisson"])
def test_a_calibration_on_far_larger_values_is_told(input: str, caplog: pytest.LogCaptureFixture) -> None:
    """Pixels of 0 to 255 instead of 0 to 1."""
    network = snnconv.convert(deep(), 255 * values().abs(), coding=Rate(8), schedule=Concurrent(8), input=input)
    data = values(700)[400:].abs()
    for measured in (snnconv.evaluate, snnconv.verify):
        for x, said in ((data, True), (data[:255], False), (255 * data, False), (10 * data, False)):
            caplog.clear()
            measured(network, [x[:50], x[50:]])
            assert ("input 0 fills 0." in told(caplog)) is said
    caplog.clear()
    snnconv.evaluate(network, torch.zeros(300, 6))  # which fills nothing of any range
    assert "fills" not in told(caplog)


def flat(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 2, 3), nn.ReLU(), nn.Flatten())


KINDS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    **{name: functools.partial(make, name, samples=600) for name in ZOO},
    "digits": lambda: (flat(1), load_digits().train[0][:600]),
    "shapes": lambda: (flat(3), draw_shapes(600, 2)[0][:, :, ::8, ::8]),
    "heavy tails": lambda: (deep(), torch.exp(2.0 * values(600))),
    "counts that are mostly 0": lambda: (deep(), (values(600) - 2.0).clamp(min=0.0).round()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_one_kind_fill_their_range(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    model, x = KINDS[kind]()
    half = len(x) // 2
    network = snnconv.convert(model.eval(), x[:half])
    caplog.clear()
    for data in (x[half:], x[half : half + 1]):
        snnconv.evaluate(network, data)
    assert "of the range seen in calibration; scales" not in told(caplog)


def test_one_channel_beyond_its_range_is_named(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    x = torch.rand(100, 3, 6, 6)
    network = snnconv.convert(model, x, coding=FewSpike(12, spikes=4))
    wild = x.clone()
    wild[:, 2] = 2.0
    caplog.clear()
    snnconv.evaluate(network, [wild[:50], x[50:]])
    assert "50.00% of the values of channel 2 are outside, by up to 1 times its width" in told(caplog)


@pytest.mark.parametrize("simulator", ["window", "clock"])
def test_currents_beyond_those_that_tables_were_fitted_to_are_told(
    simulator: str, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 3)).eval()
    network = snnconv.convert(model, values(), coding=FewSpike(8, spikes=3))
    with torch.no_grad():
        network.populations["silu"].scale.div_(2.0)
    caplog.clear()
    snnconv.evaluate(network, values(40), simulator=simulator)
    assert "population 3 leaves the range seen in calibration" in told(caplog) and "tables end there" in told(caplog)
    assert "input 0" not in told(caplog)


@pytest.mark.parametrize("simulator", ["window", "clock"])
def test_currents_like_those_that_tables_were_fitted_to_are_no_news(
    simulator: str, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 3)).eval()
    network = snnconv.convert(model, values(), coding=FewSpike(8, spikes=3))
    caplog.clear()
    snnconv.evaluate(network, values(40), simulator=simulator)
    assert not told(caplog)


@pytest.mark.parametrize("simulator", ["window", "clock"])
def test_pairs_that_a_mask_forbids_are_no_values_that_leave_a_range(
    simulator: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, x = transformer("causal", samples=100)
    network = snnconv.convert(model, x, coding=FewSpike(8, spikes=3))
    caplog.clear()
    snnconv.evaluate(network, x[:20], simulator=simulator)
    assert "leaves the range" not in told(caplog)
    (table,) = [each for each in network.populations.values() if each.tables is not None]
    with torch.no_grad():
        table.scale.div_(4.0)
    snnconv.evaluate(network, x[:20], simulator=simulator)
    assert "tables end there" in told(caplog)


def test_a_percentile_is_no_matter_of_tables_in_front_of_a_maximum(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(2, 3)).eval()
    network = snnconv.convert(model, torch.rand(64, 1, 6, 6), coding=FewSpike(8, spikes=3), percentile=90)
    (relay,) = [population.name for population in network.populations.values() if population.inserted]
    cut = [record.getMessage() for record in caplog.records if "percentile=90 cuts" in record.getMessage()]
    assert [message.partition(":")[0] for message in cut] == [relay]
