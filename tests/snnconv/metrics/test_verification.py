"""verify(): errors of populations that can be told in advance."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from torch import nn

import snnconv
from coding import Rate
from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.metrics.verification_result import verification_of
from tests.support.networks import ZOO, GraphConvolution, draw, fitted_part, make, network_of, prepared


@pytest.mark.parametrize("name", [name for name in ZOO if name != "max pooling"])
def test_errors_vanish_as_steps_grow(name: str) -> None:
    _, x = make(name)
    network = network_of(name, 256, 100)
    x = fitted_part(network, x)
    coarse, fine = snnconv.verify(network, x, steps=16), snnconv.verify(network, x, steps=1024)
    assert fine.output < 0.02 and fine.output < coarse.output / 4
    for before, after in zip(coarse.populations, fine.populations, strict=True):
        assert after.relative < 0.05 and after.relative < before.relative
        assert after.saturated == 0.0


def test_the_relative_error_is_that_of_the_decoded_rasters() -> None:
    model, x = make("deep")
    network = network_of("deep")
    found = snnconv.verify(network, x)
    run = network.run(x, record=["rasters"])
    with torch.no_grad():
        first = model.get_submodule("layers")[:2](x)  # type: ignore[index]
        second = model.get_submodule("layers")[:4](x)  # type: ignore[index]
        wanted_output = model(x)
    for error, population, wanted in zip(found.populations, network.populations.values(), (first, second), strict=True):
        decoded = run.rasters[population.name].mean(0) * population.scale
        assert error.name == population.name
        assert error.relative == pytest.approx(float((decoded - wanted).norm() / wanted.norm()), rel=1e-9)
        assert error.bias == pytest.approx(float((decoded - wanted).sum() / wanted.abs().sum()), rel=1e-6, abs=1e-12)
        assert error.saturated == pytest.approx(float((wanted > population.scale * (1 + 1e-6)).double().mean()))
        silent = wanted == 0
        assert error.spurious == pytest.approx(float((decoded[silent] != 0).double().mean()))
    assert found.output == pytest.approx(float((run.output - wanted_output).norm() / wanted_output.norm()), rel=1e-9)
    assert (found.steps, found.samples) == (24, len(x))


def test_a_saturated_population_is_visible() -> None:
    model, x = make("deep")
    low = snnconv.verify(snnconv.convert(model, x, coding=Rate(256), percentile=60.0), x)
    high = snnconv.verify(network_of("deep", 256, 100), x)
    assert low.populations[0].saturated > 0.2
    assert low.populations[0].bias < -0.1
    assert low.populations[0].saturated > high.populations[0].saturated
    assert low.output > high.output


def test_held_out_samples_are_the_default() -> None:
    network = network_of("residual")
    held_out = torch.cat([part[0] for part in network.held_out])
    assert snnconv.verify(network).samples == len(held_out) == 8
    assert snnconv.verify(network).output == pytest.approx(snnconv.verify(network, held_out).output, rel=1e-9)


def test_without_held_out_samples_data_is_asked_for() -> None:
    model, x = make("deep", samples=4)
    network = snnconv.convert(model, x)
    with pytest.raises(snnconv.InputError, match="pass data"):
        snnconv.verify(network)
    assert snnconv.verify(network, x).samples == 4


def test_batches_do_not_matter() -> None:
    _, x = make("leaky relu")
    network = network_of("leaky relu")
    whole, parts = snnconv.verify(network, x), snnconv.verify(network, [x[:1], x[1:30], x[30:]])
    assert parts.output == pytest.approx(whole.output, rel=1e-9)
    for mine, theirs in zip(parts.populations, whole.populations, strict=True):
        assert mine.name == theirs.name and mine.relative == pytest.approx(theirs.relative, rel=1e-9)
        assert (mine.saturated, mine.spurious) == pytest.approx((theirs.saturated, theirs.spurious), rel=1e-9)


def test_a_graph_network_is_verified_too() -> None:
    model = prepared(GraphConvolution)
    parts = [draw(6, 5, seed=seed) for seed in range(5)]
    network = snnconv.convert(model, parts, coding=Rate(16), percentile=100)
    fine, coarse = snnconv.verify(network, parts, steps=1024), snnconv.verify(network, parts, steps=16)
    assert fine.samples == 5
    assert fine.populations[0].relative < coarse.populations[0].relative


def test_the_report_prints_and_survives_json() -> None:
    found = snnconv.verify(network_of("deep"))
    assert json.loads(json.dumps(found.to_dict()))["output"] == found.output
    assert all(population.name in str(found) for population in found.populations)


class Dead(nn.Module):
    """A ReLU of what is below 0, in front of one that is not."""

    def __init__(self, current: float) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        with torch.no_grad():
            self.first.weight.zero_()
            self.first.bias.fill_(current)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(torch.relu(self.second(torch.relu(self.first(x)))))
        return scores


def test_a_dead_population_is_said_to_be_dead() -> None:
    torch.manual_seed(0)
    x = draw(40, 4, dtype=torch.float32)
    found = snnconv.verify(snnconv.convert(Dead(-1.0).eval(), x, coding=Rate(8)), x)
    assert [each.dead for each in found.populations] == [True, False]
    line = f"dead: {found.populations[0].name}: the original's activation is 0 on all of these samples"
    assert line in str(found) and found.to_dict()["populations"][0]["dead"] is True
    assert "dead: " not in str(snnconv.verify(snnconv.convert(Dead(1.0).eval(), x, coding=Rate(8)), x))


def test_errors_relative_to_nothing_are_written_as_briefly_as_others() -> None:
    nothing = ErrorSums(error2=1.0, own2=1.0, difference=-1.0, total=1, inactive=1)
    sums = VerificationSums(1, {"dead": nothing}, ErrorSums(error2=1.0, norm2=4.0))
    found = verification_of(4, sums, False, frozenset())
    assert found.populations[0].relative > 1e100 and found.populations[0].bias < -1e100
    (row,) = [line for line in str(found.to_table()).splitlines() if line.startswith("dead")]
    assert row.split() == ["dead", "over", "10", "over", "10", "below", "-10", "0.00%", "0.00%"]
    assert "\ndead: dead: the original's activation is 0" in str(found) and "e+1" not in str(found)


def test_a_verification_that_was_pickled_before_figures_were_added_is_read() -> None:
    found = snnconv.verify(network_of("deep"))
    before = pickle.loads(pickle.dumps(found))
    for later, owners in (("dead", before.populations), ("limited", (before,))):
        for owner in owners:
            del owner.__dict__[later]
    again = pickle.loads(pickle.dumps(before))
    assert str(again) == str(found) and again.merge(again).samples == 2 * found.samples
