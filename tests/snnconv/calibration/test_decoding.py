"""``decoding="spike-count"``: neurons at the output, whose spikes are counted, against a loop over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import snnconv
from coding import Burst, FewSpike, Pipeline, Rate
from coding.registry import named_codes
from neurons import Negative
from snnconv.capture.capturing import captured
from snnconv.capture.output_populations import OUTPUT, output_as_spikes
from snnconv.errors import ConfigurationError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.interpreter import evaluate_graph
from tests.support.networks import Named, Perceptron, Pooling, draw, prepared, zoo

STEPS = 40
COUNTED: dict[str, Any] = {"percentile": 100, "decoding": "spike-count"}


class Twice(Perceptron):
    """The same scores as they are and as probabilities, and what they are made of."""

    def forward(self, x: Tensor) -> Any:
        hidden = self.first(x).relu()
        scores = self.second(hidden)
        return scores, scores.softmax(1), hidden.view(-1, 3, 4), x * 2.0


#: Networks by what their output is, with the shape of a sample and the number of populations that it needs.
OUTPUTS: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "a sum of currents": (Perceptron, (6,), 1),
    "in front of a softmax and beside spikes": (Named, (6,), 1),
    "one sum used twice, spikes in another form, a multiple of the input": (Twice, (6,), 2),
    "a mean of spikes": (lambda: Pooling(nn.MaxPool2d(2)), (1, 8, 8), 1),
    "spikes": (lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU()), (6,), 0),
    "spikes that a maximum picks": (lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.MaxPool1d(2)), (6,), 0),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_sums_at_the_output_get_neurons_and_keep_their_values(kind: str) -> None:
    build, shape, populations = OUTPUTS[kind]
    example = (draw(2, *shape),)
    before = captured(prepared(build), example).graph
    after = output_as_spikes(before, example)
    assert sum(node.op == OUTPUT for node in after.nodes.values()) == populations
    assert sum(analysis_of(after).role(name) is not None for name in after.nodes) == len(before.nodes) + populations
    pairs = zip(*(tree_leaves(evaluate_graph(each, example)[0]) for each in (before, after)), strict=True)
    assert all(torch.equal(found, wanted) for found, wanted in pairs)


@pytest.mark.parametrize("negative", ["graded", "imbalanced"])
def test_the_output_is_counts_of_a_loop_over_time(negative: Negative) -> None:
    model, x = prepared(Perceptron), draw(40, 6)
    network = zoo("perceptron", coding=Rate(STEPS), negative=negative, **COUNTED)
    hidden, output = network.populations.values()
    potential, charge = torch.full((40, 12), 0.5).double(), torch.zeros(40, 4).double()
    counts, outputs = torch.zeros(40, 4).double(), []
    for t in range(STEPS):
        potential += model.first(x) / hidden.scale
        spikes = (potential >= 1.0).double()
        potential -= spikes
        charge += model.second(spikes * hidden.scale) / output.scale
        signed = (charge >= 1.0).double() - (charge <= -1.0).double()
        charge -= signed
        counts += signed
        outputs.append(counts * output.scale / (t + 1))
    run = network.run(x, record=["outputs", output.name])
    assert run.outputs is not None
    assert torch.allclose(run.outputs, torch.stack(outputs), atol=1e-12)
    assert torch.equal(run.rasters[output.name].sum(0), counts) and bool((counts < 0).any())
    assert run.spikes[output.name] == run.rasters[output.name].ne(0).sum()
    assert torch.equal(network(x), run.output)


def test_counts_of_a_window_are_within_a_spike_of_the_potential() -> None:
    x = draw(40, 6)
    options: dict[str, Any] = {"coding": Rate(STEPS), "schedule": Pipeline(), "bias_correction": False}
    counted, exact = zoo("perceptron", **options, **COUNTED), zoo("perceptron", percentile=100, **options)
    _, output = counted.populations.values()
    inside = exact(x).abs() <= output.scale
    assert bool(((counted(x) - exact(x)).abs() <= output.scale / STEPS + 1e-12)[inside].all())
    assert counted.timing is not None and exact.timing is not None
    assert counted.timing.latency == exact.timing.latency + STEPS


def test_the_output_neurons_are_stored_reported_and_counted(tmp_path: Path) -> None:
    network = zoo("perceptron", coding=Rate(STEPS), **COUNTED)
    network.save(tmp_path / "network.snn")
    again, x = snnconv.load(tmp_path / "network.snn"), draw(5, 6)
    assert torch.equal(again(x), network(x))
    assert "second.output: inserted, so that the output is decoded from spike counts" in again.report()
    assert network.synapses.macs == zoo("perceptron", coding=Rate(STEPS)).synapses.macs


@pytest.mark.parametrize("code", [name for name in named_codes() if name != "rate"])
def test_what_cannot_be_counted_is_refused(code: str) -> None:
    with pytest.raises(ConfigurationError, match=f"second.output in {code} code .* no value: give"):
        zoo("perceptron", coding=code, **COUNTED)


def test_only_codes_of_the_output_must_be_countable() -> None:
    mixed = zoo("perceptron", coding={"*": Burst(STEPS), "*.output": Rate(STEPS)}, **COUNTED)
    assert [each.code.name for each in mixed.populations.values()] == ["burst", "rate"]
    x, model = draw(40, 6), nn.Sequential(nn.Linear(6, 4), nn.ReLU()).double()
    with pytest.raises(ConfigurationError, match="the spikes of 1 in few-spike code"):
        snnconv.convert(model, x, coding=FewSpike(), decoding="spike-count")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decoding": "rate"}, "decoding must be one of potential, spike-count, got 'rate'"),
        ({"coding": "auto", "decoding": "spike-count"}, 'coding="auto" chooses among many'),
    ],
)
def test_other_ways_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        snnconv.convert(prepared(Perceptron), draw(40, 6), **options)
