"""Copies of models to run: parameters are shared, and nothing else of the model can be reached or changed."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrizations, parametrize

import snnconv
from snnconv.capture.inference_copy import inference_copy
from tests.support.watched import Watched, watched

X = torch.rand(3, 4)


class Buffered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros(1))
        self.seen: list[int] = []
        self.other = nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.seen.append(len(x))
        self.latest = x
        return self.last(torch.relu(self.first(x)))  # type: ignore[no-any-return]


def test_parameters_are_those_of_the_model_and_nothing_else_is() -> None:
    model = Buffered().train()
    model.last.weight = nn.Parameter(model.first.weight[:2].detach())
    model.tied = model.first
    copied = inference_copy(model)
    assert [id(each) for each in copied.parameters()] == [id(each) for each in model.parameters()]
    assert copied.tied is copied.first and copied.first is not model.first
    storages = {tensor.untyped_storage().data_ptr() for tensor in model.buffers()}
    assert all(tensor.untyped_storage().data_ptr() not in storages for tensor in copied.buffers())
    copied(X)
    assert model.count == 0 and model.seen == [] and not hasattr(model, "latest") and copied.count == 1
    assert not any(module.training for module in copied.modules())
    assert all(module.training for module in model.modules())


def on_other(model: Buffered) -> Callable[..., Tensor]:
    return lambda module, inputs, output: model.other(output)


GLOBAL = Buffered()


def closure(model: Buffered) -> None:
    model.last.register_forward_hook(on_other(model))


def nested_closure(model: Buffered) -> None:
    inner = on_other(model)
    model.last.register_forward_hook(lambda *arguments: inner(*arguments))


def method(model: Buffered) -> None:
    model.apply_other = model.other.forward  # type: ignore[assignment]
    model.forward = functools.partial(lambda self, x: self.apply_other(Buffered.forward(self, x)), model)  # type: ignore


def by_name(model: Buffered) -> None:
    model.last.register_forward_hook(lambda module, inputs, output: GLOBAL.other(output))


def by_default(model: Buffered) -> None:
    model.last.register_forward_hook(lambda module, inputs, output, *, other=model.other: other(output))  # type: ignore


def by_list(model: Buffered) -> None:
    parts = [model.other]
    model.last.register_forward_hook(lambda module, inputs, output: parts[0](output))


def held_in_lists(model: Buffered) -> None:
    model.steps = {"others": [(lambda x: model.other(x),)]}  # type: ignore[assignment]
    model.last.register_forward_hook(lambda module, inputs, output: model.steps["others"][0][0](output))  # type: ignore


def partial(model: Buffered) -> None:
    model.last.register_forward_hook(functools.partial(on_other(model)))


def another_forward(self: nn.Linear, x: Tensor) -> Tensor:
    return self.other(nn.functional.linear(x, self.weight, self.bias))  # type: ignore[operator,no-any-return]


def replaced_method(model: Buffered) -> None:
    vars(model.last)["other"] = model.other
    model.last.forward = types.MethodType(another_forward, model.last)  # type: ignore[method-assign]


HOOKS = [
    closure,
    nested_closure,
    method,
    by_name,
    by_default,
    by_list,
    held_in_lists,
    partial,
    replaced_method,
]


@pytest.mark.parametrize("hook", HOOKS)
def test_functions_that_reach_the_model_reach_the_copy(hook: Callable[[Buffered], None]) -> None:
    model = GLOBAL if hook is by_name else Buffered()
    model.train()
    hook(model)
    before = {name: tensor._version for name, tensor in model.named_buffers()}
    copied = inference_copy(model)
    found = copied(X)
    assert {name: tensor._version for name, tensor in model.named_buffers()} == before
    wanted = torch.relu(X @ model.first.weight.T + model.first.bias) @ model.last.weight.T + model.last.bias
    torch.testing.assert_close(found, wanted / (1.0 + 1e-5) ** 0.5)  # what the other module is in eval mode


REPARAMETRIZED: dict[str, Callable[[], nn.Module]] = {
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(4, 4)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
    "weight norm by hooks": lambda: torch.nn.utils.weight_norm(nn.Linear(4, 4)),
}


@pytest.mark.parametrize("name", REPARAMETRIZED)
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_parametrizations_are_kept(name: str) -> None:
    model = nn.Sequential(REPARAMETRIZED[name](), nn.ReLU()).eval()
    copied = inference_copy(model)
    assert torch.equal(copied(X), model(X))
    assert [id(each) for each in copied.parameters()] == [id(each) for each in model.parameters()]
    assert parametrize.is_parametrized(copied[0]) == parametrize.is_parametrized(model[0])


def test_what_an_earlier_pass_computed_from_parameters_is_copied() -> None:
    model = Buffered()
    model.features = [model.first(X)]
    assert torch.equal(inference_copy(model).features[0], model.features[0])


@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta state:UserWarning")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_sparse_tensors_are_copied(layout: torch.layout) -> None:
    model = Buffered()
    model.register_buffer("adjacency", torch.eye(3).to_sparse(layout=layout))
    copied = inference_copy(model)
    assert copied.adjacency is not model.adjacency and copied.adjacency.layout is layout
    assert torch.equal(copied.adjacency.to_dense(), model.adjacency.to_dense())


def test_traced_modules_keep_hooks_and_parameters() -> None:
    traced = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    traced.register_forward_hook(lambda module, inputs, output: output + 1.0)
    model = nn.Sequential(traced)
    assert torch.equal(inference_copy(model)(X), model(X))
    program = torch.export.export(nn.Linear(4, 2).eval(), (X,)).module()
    assert torch.equal(inference_copy(program)(X), program(X))


def test_locks_are_shared_and_what_cannot_be_copied_is_named() -> None:
    model = Buffered()
    model.lock = threading.Lock()
    assert inference_copy(model).lock is model.lock
    model.first.held = [threading.Lock()]
    with pytest.raises(snnconv.ModelError, match=r"Buffered cannot be copied.*attribute first\.held: leave it out"):
        snnconv.convert(model, torch.rand(20, 4))


def test_the_watch_notices_what_it_should() -> None:
    for change in (
        lambda model: model.eval(),
        lambda model: model(torch.rand(2, 6)),
        lambda model: model.norm.running_mean.add_(1.0),
        lambda model: setattr(model, "cache", 1),
        lambda model: vars(model).pop("cache", None) or vars(model).update(cache=2),
    ):
        with pytest.raises(AssertionError), watched(Watched()) as model:
            change(model)


def test_a_model_that_was_made_in_inference_mode_converts() -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        model[2].weight = model[0].weight
    copied = inference_copy(model)
    assert copied[2].weight is copied[0].weight and not copied[0].weight.is_inference()
    with torch.no_grad():
        found = snnconv.convert(model, X.repeat(4, 1)).reference(X)
        torch.testing.assert_close(found, copied(X))
