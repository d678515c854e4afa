"""Hybrid coding: input and hidden codes that run at once, against a loop over time and against the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, Burst, Code, CodingPlan, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate, SpikeInput
from snnconv.kernels.stream_steps import Advanced, Span, Steps
from snnconv.simulators.stream import StreamChunk
from tests.support.conversion import converted
from tests.support.networks import Perceptron, draw, fitted_part, make, prepared, zoo

STEPS = 43  # neither a multiple of the period of phase code nor of that of burst input
EPS = 2.0**-44  # the tie tolerance in double precision
CODES: dict[str, Code] = {"rate": Rate(STEPS), "phase": Phase(8), "burst": Burst(STEPS)}
#: Steps over which an input neuron fires its value: a burst of 1/8, 1/4, 1/2, a silent step, and the last 1/8.
PRESENTATION = {"real": 1, "rate": 1, "phase": 8, "burst": 5}
FIRST = {"rate": 0.5, "phase": 0.0, "burst": 0.0625}
Fire = Callable[[Tensor, int], Tensor]


def firing(kind: str) -> Fire:
    """The firing rule of a code, in the plainest form, with its own memory."""
    gain: list[Any] = [1.0]

    def fire(potential: Tensor, t: int) -> Tensor:
        if kind == "rate":
            return (potential >= 1.0 - EPS).double()
        if kind == "phase":
            weight = 2.0 ** -(1 + t % 8)
            return (potential >= weight * (1 - EPS)).double() * weight
        threshold = gain[0] * torch.full_like(potential, 0.125)
        spikes = (potential >= threshold * (1 - EPS)).double()
        gain[0] = torch.where(spikes > 0, 2.0 * gain[0], 1.0)
        return spikes * threshold

    return fire


def loop(model: nn.Module, network: Any, x: Tensor, given: str, hidden: str) -> tuple[Tensor, Tensor]:
    """Outputs after every step and the hidden train: biases arrive once a period, an analog value spread over it."""
    waits = 8 if (given, hidden) == ("burst", "phase") else PRESENTATION[given]
    period = max(waits, 8 if hidden == "phase" else 1)
    first, second = model.get_submodule("first"), model.get_submodule("second")
    (population,) = network.populations.values()
    ((low, high),) = network.input_ranges
    values = ((x - low) / (high - low)).clamp(0.0, 1.0)
    potential = torch.full((len(x), 12), FIRST[hidden]).double()
    charge = torch.full_like(values, FIRST.get(given, 0.0))
    fire_input, fire = firing(given), firing(hidden)
    total, outputs, train = torch.zeros(len(x), 4).double(), [], []
    for t in range(STEPS):
        begins = float(t % period == 0)
        if given == "real":
            arriving = x / period
        else:
            if t % waits == 0:
                charge = charge + values
            payload = fire_input(charge, t)
            charge = charge - payload
            arriving = payload * (high - low) * waits / period + low * begins
        potential = potential + (arriving @ first.weight.T + first.bias * begins) / population.scale
        payload = fire(potential, t)
        potential = potential - payload
        train.append(payload)
        total = total + (payload * population.scale) @ second.weight.T + second.bias * begins
        outputs.append(total / (t // period + 1))
    return torch.stack(outputs), torch.stack(train)


@pytest.mark.parametrize("hidden", ["rate", "phase", "burst"])
@pytest.mark.parametrize("given", ["real", "rate", "phase", "burst"])
def test_every_pair_is_a_loop_over_time(given: str, hidden: str) -> None:
    model, x = prepared(Perceptron), draw(30, 6)
    presented: Any = CODES.get(given, given)
    if (given, hidden) == ("burst", "phase"):
        presented = SpikeInput(Burst(STEPS), every=8)
    network = converted(
        "a loop over time", lambda: (model, x), coding=CODES[hidden], input=presented, schedule=Concurrent(STEPS)
    )
    with torch.no_grad():
        outputs, train = loop(model, network, x, given, hidden)
    run = network.run(x, record=["outputs", "rasters"])
    ((_, raster),) = run.rasters.items()
    assert torch.allclose(raster, train, rtol=1e-12, atol=0.0)
    assert torch.allclose(run.outputs, outputs, rtol=1e-9, atol=1e-12)


PAIRS = [
    ("phase", "rate", Phase(8), Rate(64)),
    ("phase", "phase", Phase(8), Phase(8)),
    ("phase", "burst", Phase(8), Burst(64)),
    ("burst", "rate", Burst(64), Rate(64)),
    ("burst", "burst", Burst(64), Burst(64)),
    ("rate", "rate", Rate(64), Rate(64)),
    ("rate", "burst", Rate(64), Burst(64)),
    ("rate", "phase", Rate(64), Phase(8)),
    ("burst", "phase", SpikeInput(Burst(64), every=8), Phase(8)),
    ("real", "burst", "real", Burst(64, 0.5)),
    ("real", "phase", "real", Phase(8)),
]


@pytest.mark.parametrize("name", ["deep", "residual", "max pooling"])
@pytest.mark.parametrize(("given", "hidden"), [pair[2:] for pair in PAIRS], ids=["-".join(p[:2]) for p in PAIRS])
def test_the_output_converges_to_the_original(name: str, given: Any, hidden: Code) -> None:
    model, x = make(name, samples=25)
    samples = x
    network = converted(
        ("few of the zoo", name),
        lambda: (model, samples),
        coding=hidden,
        input=given,
        schedule=Concurrent(1024),
        percentile=100,
    )
    x = fitted_part(network, x)
    with torch.no_grad():
        wanted = model(x)
    outputs = network.run(x, record=["outputs"]).outputs
    errors = [float((outputs[steps - 1] - wanted).norm() / wanted.norm()) for steps in (32, 256, 1024)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.05


@pytest.mark.parametrize(
    ("name", "given", "hidden"),
    [
        ("residual", "real", Rate(11)),
        ("max pooling", "poisson", Rate(11)),
        ("max pooling", "phase", Phase(4)),
        ("concatenation", "real", Burst(11)),
        ("shared", "real", Burst(11)),
        ("leaky relu", "real", Rate(11)),
    ],
)
def test_steps_computed_together_are_those_computed_one_by_one(
    name: str, given: Any, hidden: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Phase(4) if given == "phase" else given
    network, (_, x) = zoo(name, coding=hidden, input=given, schedule=Concurrent(11)), make(name, samples=3)
    steps: list[int] = []
    advance = Steps.advance

    def counted(self: Steps, current: Tensor, state: Any, span: Span, **options: Any) -> Advanced:
        steps.append(span.steps)
        return advance(self, current, state, span, **options)

    monkeypatch.setattr(Steps, "advance", counted)
    runs = []
    for at_once in (2**21, 1):
        monkeypatch.setattr(StreamChunk, "at_once", at_once)
        runs += [network.run(x, record=["outputs", "rasters"], seed=0), network.run(x, seed=0)]
    assert max(steps) > 2 and min(steps) == 1
    for run in runs:  # sums of products are rounded otherwise where there are more rows of them
        assert run.spikes == runs[2].spikes and run.synops == runs[2].synops
        assert torch.allclose(run.output, runs[2].output, rtol=1e-12, atol=1e-12)
        if run.rasters:
            assert torch.allclose(run.outputs, runs[2].outputs, rtol=1e-12, atol=1e-12)
            assert all(torch.equal(raster, runs[2].rasters[each]) for each, raster in run.rasters.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coding": Phase(8), "input": Burst(), "schedule": Concurrent(64)}, "periods of 5, 8 steps"),
        ({"coding": Phase(8), "input": Phase(6), "schedule": Concurrent(64)}, "periods of 6, 8 steps"),
        ({"coding": {"*": Rate(64), "layers.1": Phase(4), "layers.3": Phase(8)}}, "periods of 4, 8 steps"),
        ({"coding": FewSpike(), "schedule": Concurrent(64)}, "FewSpike is a window code"),
        ({"coding": Rate(64), "input": TTFS(8), "schedule": Concurrent(64)}, "TTFS as input is a window code"),
        ({"coding": {"*": Burst(), "layers.1": OneSpike()}}, "Burst has no window form"),
        ({"coding": Burst(), "schedule": Pipeline()}, "Burst has no window form"),
        ({"coding": FewSpike(), "input": Burst()}, "Burst as input has no window form"),
        ({"coding": FewSpike(), "input": "poisson"}, "poisson input is a stream"),
    ],
)
def test_codes_that_have_no_meaning_together_are_refused(options: dict[str, Any], message: str) -> None:
    model, x = make("deep")
    with pytest.raises(snnconv.ConfigurationError, match=message):
        snnconv.convert(model, x, **options)


@pytest.mark.parametrize("name", ["perceptron", "residual", "concatenation", "shared", "max pooling"])
def test_codes_may_be_mixed_from_population_to_population(name: str) -> None:
    model, x = make(name)
    populations = [p.name for p in zoo(name, coding=Rate(4)).populations.values()]
    codes = dict(zip(populations, (Burst(256), Rate(256), Phase(8)), strict=False))
    plan = CodingPlan(Phase(8), Phase(8), codes, Concurrent(512))
    network = zoo(name, coding=plan, percentile=100)
    assert [p.code for p in network.populations.values()] == list(codes.values())
    x = fitted_part(network, x)
    with torch.no_grad():
        wanted = model(x)
    assert float((network(x) - wanted).norm() / wanted.norm()) < 0.1


@pytest.mark.parametrize("hidden", [Rate(2048), Burst(2048, 0.5)])
def test_leaky_relu_converges_under_an_analog_input(hidden: Code) -> None:
    model, x = make("leaky relu")
    network = zoo("leaky relu", coding=hidden, schedule=Concurrent(1024), percentile=100)
    x = fitted_part(network, x)
    with torch.no_grad():
        wanted = model(x)
    outputs = network.run(x, record=["outputs"]).outputs
    errors = [float((outputs[steps - 1] - wanted).norm() / wanted.norm()) for steps in (32, 256, 1024)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.01


@pytest.mark.parametrize(
    ("hidden", "given", "kept"),
    [(Rate(64), "real", True), (Phase(8), "phase", True), (Rate(64), "phase", False), (Burst(64), "real", False)],
)
def test_the_report_says_where_a_bound_is_not_kept(hidden: Code, given: str, kept: bool) -> None:
    _, x = make("relu6")
    network = zoo("relu6", coding=hidden, input=given, schedule=Concurrent(64))
    assert ("the bound of 6 is not kept" in network.report()) is not kept
    ((_, raster),) = network.run(10.0 * x, record=["rasters"]).rasters.items()
    (population,) = network.populations.values()
    largest = float((raster.sum(0) / network.presentations(64) * population.scale).max())
    assert (largest <= 6.0 * (1.0 + 1e-12)) is kept


def test_a_shift_arrives_once_a_period() -> None:
    model, x = make("perceptron")
    plain = snnconv.convert(model, x, coding=Phase(8), schedule=Concurrent(64))
    shifted = snnconv.convert(model, x, coding=Phase(8), schedule=Concurrent(64))
    (shift,) = shifted._shifts.by_name().values()
    shift.copy_(torch.linspace(-0.1, 0.1, len(shift)))
    with torch.no_grad():
        model.get_parameter("first.bias").add_(shift)
    wanted = snnconv.convert(model, x, coding=Phase(8), schedule=Concurrent(64))
    for mine, theirs in zip(wanted._scales.by_name().values(), shifted._scales.by_name().values(), strict=True):
        mine.copy_(theirs)
    mine, theirs, before = (n.run(x, record=["rasters"]).rasters["relu"] for n in (shifted, wanted, plain))
    assert torch.equal(mine, theirs) and not torch.equal(mine, before)
