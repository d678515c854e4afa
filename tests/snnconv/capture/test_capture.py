from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import snnconv
from coding import Rate
from snnconv.capture.problems import UnsupportedModelError
from snnconv.capture.roles_report import inspect
from snnconv.capture.translation import capture
from snnconv.errors import ModelError
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph

X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) - 0.5


class LayerNet(nn.Module):
    """A linear layer, and a function of it and the input."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes.values())


def added_in_place(m: Any, x: Tensor) -> Tensor:
    y = m.linear(x)
    y += x
    return torch.relu(y)


def written_through_a_view(m: Any, x: Tensor) -> Tensor:
    y = m.linear(x)
    y[:, :3].mul_(2.0)
    return torch.relu(y)


STYLES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "module": lambda m, x: m.relu(m.linear(x)),
    "functional": lambda m, x: F.relu(m.linear(x)),
    "functional in place": lambda m, x: F.relu(m.linear(x), inplace=True),
    "method": lambda m, x: m.linear(x).relu(),
    "method in place": lambda m, x: m.linear(x).relu_(),
    "torch": lambda m, x: torch.relu(m.linear(x)),
    "torch in place": lambda m, x: torch.relu_(m.linear(x)),
    "lambda shortcut": lambda m, x: (lambda value: value + torch.relu(m.linear(value)))(x),
    "sum in place": added_in_place,
    "dropout": lambda m, x: m.drop(torch.relu(m.drop(m.linear(x)))),
    "functional dropout": lambda m, x: torch.relu(F.dropout(m.linear(x), training=m.training)),
    "identity": lambda m, x: nn.Identity()(torch.relu(nn.Identity()(m.linear(x)))),
    "copies": lambda m, x: torch.relu(m.linear(x).clone().contiguous()).detach(),
    "casts that change nothing": lambda m, x: torch.relu(m.linear(x).float().to(torch.float32)),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_way_to_write_relu_is_one_relu(style: str) -> None:
    model = LayerNet(STYLES[style])
    graph = capture(model, (X,))
    assert ops(graph)["relu"] == 1
    assert set(ops(graph)) <= {"linear", "relu", "add"}
    model.eval()
    for size in (1, 3):
        torch.testing.assert_close(evaluate_graph(graph, (X[:size],))[0], model(X[:size].clone()))


def test_a_module_called_twice_is_two_operations_with_one_set_of_weights() -> None:
    model = LayerNet(lambda m, x: m.relu(m.linear(m.relu(m.linear(x)))))
    graph = capture(model, (X,))
    assert ops(graph) == {"linear": 2, "relu": 2}
    assert sorted(graph.constants) == ["linear.bias", "linear.weight"]
    snn = snnconv.convert(model, X, coding=Rate(4))
    assert len(snn.populations) == 2
    assert len({population.name for population in snn.populations.values()}) == 2


def test_a_dynamic_batch_axis_is_found_from_a_single_sample() -> None:
    graph = capture(LayerNet(STYLES["module"]), (X[:1],))
    assert graph.batch_axis == 0
    assert evaluate_graph(graph, (X,))[0].shape == (4, 6)


def test_a_model_that_ties_its_batch_to_a_constant_is_static() -> None:
    torch.manual_seed(0)
    adjacency = torch.rand(4, 4)
    model = LayerNet(lambda m, x: torch.relu(m.linear(adjacency @ x)))
    graph = capture(model, (X,))
    assert graph.batch_axis is None
    torch.testing.assert_close(evaluate_graph(graph, (X,))[0], model(X))


@pytest.mark.parametrize(
    "nest",
    [
        lambda y, z: y,
        lambda y, z: (y, z),
        lambda y, z: [y, (z, y)],
        lambda y, z: {"classes": y, "boxes": [z]},
        lambda y, z: ({"a": z}, [y]),
    ],
    ids=["tensor", "tuple", "nested list", "dict", "tuple of dict and list"],
)
def test_the_nest_of_the_output_is_kept(nest: Callable[[Any, Any], Any]) -> None:
    model = LayerNet(lambda m, x: nest(torch.relu(m.linear(x)), m.linear(x)))
    found = evaluate_graph(capture(model, (X,)), (X,))[0]
    torch.testing.assert_close(found, model(X))


def test_sizes_computed_from_the_batch_hold_for_every_batch() -> None:
    model = LayerNet(lambda m, x: (torch.relu(x), x.new_full((2 * x.shape[0], 6), 3.0)))
    graph = capture(model, (X,))
    assert graph.batch_axis == 0
    for size in (1, 2, 5):
        x = torch.ones(size, 6)
        torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x))


def test_several_inputs_keep_their_order() -> None:
    class Two(nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return torch.relu(first - 2 * second)

    first, second = torch.rand(3, 2), torch.rand(3, 2)
    graph = capture(Two(), (first, second))
    torch.testing.assert_close(evaluate_graph(graph, (first, second))[0], torch.relu(first - 2 * second))


def test_an_exported_program_is_captured_like_its_model() -> None:
    model = LayerNet(STYLES["module"]).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (X,), dynamic_shapes={"x": {0: batch}})
    graph = capture(program, (X,))
    assert graph.batch_axis == 0
    torch.testing.assert_close(evaluate_graph(graph, (X[:3],))[0], model(X[:3]))


USER_CODE = '''"""A user's model."""
from torch import nn


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        y = self.linear(x).relu()
        {branch}
        return y
'''
BRANCHES = ["y = -y if y.sum() > 0 else y", "y = y * 2 if y.max().item() > 1 else y", "y = y[:, : int(y[0, 0])]"]


@pytest.mark.parametrize("branch", BRANCHES)
def test_control_flow_that_depends_on_data_is_refused_at_the_users_line(
    branch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "branching_model.py"
    file.write_text(USER_CODE.format(branch=branch))
    spec = importlib.util.spec_from_file_location("branching_model", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "branching_model", module)
    spec.loader.exec_module(module)
    with pytest.raises(UnsupportedModelError) as caught:
        capture(module.Branching(), (X,))
    (problem,) = caught.value.preflight.problems
    assert (problem.source.file, problem.source.line) == (str(file), 12)
    assert problem.source.text == branch
    assert "control flow depends on the values" in problem.reason
    assert "torch.where" in problem.remedy
    assert f"{file}:12" in str(caught.value)


def test_every_operation_knows_the_line_and_the_module_that_it_came_from() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.relu = nn.Linear(6, 6), nn.ReLU()

        def forward(self, x: Tensor) -> Any:
            return self.relu(self.linear(x))

    graph = capture(nn.Sequential(Written()), (X,))
    text = "return self.relu(self.linear(x))"
    line = Path(__file__).read_text().splitlines().index(f"            {text}") + 1
    for node, path in zip(graph.nodes.values(), ["0.linear", "0.relu"], strict=True):
        assert (node.source.file, node.source.line) == (__file__, line)
        assert (node.source.module, node.source.text) == (path, text)


def mixed_modes() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 2))
    model.train()
    model[1].eval()
    model[4].eval()
    return model


def snapshot(model: nn.Module) -> tuple[Any, ...]:
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    hooks = [(dict(module._forward_hooks), dict(module._forward_pre_hooks)) for module in model.modules()]
    gradients = [(parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    identities = [id(parameter) for parameter in model.parameters()]
    return state, modes, hooks, gradients, identities


def assert_untouched(model: nn.Module, before: tuple[Any, ...]) -> None:
    after = snapshot(model)
    assert after[0].keys() == before[0].keys()
    assert all(torch.equal(after[0][key], before[0][key]) for key in before[0])
    assert after[1:] == before[1:]


@pytest.mark.parametrize("use", ["capture", "preflight", "convert"])
def test_the_model_is_left_bit_for_bit_as_it_was(use: str) -> None:
    model = mixed_modes()
    calls = []
    model[2].register_forward_hook(lambda module, inputs, output: calls.append(1))  # type: ignore[operator]
    before = snapshot(model)
    if use == "capture":
        capture(model, (X,))
    elif use == "preflight":
        assert snnconv.preflight(model, X).ok
    else:
        snnconv.convert(model, X, coding=Rate(2))
    assert_untouched(model, before)


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    model = nn.Sequential(mixed_modes(), LayerNet(lambda m, x: x if x.max() > 1 else -x))
    model.train()
    model[0][1].eval()  # type: ignore[index]
    before = snapshot(model)
    with pytest.raises(UnsupportedModelError):
        capture(model, (X,))
    assert_untouched(model, before)


def test_capture_sees_the_model_in_eval_mode() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5))
    with torch.no_grad():
        model[1].running_mean.uniform_(-1, 1)  # type: ignore[union-attr, operator]
    graph = capture(model.train(), (X,))
    model.eval()
    torch.testing.assert_close(evaluate_graph(graph, (X,))[0], model(X))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["0.weight", "1.running_var"])
def test_weights_that_are_not_finite_are_refused_by_name(name: str, value: float) -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())
    model.state_dict()[name][0] = value
    with pytest.raises(ModelError, match=rf"{name} holds NaN or infinite"):
        capture(model, (X,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_with_a_remedy(dtype: torch.dtype) -> None:
    with pytest.raises(ModelError, match=r"model\.float\(\)"):
        capture(LayerNet(STYLES["module"]).to(dtype), (X.to(dtype),))


def test_mixed_precision_is_refused_by_name() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2).double())
    with pytest.raises(ModelError, match=r"0\.weight is torch\.float32 .*2\.weight is torch\.float64"):
        capture(model, (X,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a second device needs an accelerator")
def test_weights_on_several_devices_are_refused_by_name() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2).cuda())
    with pytest.raises(ModelError, match=r"0\.weight is .* on cpu.*2\.weight is .* on cuda"):
        capture(model, (X,))


@pytest.mark.parametrize("model", [None, torch.relu, "resnet18", {}])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(ModelError, match=r"must be a torch\.nn\.Module"):
        capture(model, (X,))


def remembers(m: Any, x: Tensor) -> Tensor:
    m.count.add_(1)
    return torch.relu(m.linear(x))


def test_a_forward_pass_that_changes_buffers_is_refused_by_name() -> None:
    model = LayerNet(remembers)
    model.register_buffer("count", torch.zeros(()))
    with pytest.raises(UnsupportedModelError, match="changes its own buffer count"):
        capture(model, (X,))


RANDOM: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "dropout": lambda m, x: torch.relu(F.dropout(m.linear(x), training=True)),
    "noise": lambda m, x: torch.relu(m.linear(x) + torch.rand_like(x)),
    "dropout behind the last activation": lambda m, x: F.dropout(torch.relu(m.linear(x)), training=True),
}


@pytest.mark.parametrize("style", RANDOM)
def test_a_random_model_is_refused(style: str) -> None:
    model = LayerNet(RANDOM[style])
    assert not inspect(capture(model, (X,))).ok
    with pytest.raises(UnsupportedModelError):
        snnconv.convert(model, X)


class Answer:
    def __init__(self, value: Tensor) -> None:
        self.value = value


def test_an_output_of_ones_own_class_is_refused() -> None:
    with pytest.raises((ModelError, UnsupportedModelError)):
        capture(LayerNet(lambda m, x: Answer(torch.relu(m.linear(x)))), (X,))
