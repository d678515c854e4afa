"""Tuning: that it comes nearer to the original, resumes bit for bit, and says what is wrong."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import snnconv
from coding import TTFS, Code, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate, Schedule, TableSpike
from snnconv import ConfigurationError, InputError, ModelError, SpikingNetwork, StorageError, tune
from snnconv.learning import ShiftAndFlip, TuningLog
from snnconv.learning.trained_tensors import TrainedTensors, weights_of
from snnconv.learning.tuned_network import copy_of, tuned_output
from snnconv.learning.window_gradient import RULES

ONE_SPIKE = OneSpike(4)


class Small(nn.Module):
    """Two convolutions, a sum of paths and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        before = torch.relu(self.first(images))
        after: Tensor = self.last(torch.relu(self.second(before) + before).mean((2, 3)))
        return 4.0 * after


def model() -> nn.Module:
    torch.manual_seed(3)
    return Small().eval()


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 1, 1, generator=generator) + torch.rand(count, 2, 6, 6, generator=generator)


@cache
def converted(code: Code = ONE_SPIKE, schedule: Schedule | None = None) -> SpikingNetwork:
    """A network that no test changes."""
    return snnconv.convert(model(), images(60, 0), coding=code, schedule=schedule)


def disturbed(code: Code = ONE_SPIKE) -> SpikingNetwork:
    return disturbed_copy(converted(code))


def disturbed_copy(network: SpikingNetwork) -> SpikingNetwork:
    """A network that every epoch makes better: its neurons hear a current that the original's do not."""
    network = copy_of(network)
    for population in network.populations.values():
        population.shift.add_(0.3 * population.scale)
    return network


def error(network: SpikingNetwork, original: nn.Module) -> float:
    """Mean squared error of the output on samples that nothing was fitted to."""
    unseen = images(300, 2)
    with torch.no_grad():
        return float((network(unseen) - original(unseen)).square().mean())


def tensors(network: SpikingNetwork) -> list[Tensor]:
    return [tensor.clone() for _, tensor in sorted(network.state_dict().items())]


def same(first: SpikingNetwork, second: SpikingNetwork) -> bool:
    return all(torch.equal(one, other) for one, other in zip(tensors(first), tensors(second), strict=True))


def log_of(network: SpikingNetwork) -> TuningLog:
    assert network.tuning_log is not None
    return network.tuning_log


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("targets", ["decisions", "outputs", "populations"])
def test_tuning_comes_nearer_to_the_original_on_unseen_samples(rule: Any, targets: Any) -> None:
    network = converted()
    before = tensors(network)
    tuned = tune(network, images(200, 1), rule=rule, targets=targets, epochs=12, batch=20, learning_rate=1e-3)
    assert error(tuned, model()) < 0.8 * error(network, model())
    log = log_of(tuned)
    assert len(log.losses) == 12 and log.resumed == 0
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
    network = copy_of(converted(OneSpike(8)))
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

    def interrupted(steps: range) -> Any:
        for step in steps:
            if step == stop:
                raise KeyboardInterrupt
            yield step

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        tune(network, data, checkpoint=path, progress=interrupted, **options)
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
    assert "the network comes back as it was; try another learning_rate than 1" in caplog.text


def test_labels_that_are_left_out_do_not_count() -> None:
    network, data = converted(), images(40, 1)
    labels = torch.full((40,), -100)
    with pytest.raises(InputError, match="every target is -100"):
        tune(network, (data, labels), targets="labels")
    labels[::2] = 1
    network = disturbed()
    tuned = tune(network, (data, labels), targets="labels", epochs=2, batch=3)
    assert all(map(math.isfinite, (*log_of(tuned).losses, *log_of(tuned).held_out_losses)))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"rule": "stdp"}, "rule must be one of activation, timing, antlr"),
        ({"targets": "teacher"}, "targets must be one of"),
        ({"epochs": 0}, "epochs 0"),
        ({"batch": 0}, "batch 0"),
        ({"batch": 10.0}, "batch 10.0"),
        ({"patience": 0}, "patience 0"),
        ({"seed": -1}, "seed -1"),
        ({"learning_rate": 0.0}, "learning_rate 0.0"),
        ({"learning_rate": math.nan}, "learning_rate nan"),
        ({"held_out": 1.0}, "held_out 1.0"),
        ({"population_weight": -1.0}, "population_weight must be 0 or more"),
        ({"augmentation": lambda values: values[:1], "checkpoint": "run"}, "leave checkpoint out"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        tune(converted(), images(20, 1), **options)


def first_of(values: Tensor) -> Tensor:
    return values[:1]


def test_an_augmentation_that_changes_the_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="augmentation made"):
        tune(converted(), images(20, 1), augmentation=first_of)
    with pytest.raises(InputError, match=r"takes images \[N, C, H, W\]"):
        ShiftAndFlip()(torch.zeros(3, 4))
    with pytest.raises(ConfigurationError, match="shift is -1"):
        ShiftAndFlip(-1)


@pytest.mark.parametrize(
    ("data", "targets", "what"),
    [
        (torch.zeros(4, 3, 6, 6), "decisions", "input 0 has shape"),
        (torch.zeros(1, 2, 6, 6), "decisions", "there are 1 samples"),
        (torch.full((4, 2, 6, 6), math.nan), "decisions", "NaN"),
        ([], "decisions", "not one batch"),
        (torch.zeros(4, 2, 6, 6), "labels", "without targets"),
        ((torch.zeros(4, 2, 6, 6), torch.tensor([0, 1, 2, 4])), "labels", "between 0 and 4"),
        ((torch.zeros(4, 2, 6, 6), torch.tensor([0, 1, 2])), "labels", r"shape \[3\]"),
        ((torch.zeros(4, 2, 6, 6), torch.zeros(4)), "labels", "class indices"),
    ],
)
def test_data_that_does_not_suit_is_refused(data: Any, targets: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        tune(converted(), data, targets=targets)


@pytest.mark.parametrize(("code", "schedule"), [(Rate(4), Concurrent(4)), (OneSpike(4), Pipeline(stride=2))])
def test_networks_without_a_closed_form_are_refused(code: Code, schedule: Schedule) -> None:
    with pytest.raises(ConfigurationError, match="needs a pipeline whose populations wait"):
        tune(converted(code, schedule), images(20, 1))


@pytest.mark.parametrize("rule", ["timing", "antlr"])
def test_moving_spikes_of_rate_code_is_refused(rule: Any) -> None:
    with pytest.raises(ConfigurationError, match="worth the same whenever it is fired"):
        tune(converted(Rate(4), Pipeline()), images(20, 1), rule=rule)


def test_networks_without_a_batch_axis_are_refused() -> None:
    nodes = torch.randn(6, 5)
    layers = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    network = snnconv.convert(Mixing(layers), nodes, coding=OneSpike(4))
    assert network.batch_axis is None
    with pytest.raises(ConfigurationError, match="batch axis"):
        tune(network, nodes)


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


def test_a_network_without_parameters_is_refused() -> None:
    class Fixed(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return torch.relu(values - 0.5) * 2.0

    network = snnconv.convert(Fixed().eval(), torch.randn(20, 4), coding=OneSpike(4))
    with pytest.raises(ConfigurationError, match=r"make its weights nn\.Parameter"):
        tune(network, torch.randn(20, 4), targets="outputs")


def test_what_is_no_converted_network_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"tune takes a converted network, got Small: call snnconv.convert"):
        tune(model(), images(20, 1))  # type: ignore[arg-type]


def test_gradients_are_asked_for_where_the_caller_has_switched_them_off() -> None:
    with torch.no_grad():
        assert log_of(tune(disturbed(), images(60, 1), epochs=2, learning_rate=1e-3)).best_epoch > 0
        assert not torch.is_grad_enabled()
    with torch.inference_mode(), pytest.raises(ConfigurationError, match="inference_mode"):
        tune(converted(), images(60, 1))


def test_targets_that_need_classes_are_refused_where_there_are_none() -> None:
    one = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).eval()
    network = snnconv.convert(one, torch.randn(30, 3), coding=OneSpike(4))
    with pytest.raises(ConfigurationError, match="tune with targets='outputs'"):
        tune(network, torch.randn(30, 3))
    tune(network, torch.randn(30, 3), targets="outputs", epochs=1)


def test_a_population_that_is_silent_in_a_batch_does_not_explode_the_loss() -> None:
    layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with torch.no_grad():
        layers[0].bias.fill_(-2.0)  # type: ignore[operator]
    data = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    network = snnconv.convert(layers, data, coding=OneSpike(4))
    log = log_of(tune(network, data, targets="outputs", epochs=1, batch=1, learning_rate=1e-5))
    assert log.losses[0] < 10.0 * log.initial_loss


class Mixing(nn.Module):
    """A network that spreads values over its first axis."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mixture", torch.ones(6, 6) / 6)

    def forward(self, nodes: Tensor) -> Tensor:
        mixed: Tensor = self.layers(self.mixture @ nodes)
        return mixed


def test_a_loss_that_is_not_finite_names_the_batch() -> None:
    with pytest.raises(ModelError, match="before tuning is not finite"):
        tune(converted(), images(60, 1) * 1e19, targets="outputs")
    with pytest.raises(ModelError, match="not finite in epoch 1, batch 1"):
        tune(converted(), images(60, 1), augmentation=_overflowing)


def test_the_batch_of_a_loss_that_is_not_finite_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(ModelError, match=r"the batch and the weights are in .*run\.failed"):
        tune(converted(), images(60, 1), augmentation=_overflowing, batch=20, checkpoint=path)
    kept = safetensors.torch.load_file(tmp_path / "run.failed")
    assert kept["inputs 0"].shape == (18, 2, 6, 6) and torch.equal(kept["weight first/weight"], model().first.weight)  # type: ignore[arg-type]


def _overflowing(values: Tensor) -> Tensor:
    return values * 1e30
