"""What stays real-valued by the user's leave is in every figure, of both networks, in numbers and as a share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import snnconv
from coding import Concurrent, FewSpike, Rate
from hw_export import interop, lava
from snnconv import ConfigurationError, SpikingNetwork, UnsupportedModelError
from snnconv.metrics.energy_models import ACCUMULATE, ADD, MAC, MEMORY, MULTIPLY, SYNOP, update_energy
from tests.support.networks import draw


class Headed(nn.Module):
    """A convolution with ReLU, then a head of three weighted layers with a smooth function behind each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 12))
        self.head = nn.ModuleDict(
            {"mix": nn.Sequential(nn.Linear(12, 10), nn.BatchNorm1d(10), nn.Tanh()), "scores": nn.Linear(10, 4)}
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.nn.functional.gelu(self.body(x))
        return self.head["scores"](self.head["mix"](hidden)).softmax(1)


MODEL = Headed().eval()
X = draw(40, 1, 6, 6, dtype=torch.float32)
#: Counted by hand: the convolution, the linear layer in front of gelu, the two behind it.
INPUT, SYNAPTIC, ANALOG = 2 * 16 * 9, 32 * 12, 12 * 10 + 10 * 4
WHOLE = INPUT + SYNAPTIC + ANALOG
SHARE = f"{ANALOG} of {WHOLE} multiply-accumulates ({100 * ANALOG / WHOLE:.1f} %) stay real-valued"


@cache
def network_of(code: str) -> SpikingNetwork:
    options: dict[str, Any] = {"coding": FewSpike(8, spikes=3)}
    if code == "rate":
        options = {"coding": Rate(8), "schedule": Concurrent(8)}
    return snnconv.convert(MODEL, X, analog=["head"], **options)


class Refused(Headed):
    """The same with functions of several elements that have no spiking form in front of weights."""

    def forward(self, x: Tensor) -> Tensor:
        mix: Any = self.head["mix"]
        mixed = mix[0](self.body(x).log_softmax(1))
        scores: Tensor = self.head["scores"](mixed + mixed.argmax(1, keepdim=True))
        return scores


def test_functions_of_one_signal_are_looked_up_unless_they_may_stay_real_valued() -> None:
    for leave, analog in (([], []), (["head"], ["linear_1", "linear_2"]), (["head.scores"], ["linear_2"])):
        report = snnconv.preflight(MODEL, X, analog=leave)
        assert [line.name for line in report.lines if line.role.value == "analog"] == analog
        assert report.ok and report.analog_macs == {0: 0, 1: 40, 2: ANALOG}[len(analog)]


def test_without_leave_every_other_function_with_weights_behind_it_is_refused_in_its_place() -> None:
    report = snnconv.preflight(Refused().eval(), X)
    assert [problem.op for problem in report.problems] == ["log_softmax", "argmax"]
    first, second = report.problems
    assert first.source.file == second.source.file == __file__
    assert first.analog == ("linear in head.mix.0", "linear in head.scores") and second.analog == first.analog[1:]
    for problem in report.problems:
        assert 'analog=["head.mix.0", "head.scores"]' in problem.remedy
        assert all(operation in str(report) for operation in problem.analog)
    assert report.macs == {} and report.analog_macs == 0
    with pytest.raises(UnsupportedModelError, match="log_softmax"):
        snnconv.convert(Refused().eval(), X)


@pytest.mark.parametrize("names", [["head"], ["head.mix", "head.scores"], ["linear_1", "linear_2"]])
def test_names_of_modules_what_is_inside_them_and_names_of_operations_give_leave(names: list[str]) -> None:
    report = snnconv.preflight(MODEL, X, analog=names)
    assert report.ok and SHARE in str(report)
    plain = report.to_dict()
    assert (plain["analog_macs"], sum(plain["macs"].values())) == (ANALOG, WHOLE)
    assert [line["name"] for line in plain["operations"] if line["role"] == "analog"] == ["linear_1", "linear_2"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["hea"], "no module or operation"),
        (["head", "body"], "nothing in it"),
        (["conv2d"], "nothing in it"),
        ("head", "list of names"),
        ([3], "list of names"),
    ],
)
def test_names_that_give_leave_to_nothing_are_refused(names: Any, why: str) -> None:
    for call in (snnconv.preflight, snnconv.convert):
        with pytest.raises(ConfigurationError, match=why) as caught:
            call(MODEL, X, analog=names)
        assert "head" in str(caught.value)


def test_leave_that_nothing_needs_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1)).eval()
    with pytest.raises(ConfigurationError, match="leave it out"):
        snnconv.convert(model, draw(20, 4, dtype=torch.float32), analog=["2"])


class LogSoftmaxBlocks(nn.Module):
    """Twelve blocks of weights and log_softmax in a head whose first module is called like an operation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.linear_1 = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 4)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LogSoftmax(1), nn.Linear(4, 4)) for _ in range(12))

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear_1(self.body(x))
        for block in self.blocks:
            x = block(x)
        return x


def test_many_functions_of_a_kind_are_one_entry_with_names_that_can_be_read() -> None:
    model, x = LogSoftmaxBlocks().eval(), draw(20, 4, dtype=torch.float32)
    report = snnconv.preflight(model, x)
    assert len(report.problems) == 12 and [len(problem.analog) for problem in report.problems] == [*range(12, 0, -1)]
    assert len(str(report).splitlines()) < 10 and "log_softmax, 12 times" in str(report)
    assert 'analog=["blocks"]' in str(report) and "and 6 more" in str(report)
    assert snnconv.preflight(model, x, analog=["blocks"]).analog_macs == 12 * 16


def test_a_module_comes_before_an_operation_of_its_name() -> None:
    model, x = LogSoftmaxBlocks().eval(), draw(20, 4, dtype=torch.float32)
    operations = [line.name for line in snnconv.preflight(model, x, analog=["blocks"]).lines if line.op == "linear"]
    assert "linear_1" in operations
    with pytest.raises(ConfigurationError, match="nothing in it"):
        snnconv.preflight(model, x, analog=["linear_1"])
    assert not snnconv.preflight(model, x, analog=["linear_2"]).ok


@pytest.mark.parametrize(("code", "presentations"), [("few-spike", 1), ("rate", 8)])
def test_both_networks_pay_for_it_once_a_sample(code: str, presentations: int) -> None:
    network = network_of(code)
    with FlopCounterMode(display=False) as counter:
        MODEL(X[:1])
    assert counter.get_total_flops() // 2 == WHOLE
    found = snnconv.evaluate(network, X, reference=MODEL)
    activity, energy = found.activity, found.energy
    assert (activity.reference_macs, activity.analog_macs) == (WHOLE, ANALOG)
    assert activity.input_macs == INPUT * presentations
    assert energy.e2 == pytest.approx(found.synops * ACCUMULATE + (INPUT * presentations + ANALOG) * MAC, rel=1e-12)
    assert energy.e2_reference == pytest.approx(WHOLE * MAC, rel=1e-12)
    assert ANALOG + INPUT < activity.reference_active_macs <= WHOLE
    updates = update_energy(
        activity.update_words, activity.update_additions, activity.update_multiplications, activity.updates
    )
    real_valued = (INPUT * presentations + ANALOG) * (2 * MEMORY + ADD + MULTIPLY)
    assert energy.e3 == pytest.approx(found.synops * SYNOP + updates + real_valued, rel=1e-12)


def test_a_stop_that_is_decided_at_every_step_costs_it_at_every_step() -> None:
    found = snnconv.evaluate(
        network_of("rate"), X, stop=lambda output, steps: torch.arange(len(output)) % 2 < steps - 2
    )
    assert found.mean_steps == 3.5
    assert found.activity.analog_macs == pytest.approx(ANALOG * found.mean_steps, rel=1e-12)
    assert f"{SHARE}, made {found.mean_steps:.3g} times a sample" in str(found)


@pytest.mark.parametrize("code", ["few-spike", "rate"])
def test_reports_and_evaluations_say_how_much_it_is(code: str, tmp_path: Path) -> None:
    network_of(code).save(tmp_path / "network.snn")
    for network in (network_of(code), snnconv.load(tmp_path / "network.snn")):
        assert f"{SHARE}: linear in head.mix.0, linear in head.scores behind gelu, tanh" in network.report()
        found = snnconv.evaluate(network, X, rate_reference=snnconv.evaluate(network_of("rate"), X))
        assert SHARE in str(found) and "spikes and latency only" in str(found)
        assert found.to_dict()["activity"]["analog_macs"] == ANALOG


def test_a_sweep_says_how_much_it_is() -> None:
    found = snnconv.sweep(MODEL, X, X, {"few": FewSpike(4)}, analog=["head"])
    assert SHARE in str(found)
    assert found.to_dict()["results"][0]["analog_macs"] == ANALOG


def test_exports_say_that_the_host_computes_it(tmp_path: Path) -> None:
    report = lava.export(network_of("few-spike"), tmp_path / "network.npz")
    assert f"{SHARE}, on the host" in str(report)
    (host,) = [note for note in report.to_dict()["notes"] if note.startswith("the host computes")]
    assert all(operator in host for operator in ("gelu", "linear", "tanh", "softmax"))
    with pytest.raises(ConfigurationError, match=r"behind it run gelu, linear, tanh, softmax"):
        interop.to_snntorch(network_of("rate"))


#: Functions of the output that take several operations, clamps and maxima among them.
OF_OUTPUT: dict[str, Callable[[Tensor], Any]] = {
    "unit length": lambda x: F.normalize(x, dim=1),
    "length 1 in sums": lambda x: F.normalize(x, p=1, dim=1),
    "largest magnitude 1": lambda x: F.normalize(x, p=math.inf, dim=1),
    "length 1 in sums by hand": lambda x: x / x.abs().sum(1, keepdim=True).clamp_min(1e-6),
    "root mean square": lambda x: x * torch.rsqrt(x.square().mean(1, keepdim=True).clamp_min(1e-6)),
    "layer norm": lambda x: F.layer_norm(x, (4,)),
    "clamped probabilities": lambda x: x.sigmoid().clamp(0.1, 0.9),
    "confidence": lambda x: x.softmax(1).amax(1),
    "decision and confidence": lambda x: x.softmax(1).max(1),
    "decision": lambda x: x.max(1)[1],
    "least": lambda x: x.argmin(1),
    "log of a sigmoid": F.logsigmoid,
    "selu": F.selu,
    "celu": F.celu,
    "logarithms": lambda x: torch.log1p(x.square()) + x.exp2().log2() + x.exp().log10() + x.expm1().reciprocal(),
}


class Ended(nn.Module):
    """Two layers with ReLU between, then functions of what they give, by name."""

    def __init__(self, functions: dict[str, Callable[[Tensor], Any]]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4))
        self.functions = functions

    def forward(self, x: Tensor) -> Any:
        decoded = self.body(x)
        return {"": decoded, **{name: function(decoded) for name, function in self.functions.items()}}


@cache
def ended() -> SpikingNetwork:
    return snnconv.convert(Ended(OF_OUTPUT).eval(), draw(40, 6).float(), coding=FewSpike(10, spikes=4))


@pytest.mark.parametrize("name", OF_OUTPUT)
def test_functions_of_the_output_run_on_what_was_decoded(name: str) -> None:
    found = ended()(draw(40, 6).float())
    for mine, expected in zip(tree_leaves(found[name]), tree_leaves(OF_OUTPUT[name](found[""])), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)


def test_functions_of_the_output_have_no_populations_and_come_along_in_a_file(tmp_path: Path) -> None:
    network, x = ended(), draw(40, 6).float()
    assert [population.name for population in network.populations.values()] == ["body.1"]
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert all(map(torch.equal, tree_leaves(loaded(x)), tree_leaves(network(x))))


def test_what_is_cut_in_front_of_weights_keeps_a_function_from_being_the_outputs_own() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 4), nn.LogSoftmax(1), nn.ReLU(), nn.Linear(4, 2))
    (problem,) = snnconv.preflight(model, draw(4, 6).float()).problems
    assert (problem.op, problem.analog) == ("log_softmax", ())
