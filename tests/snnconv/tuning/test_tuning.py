"""Tuning: that it comes nearer to the original, trains what it says, and resumes bit for bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, Code, FewSpike, OneSpike, Phase, Pipeline, Rate, TableSpike, Thermometer
from snnconv import CrossbarNoise, InputError, StorageError, tune
from snnconv.graph.interpreter import evaluate_graph
from snnconv.tuning import ShiftAndFlip
from snnconv.tuning.differentiable_network import tuned_output
from snnconv.tuning.surrogate_gradients import RULES
from snnconv.tuning.trained_tensors import TrainedTensors, weights_of
from tests.snnconv.tuning.tuned_networks import (
    converted,
    disturbed,
    disturbed_copy,
    error,
    images,
    log_of,
    model,
    same,
    tensors,
)
from tests.support.interruption import stopped_at
from tests.support.products import product_network


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("targets", ["decisions", "outputs", "populations"])
def test_tuning_comes_nearer_to_the_original_on_unseen_samples(rule: Any, targets: Any) -> None:
    network = disturbed()
    before = tensors(network)
    tuned = tune(network, images(200, 1), rule=rule, targets=targets, epochs=8, batch=20, learning_rate=1e-3)
    assert error(tuned, model()) < 0.8 * error(network, model())
    log = log_of(tuned)
    assert len(log.losses) == 8 and log.resumed == 0
    assert log.held_out_losses[log.best_epoch - 1] == min(log.held_out_losses) < log.initial_loss
    assert all(torch.equal(one, other) for one, other in zip(before, tensors(network), strict=True))
    assert not any(tensor.requires_grad for tensor in tuned.buffers())
    assert [p.code for p in network.populations.values()] == [p.code for p in converted().populations.values()]


FREE = [OneSpike(5), FewSpike(4, spikes=2), TableSpike(5), TTFS(12, tau="fit"), TTFS(12, tau="gradient")]


@pytest.mark.parametrize("code", FREE)
@pytest.mark.parametrize("rule", RULES)
def test_parameters_that_conversion_fitted_are_tuned(code: Code, rule: Any) -> None:
    network = disturbed(code)
    tuned = tune(network, images(60, 1), rule=rule, targets="outputs", epochs=2, batch=20, learning_rate=1e-3)
    assert log_of(tuned).best_epoch > 0
    for before, after in zip(network.populations.values(), tuned.populations.values(), strict=True):
        assert type(after.code) is type(before.code) and after.code.steps == code.steps
        assert after.code != before.code and after.neuron.code is after.code  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [OneSpike(5, base=1.5), Phase(5), TTFS(12), Rate(5)])
def test_parameters_given_as_numbers_stay(code: Code) -> None:
    tuned = tune(converted(code, schedule=Pipeline()), images(60, 1), epochs=1, learning_rate=3e-3)
    assert {population.code for population in tuned.populations.values()} == {code}


def test_better_bases_alone_come_nearer_to_the_original() -> None:
    """Neurons with a base that is wrong for their values: nothing else is trained."""
    network = converted(OneSpike(8)).with_()
    for node, population in network.populations.items():
        assert isinstance(population.code, OneSpike)
        network.recode(node, population.code.with_base(2.0))
    before = error(network, model())
    trained = TrainedTensors(network)
    optimizer = torch.optim.Adam(trained.payloads.values(), lr=0.03)
    data = images(100, 1)
    with torch.no_grad():
        exact = model()(data)
    for _ in range(40):
        loss = (tuned_output(network, (data,), "activation", payloads=trained.payloads).output - exact).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        trained.settle()
    assert error(network, model()) < 0.7 * before


def test_labels_make_a_task_of_their_own() -> None:
    """Classes that the original does not know are learned through spikes."""
    network, data, unseen = converted(), images(200, 1), images(200, 2)
    tuned = tune(
        network,
        (data, _side(data)),
        targets="labels",
        epochs=10,
        batch=20,
        learning_rate=1e-2,
        population_weight=0.0,
    )
    accuracies = [float((one(unseen).argmax(1) == _side(unseen)).double().mean()) for one in (network, tuned)]
    assert accuracies[1] > accuracies[0] + 0.2


def _side(data: Tensor) -> Tensor:
    return (data[:, 0].mean((1, 2)) > data[:, 1].mean((1, 2))).long()


@pytest.mark.parametrize("code", [FewSpike(3, spikes=2), TableSpike(4), Rate(4)])
def test_other_window_codes_can_be_tuned(code: Code) -> None:
    network = converted(code, schedule=Pipeline())
    tuned = tune(network, images(200, 1), targets="outputs", epochs=8, batch=20, learning_rate=1e-3)
    assert error(tuned, model()) < error(network, model())


def test_a_tuned_network_says_so_and_is_compared_with_the_model_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = images(60, 1)
    tuned = tune(
        disturbed(), (data, _side(data)), targets="labels", epochs=3, learning_rate=1e-2, population_weight=0.0
    )
    tuned.save(tmp_path / "tuned.snn")
    loaded = snnconv.load(tmp_path / "tuned.snn")
    assert tuned.tuned and loaded.tuned and not converted().tuned
    unseen = images(80, 2)
    alike = snnconv.evaluate(loaded, unseen, reference=model()).agreement
    assert "tuned weights" not in caplog.text and alike == 100.0 * float(
        (loaded(unseen).argmax(1) == model()(unseen).argmax(1)).double().mean()
    )
    snnconv.evaluate(loaded, unseen)
    assert "compared with its own tuned weights; pass the model as reference" in caplog.text


def test_a_tuned_network_knows_how_much_of_it_is_active() -> None:
    network = disturbed()
    network.densities |= dict.fromkeys(network.populations, 0.5)
    tuned = tune(network, images(60, 1), epochs=1, held_out=0.5)
    with torch.no_grad():
        _, values = evaluate_graph(tuned.complete_graph(), (images(400, 3),), keep=list(tuned.populations))
    for node in tuned.populations:
        assert tuned.densities[node] == pytest.approx(float((values[node] > 0).double().mean()), abs=0.05)
        assert network.densities[node] == 0.5


def test_codes_that_a_search_chose_are_tuned() -> None:
    network = snnconv.convert(model(), images(200, 0), coding="auto", max_loss=5.0)
    asked = [network.plan.code_for(population.name, node) for node, population in network.populations.items()]
    assert TrainedTensors(network.with_()).payloads.keys() == {
        node for node, code in zip(network.populations, asked, strict=True) if code.free_parameter is not None
    }
    assert any(code.free_parameter is not None for code in asked)


def test_a_tuned_network_can_be_saved_and_runs_on_the_clock(tmp_path: Path) -> None:
    tuned = tune(converted(), images(60, 1), learning_rate=3e-3)
    tuned.save(tmp_path / "tuned.snn")
    loaded, unseen = snnconv.load(tmp_path / "tuned.snn"), images(20, 2)
    assert torch.equal(loaded(unseen), tuned(unseen))
    clock = tuned.double().run(unseen.double(), simulator="clock").output
    torch.testing.assert_close(clock, tuned(unseen.double()))


def test_the_same_seed_gives_the_same_network_and_another_does_not() -> None:
    network, data = disturbed(), images(60, 1)
    options: dict[str, Any] = {"learning_rate": 1e-3, "augmentation": ShiftAndFlip(1)}
    state = torch.random.get_rng_state()
    first = tune(network, data, **options)
    assert torch.equal(state, torch.random.get_rng_state())  # nothing was drawn from the caller's generator
    torch.manual_seed(2)
    assert log_of(first).best_epoch > 0
    assert same(first, tune(network, data, **options))
    assert not same(first, tune(network, data, seed=1, **options))


@pytest.mark.parametrize("stop", [1, 7, 10])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path, stop: int) -> None:
    network, data = disturbed(), images(60, 1)
    options: dict[str, Any] = {"learning_rate": 1e-3, "batch": 18, "epochs": 4, "augmentation": ShiftAndFlip(1)}
    whole = tune(network, data, **options)

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        tune(network, data, checkpoint=path, progress=stopped_at(stop), **options)
    resumed = tune(network, data, checkpoint=path, **options)
    assert same(whole, resumed)
    assert log_of(resumed).resumed == stop // 3
    assert log_of(resumed).losses == log_of(whole).losses and log_of(whole).best_epoch > 0
    assert log_of(resumed).held_out_losses == log_of(whole).held_out_losses
    again = tune(network, data, checkpoint=path, **options)
    assert same(whole, again) and log_of(again).resumed == 4


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    network, data, path = converted(), images(60, 1), tmp_path / "run"
    tune(network, data, epochs=1, checkpoint=path)
    with pytest.raises(StorageError, match="another setting"):
        tune(network, data, epochs=2, checkpoint=path)
    with pytest.raises(StorageError, match="another data"):
        tune(network, images(60, 4), epochs=1, checkpoint=path)
    with pytest.raises(StorageError, match="another network"):
        tune(converted(OneSpike(5)), data, epochs=1, checkpoint=path)


def test_the_given_network_comes_back_where_no_epoch_is_better(caplog: pytest.LogCaptureFixture) -> None:
    network = converted(OneSpike(12))
    tuned = tune(network, images(60, 1), targets="outputs", epochs=6, learning_rate=1.0, patience=2)
    log = log_of(tuned)
    assert log.best_epoch == 0 and len(log.held_out_losses) == 2  # patience ran out
    assert same(network, tuned)
    assert [population.code for population in tuned.populations.values()] == [
        population.code for population in network.populations.values()
    ]
    assert "the network is returned unchanged; try another learning_rate than 1" in caplog.text


def test_labels_that_are_left_out_do_not_count() -> None:
    network, data = converted(), images(40, 1)
    labels = torch.full((40,), -100)
    with pytest.raises(InputError, match="every target is -100"):
        tune(network, (data, labels), targets="labels")
    labels[::2] = 1
    network = disturbed()
    tuned = tune(network, (data, labels), targets="labels", epochs=2, batch=3)
    assert all(map(math.isfinite, (*log_of(tuned).losses, *log_of(tuned).held_out_losses)))


class Bare(nn.Module):
    """Products with matrices that are parameters of its own, a batch norm behind a sum, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.offset = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(5))
        self.last = nn.Parameter(torch.randn(5, 4))
        self.normal = nn.BatchNorm1d(5)
        self.register_buffer("mixture", torch.eye(5) + 0.1)

    def forward(self, values: Tensor) -> Tensor:
        hidden = self.normal(values @ self.first + self.offset)
        scores: Tensor = (torch.relu(hidden) @ self.mixture) @ self.last
        return scores


def test_whatever_was_a_parameter_is_trained_and_nothing_else() -> None:
    data = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    network = snnconv.convert(Bare().eval(), data, coding=OneSpike(6))
    weights, constants = weights_of(network), network.constants
    assert "mixture" in constants and "mixture" not in weights and {"first", "offset", "last"} <= weights.keys()
    assert len(weights) == len(constants) - 1  # the batch norm's two belong to the weights
    tuned = tune(disturbed_copy(network), data, targets="outputs", epochs=3, batch=10, learning_rate=1e-3)
    assert log_of(tuned).best_epoch > 0
    for name, tensor in tuned.constants.items():
        assert torch.equal(tensor, constants[name]) is (name == "mixture")


def test_gradients_are_asked_for_where_the_caller_has_switched_them_off() -> None:
    wanted = log_of(tune(disturbed(), images(60, 1), epochs=2, learning_rate=1e-3))
    for switched_off in (torch.no_grad, torch.inference_mode):
        with switched_off():
            assert log_of(tune(disturbed(), images(60, 1), epochs=2, learning_rate=1e-3)) == wanted
            assert not torch.is_grad_enabled()
    assert wanted.best_epoch > 0


def test_a_population_that_is_silent_in_a_batch_does_not_explode_the_loss() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))  # type: ignore[operator]
        layers[0].bias.fill_(-1.5)  # type: ignore[operator]
    data = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    network = snnconv.convert(layers, data, coding=OneSpike(4))
    log = log_of(tune(network, data, targets="outputs", epochs=1, batch=1, learning_rate=1e-5))
    assert 0.0 < log.losses[0] < 10.0 * log.initial_loss


def test_gradients_pass_through_products() -> None:
    model, x = product_network("squeeze and excite", 200)
    network = snnconv.convert(model.requires_grad_(True), x, coding=OneSpike(6))
    tuned = tune(network, x, epochs=2, seed=0)
    assert tuned.tuning_log is not None and min(tuned.tuning_log.held_out_losses) < tuned.tuning_log.initial_loss
    before, after = weights_of(network), weights_of(tuned)
    assert not any(torch.equal(before[name], after[name]) for name in ("stem.weight", "a.weight", "b.weight"))


def test_weights_are_tuned_to_the_noise_of_crossbars() -> None:
    network, noise, samples = converted(Thermometer(6)), CrossbarNoise(0.3), images(200, 1)
    options: dict[str, Any] = {"epochs": 2, "learning_rate": 3e-3, "noise": noise}
    tuned = snnconv.tune(network, samples, **options)
    again = snnconv.tune(network, samples, **options)
    assert same(tuned, again)
    assert tuned.tuning_log is not None and min(tuned.tuning_log.held_out_losses) < tuned.tuning_log.initial_loss
    exact = snnconv.tune(network, samples, epochs=2, learning_rate=3e-3)
    assert not same(tuned, exact)
