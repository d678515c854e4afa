"""evaluate() against a plain recomputation from the recorded outputs of every step."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

import snnconv
from coding import Rate
from tests.support.networks import GraphConvolution, draw, make, network_of, prepared

STEPS = 24


def some_targets(x: Tensor, classes: int) -> Tensor:
    return torch.randint(classes, (len(x),), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", ["deep", "residual", "max pooling", "leaky relu"])
def test_accuracy_and_agreement_at_every_step_are_those_of_the_recorded_outputs(name: str) -> None:
    model, x = make(name)
    network = network_of(name, STEPS)
    run = network.run(x, record=["outputs", "rasters"])
    with torch.no_grad():
        original = model(x).argmax(1)
    targets = torch.where(torch.arange(len(x)) % 3 > 0, original, some_targets(x, run.output.shape[1]))
    result = snnconv.evaluate(network, [(x[:13], targets[:13]), (x[13:], targets[13:])], reference=model)
    decisions = run.outputs.argmax(2)
    correct = [100.0 * float((step == targets).double().mean()) for step in decisions]
    agreeing = [100.0 * float((step == original).double().mean()) for step in decisions]
    assert result.accuracy_by_step == pytest.approx(correct, rel=1e-12)
    assert result.agreement_by_step == pytest.approx(agreeing, rel=1e-12)
    assert (result.accuracy, result.agreement) == (result.accuracy_by_step[-1], result.agreement_by_step[-1])
    assert result.reference_accuracy == pytest.approx(100.0 * float((original == targets).double().mean()), rel=1e-12)
    assert result.loss == pytest.approx(result.reference_accuracy - correct[-1])
    assert (result.samples, result.steps, result.mean_steps) == (len(x), STEPS, float(STEPS))


def test_spikes_and_synaptic_operations_are_those_of_the_run() -> None:
    _, x = make("residual")
    network = network_of("residual", STEPS)
    run = network.run(x, record=["rasters"])
    result = snnconv.evaluate(network, [x[:17], x[17:]])
    per_step = sum(raster.flatten(1).count_nonzero(1).double() for raster in run.rasters.values())
    assert isinstance(per_step, Tensor)
    assert result.spikes_by_step == pytest.approx((per_step.cumsum(0) / len(x)).tolist(), rel=1e-12)
    assert result.spikes == pytest.approx({key: count / len(x) for key, count in run.spikes.items()}, rel=1e-12)
    assert result.synops == pytest.approx(sum(run.synops.values()) / len(x), rel=1e-12)
    assert result.spikes_per_neuron == pytest.approx(run.spikes_per_neuron, rel=1e-12)
    assert result.neurons == sum(run.neurons.values()) == 2 * 4 * 6 * 6


def test_ignored_targets_change_nothing() -> None:
    model, x = make("deep")
    network = network_of("deep", STEPS)
    targets = some_targets(x, 4)
    with_ignored = targets.clone()
    with_ignored[::4] = -100
    kept = with_ignored != -100
    whole = snnconv.evaluate(network, (x, with_ignored), reference=model)
    part = snnconv.evaluate(network, (x[kept], targets[kept]), reference=model)
    assert whole.accuracy_by_step == pytest.approx(part.accuracy_by_step, rel=1e-12)
    assert whole.reference_accuracy == pytest.approx(part.reference_accuracy, rel=1e-12)
    assert whole.standard_error == pytest.approx(part.standard_error, rel=1e-12)


def test_targets_that_are_all_ignored_give_no_accuracy() -> None:
    _, x = make("deep")
    result = snnconv.evaluate(network_of("deep", STEPS), (x, torch.full((len(x),), -100)))
    assert result.accuracy is None and result.reference_accuracy is None and result.loss is None
    assert result.accuracy_by_step is None and result.standard_error is None
    assert 0.0 <= result.agreement <= 100.0


def test_latency_is_the_step_from_which_on_the_loss_stays_small() -> None:
    _, x = make("deep")
    result = snnconv.evaluate(network_of("deep", STEPS), (x, some_targets(x, 4)))
    assert result.accuracy_by_step is not None and result.reference_accuracy is not None
    for loss in (0.0, 0.5, 2.5, 10.0, 50.0):
        within = [result.reference_accuracy - accuracy <= loss + 1e-9 for accuracy in result.accuracy_by_step]
        wanted = next((step for step in range(1, STEPS + 1) if all(within[step - 1 :])), None)
        assert result.latency(loss) == wanted
    assert result.latency(-200.0) is None


def test_without_targets_disagreement_is_the_loss() -> None:
    _, x = make("deep")
    result = snnconv.evaluate(network_of("deep", STEPS), x)
    assert result.accuracy is None and result.accuracy_by_step is None
    for loss in (0.0, 5.0, 20.0):
        within = [100.0 - agreement <= loss + 1e-9 for agreement in result.agreement_by_step]
        assert result.latency(loss) == next((s for s in range(1, STEPS + 1) if all(within[s - 1 :])), None)
    assert "accuracy" in str(result) and "E2" in str(result)


def test_what_counts_as_the_loss_is_said_by_its_name() -> None:
    _, x = make("deep")
    network = network_of("deep", STEPS)
    for data, judge, name in (
        ((x, some_targets(x, 4)), None, "loss"),
        (x, None, "disagreement in %"),
        (x, snnconv.ValueJudge(), "deviation in %"),
    ):
        assert f"latency in steps: {name} <= 0.3: " in str(snnconv.evaluate(network, data, judge=judge))


def test_figures_survive_json() -> None:
    model, x = make("deep")
    result = snnconv.evaluate(network_of("deep", STEPS), (x, some_targets(x, 4)), reference=model)
    plain = json.loads(result.to_json())
    assert plain == json.loads(json.dumps(result.to_dict()))
    assert plain["accuracy_by_step"] == result.accuracy_by_step
    assert plain["latency"]["0.5"] == result.latency(0.5)
    assert plain["energy"]["constants"]["E2"]["multiply_accumulate_pJ"] == 4.6
    assert plain["synops"] == result.synops and plain["loss"] == result.loss


def test_samples_that_stop_early_keep_their_decision() -> None:
    model, x = make("deep")
    network = network_of("deep", STEPS)
    targets = some_targets(x, 4)
    full = network.run(x, record=["outputs"])
    threshold = float(full.outputs.softmax(2).amax(2)[STEPS // 2].median())
    stop = snnconv.Confidence(threshold, minimum_steps=2)
    run = network.run(x, stop=stop)
    result = snnconv.evaluate(network, (x, targets), reference=model, stop=stop)
    assert result.mean_steps == pytest.approx(float(run.steps.double().mean()), rel=1e-12)
    assert result.mean_steps < STEPS
    decided = [
        full.outputs[torch.minimum(torch.tensor(t), run.steps - 1), torch.arange(len(x))].argmax(1)
        for t in range(len(result.agreement_by_step))
    ]
    wanted = [100.0 * float((step == targets).double().mean()) for step in decided]
    assert result.accuracy_by_step == pytest.approx(wanted, rel=1e-12)
    assert result.accuracy == pytest.approx(100.0 * float((run.output.argmax(1) == targets).double().mean()))
    assert result.spikes == pytest.approx({key: count / len(x) for key, count in run.spikes.items()}, rel=1e-12)


def test_steps_may_be_fewer_than_those_of_the_network() -> None:
    _, x = make("deep")
    network = network_of("deep", STEPS)
    long, short = snnconv.evaluate(network, x), snnconv.evaluate(network, x, steps=6)
    assert short.steps == 6
    assert short.agreement_by_step == long.agreement_by_step[:6]
    assert short.spikes_by_step == pytest.approx(long.spikes_by_step[:6], rel=1e-12)


def test_a_graph_network_is_judged_node_by_node() -> None:
    model = prepared(GraphConvolution)
    parts = [draw(6, 5, seed=seed) for seed in range(5)]
    network = snnconv.convert(model, parts, coding=Rate(STEPS))
    with torch.no_grad():
        targets = [(model(part).argmax(1) + (torch.arange(6) % 3 == 0)) % 3 for part in parts]
    result = snnconv.evaluate(network, list(zip(parts, targets, strict=True)), reference=model)
    correct = torch.zeros(STEPS)
    for part, target in zip(parts, targets, strict=True):
        correct += (network.run(part, record=["outputs"]).outputs.argmax(2) == target).sum(1)
    assert result.accuracy_by_step == pytest.approx((100.0 * correct / 30).tolist(), rel=1e-6)
    assert result.reference_accuracy == pytest.approx(100.0 * 4 / 6)
    assert result.samples == 5


def test_the_model_is_left_in_the_mode_it_was_in() -> None:
    model, x = make("residual")
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    first = snnconv.evaluate(network_of("residual", STEPS), x, reference=model)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert first.agreement_by_step == snnconv.evaluate(network_of("residual", STEPS), x).agreement_by_step


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "empty"),
        ((torch.zeros(0, 6), torch.zeros(0)), "at least one sample"),
        ((torch.zeros(5, 6, dtype=torch.float64), torch.zeros(4).long()), "5 inputs and 4 targets"),
        ((torch.zeros(5, 7, dtype=torch.float64), torch.zeros(5)), "the network takes"),
        (
            [(torch.zeros(5, 6, dtype=torch.float64), torch.zeros(5).long()), torch.zeros(5, 6).double()],
            "some have none",
        ),
        ((torch.zeros(5, 6, dtype=torch.float64), torch.zeros(5)), "class indices"),
        (3, "must be a tensor"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: object, message: str) -> None:
    with pytest.raises(snnconv.InputError, match=message):
        snnconv.evaluate(network_of("deep", STEPS), data)


def test_where_every_sample_stops_early_the_rest_of_the_time_stays_as_it_was() -> None:
    model, x = make("deep")
    network = network_of("deep", STEPS)
    targets = model(x).argmax(1)
    found = snnconv.evaluate(network, (x, targets), stop=snnconv.Confidence(1e-6, minimum_steps=3))
    assert found.mean_steps == 3.0
    assert found.accuracy_by_step is not None
    for series in (found.accuracy_by_step, found.agreement_by_step, found.spikes_by_step):
        assert len(series) == STEPS and set(series[2:]) == {series[2]}
    assert str(found)


def test_the_size_of_batches_does_not_change_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = make("residual")
    network, targets = network_of("residual", STEPS), model(x).argmax(1)
    whole = snnconv.evaluate(network, (x, targets)).to_dict()
    monkeypatch.setattr("snnconv.data.batches.PIECE", 3)
    assert snnconv.evaluate(network, (x, targets)).to_dict() == whole
