"""The search for the cheapest codes within a loss, and the bias correction of the networks it assembles."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

import snnconv
from coding import Code, Concurrent, FewSpike, OneSpike, Phase, Rate
from coding.candidates import CANDIDATES
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph.interpreter import evaluate_graph
from snnconv.metrics.class_judge import ClassJudge
from tests.support.networks import GraphConvolution, draw, prepared


def classifier() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))
    return model, torch.randn(200, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def found() -> dict[str, snnconv.SpikingNetwork]:
    model, x = classifier()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snnconv.search.searching.CANDIDATES", CANDIDATES[::3])
        return {
            kind: snnconv.convert(model, x, coding="auto", max_loss=3.0, minimize=kind)  # type: ignore[arg-type]
            for kind in ("energy", "spikes", "latency")
        }


@pytest.mark.parametrize("kind", ["energy", "spikes", "latency"])
def test_the_chosen_network_is_the_cheapest_tried_that_keeps_the_bound(
    found: dict[str, snnconv.SpikingNetwork], kind: str
) -> None:
    log = found[kind].search_log
    assert log is not None
    chosen = log.trials[log.chosen]
    kept = [trial for trial in log.trials if trial.loss <= 3.0]
    assert chosen in kept and chosen.cost(kind) == min(trial.cost(kind) for trial in kept)  # type: ignore[arg-type]
    assert str(log).count("*") == 2 and chosen.codes in str(log)  # in the head, and at the chosen one


def test_what_is_minimized_decides_what_is_cheap(found: dict[str, snnconv.SpikingNetwork]) -> None:
    measured = {kind: network.search_log.trials[network.search_log.chosen] for kind, network in found.items()}  # type: ignore[union-attr]
    for kind, trial in measured.items():
        assert all(trial.cost(kind) <= other.cost(kind) for other in measured.values())  # type: ignore[arg-type]


def test_the_network_found_decides_as_the_original_does(found: dict[str, snnconv.SpikingNetwork]) -> None:
    model, _ = classifier()
    fresh = torch.randn(1000, 8, generator=torch.Generator().manual_seed(2))
    assert snnconv.evaluate(found["energy"], fresh, reference=model).agreement > 93.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"minimize": "time"}, ConfigurationError, "minimize must be one of energy, spikes, latency"),
        ({"max_loss": 0.0}, ConfigurationError, "percentage points"),
        ({"schedule": Concurrent(8)}, ConfigurationError, "is a window code"),
    ],
)
def test_a_search_that_cannot_work_says_why(options: dict[str, object], error: type[Exception], message: str) -> None:
    model, x = classifier()
    with pytest.raises(error, match=message):
        snnconv.convert(model, x, coding="auto", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "aim", [{"max_loss": 0.5}, {"minimize": "energy"}, {"judge": ClassJudge()}], ids=lambda aim: next(iter(aim))
)
def test_an_aim_without_a_search_is_refused(aim: dict[str, object]) -> None:
    model, x = classifier()
    with pytest.raises(ConfigurationError, match=rf"{next(iter(aim))} would be ignored: give coding=\"auto\""):
        snnconv.convert(model, x, coding="few-spike", **aim)  # type: ignore[arg-type]


def test_a_bound_that_no_candidate_keeps_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(2),))
    model, x = classifier()
    with pytest.raises(ConfigurationError, match="no codes that were tried are expected to lose"):
        snnconv.convert(model, x, coding="auto", max_loss=1e-6)


def test_a_search_needs_class_scores_and_samples_held_out() -> None:
    model, x = classifier()
    with pytest.raises(ConfigurationError, match="at least 5 calibration samples"):
        snnconv.convert(model, x[:4], coding="auto")


@pytest.mark.parametrize("last", [[nn.Linear(4, 1)], [nn.Linear(4, 1), nn.Flatten(0)], [nn.Unflatten(1, (1, 2, 2))]])
def test_an_output_that_the_judge_cannot_judge_is_refused_before_anything_is_observed(last: list[nn.Module]) -> None:
    model, x = classifier()
    told: list[snnconv.Progress] = []
    with pytest.raises(InputError, match=r"judge ClassJudge: class scores are needed.*judge=snnconv.ValueJudge\(\)"):
        snnconv.convert(nn.Sequential(model, *last), x, coding="auto", progress=told.append)
    assert {each.what for each in told} <= {"reading calibration samples", "capturing"}


def test_a_search_for_values_keeps_their_relative_error() -> None:
    model, x = classifier()
    model = nn.Sequential(model, nn.Linear(4, 1))
    network = snnconv.convert(model, x, coding="auto", judge=snnconv.ValueJudge(), max_loss=3.0)
    fresh = torch.randn(500, 8, generator=torch.Generator().manual_seed(2))
    exact = model(fresh).detach()
    assert float((network(fresh) - exact).norm() / exact.norm()) < 0.05


def test_what_a_search_will_cost_is_logged_before_it_begins_and_is_what_it_then_tells(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where somebody listens: codes fitted, each measured, and networks tried; the default logs nothing.

    Listening draws no random number.
    """
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(4), FewSpike(6)))
    model, x = classifier()
    told: list[snnconv.Progress] = []

    def hear(found: snnconv.Progress) -> None:
        if found.what == "fitting codes" and not found.done:
            assert len(caplog.records) == 1 and torch.equal(torch.get_rng_state(), before)
        told.append(found)

    before = torch.get_rng_state()
    with caplog.at_level("INFO", logger="snnconv.search"):
        snnconv.convert(model, x, coding="auto", input=OneSpike(8, 2.0), max_loss=40.0, progress=hear)
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    totals = {each.what: each.total for each in told}
    codes, networks = totals["fitting codes"], totals["trying codes"]
    assert totals["measuring sensitivities"] == codes
    found = re.match(
        r"the search fits (\d+) codes, measures about (\d+) of them on 32 samples, and about (\d+) networks on (\d+)",
        line,
    )
    assert found is not None
    fitted, measured, tried, held_out = map(int, found.groups())
    assert (fitted, held_out) == (codes, len(x) // 5) and measured <= codes
    assert networks is not None and networks / 2 <= tried <= 2 * networks


def warnings_of_a_search(caplog: pytest.LogCaptureFixture, model: nn.Module, x: Any, **options: Any) -> list[str]:
    caplog.clear()
    snnconv.convert(model, x, coding="auto", **options)
    return [record.getMessage() for record in caplog.records if record.name == "snnconv.search.searching"]


def test_few_decisions_on_held_out_samples_are_worth_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(16), Phase(8)))
    model, x = classifier()
    x = torch.cat([x, x + 0.01, x - 0.01])
    (told,) = warnings_of_a_search(caplog, model, x[:200], max_loss=3.0)
    assert "on 40 held-out samples with 40 decisions or objects of the original" in told
    assert "one of them is 2.5 percentage points and the bound is 3," in told
    assert "at least 3 times as many calibration samples" in told
    assert warnings_of_a_search(caplog, model, x[:500], max_loss=3.0) == []  # 100 held out
    (told,) = warnings_of_a_search(caplog, model, x[:495], max_loss=3.0)
    assert "on 99 held-out samples with 99 decisions" in told and "at least 2 times" in told


def test_every_node_of_a_graph_is_a_decision(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(24), Phase(10)))
    parts = [draw(6, 5, seed=seed) for seed in range(10)]
    (told,) = warnings_of_a_search(caplog, prepared(GraphConvolution), parts, max_loss=20.0)
    assert "on 2 held-out samples with 12 decisions" in told


def test_one_whole_graph_is_measured_on_its_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", (OneSpike(8), Phase(10)))
    model, nodes = prepared(GraphConvolution), draw(6, 5)
    network = snnconv.convert(model, nodes, coding="auto", max_loss=20.0)
    assert network.search_log is not None and not network.held_out
    assert bool((network(nodes).argmax(1) == model(nodes).argmax(1)).all())


def scores_with_errors(samples: int, classes: int, size: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Class scores, and the same with normal errors of the deviation ``size`` ``[samples]`` or one for all."""
    exact, errors = draw(samples, classes, seed=seed), draw(samples, classes, seed=seed + 1)
    return exact, exact + errors * size.expand(samples).unsqueeze(1)


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("outlier", [0.0, 3.0])
def test_the_expected_loss_is_the_share_of_decisions_that_change(classes: int, outlier: float) -> None:
    size = torch.full((300,), 0.003)
    size[0] += outlier  # one sample of three hundred far beyond the range
    expected = ClassJudge().expected_loss(*([each] for each in scores_with_errors(300, classes, size, 1)))
    exact, found = scores_with_errors(20_000, classes, torch.tensor(0.003), 3)
    changed = 100.0 * float((exact.argmax(1) != found.argmax(1)).double().mean())
    assert changed <= expected <= 3.0 * changed + 100.0 * (outlier > 0.0) / 300


def test_errors_that_all_classes_have_in_common_change_no_decision() -> None:
    exact = draw(50, 4)
    assert ClassJudge().expected_loss([exact], [exact + draw(50, 1, seed=1)]) == 0.0


@pytest.mark.parametrize("kind", [Phase, Rate])
def test_windows_of_codes_that_stream_are_candidates(kind: type[Code]) -> None:
    assert any(isinstance(code, kind) for code in CANDIDATES)


def mean_errors(network: snnconv.SpikingNetwork, x: Tensor, slope: float) -> Tensor:
    """Error of the current of the second population, by channel: a mean weighted by the activation's slope squared."""
    nodes = list(network.populations)
    currents: list[Tensor] = []
    for spiking in (False, True):

        def handler(node: str, spiking: bool = spiking) -> Callable[..., Tensor]:
            population = network.populations[node]

            def handle(arguments: dict[str, Tensor]) -> Tensor:
                current = arguments["self"] + (population.shift if spiking else 0.0)
                if node == nodes[1]:
                    currents.append(current)
                if not spiking:
                    return leaky_relu(current, slope)
                return population.neuron.window(current / population.scale).values * population.scale  # type: ignore[attr-defined,no-any-return]

            return handle

        evaluate_graph(network.complete_graph(), (x,), handlers={node: handler(node) for node in nodes})
    exact, found = currents
    above = (exact > 0) | (found - network.populations[nodes[1]].shift > 0)
    weights = torch.where(above, 1.0, slope**2)
    return ((found - exact) * weights).sum(0) / weights.sum(0)


@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("code", [OneSpike(6, rounding="floor"), Phase(4)], ids=str)
def test_shifts_take_back_the_mean_error_of_every_channel_where_it_reaches_the_output(
    code: object, slope: float
) -> None:
    model, _ = classifier()
    model = nn.Sequential(*(nn.LeakyReLU(slope) if isinstance(each, nn.ReLU) else each for each in model.double()))
    x = draw(120, 8)
    plain, shifted = (
        snnconv.convert(model, x, coding=code, bias_correction=on)  # type: ignore[arg-type]
        for on in (False, True)
    )
    assert not any(bool(p.shift.any()) for p in plain.populations.values())
    before, after = (float(mean_errors(network, x, slope).abs().mean()) for network in (plain, shifted))
    assert after < 0.5 * before


def test_samples_of_a_network_without_a_batch_axis_are_not_joined() -> None:
    parts = [draw(6, 5, seed=seed) for seed in range(4)]
    model = prepared(GraphConvolution)
    network = snnconv.convert(model, parts, coding=OneSpike(40, "fit"))
    assert network.batch_axis is None
    torch.testing.assert_close(network(parts[0]), model(parts[0]).detach(), rtol=0.2, atol=0.05)
