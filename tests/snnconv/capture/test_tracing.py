"""What an exported program is traced again for, and that it computes the same elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

import coding
import hw_export
import neurons
import snnconv
import snnconv.detection.darknet.layers
from snnconv.capture import decomposition, translation
from snnconv.capture.normal_form import normal_form
from snnconv.capture.places import is_users
from snnconv.capture.translation import capture
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators import Role
from tests.support.networks import ZOO, GraphConvolution, Named, TwoInputs, draw, make, prepared


class AppliedToLinear(nn.Module):
    """A function of a linear layer and the input as a model, with a sparse matrix where it takes one."""

    def __init__(self, function: Callable[[AppliedToLinear, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear = nn.Linear(6, 6)
        self.adjacency: Tensor
        if function is sparse:
            self.register_buffer("adjacency", torch.eye(6).to_sparse_coo())

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def in_place(m: AppliedToLinear, x: Tensor) -> Tensor:
    before = m.linear(x)
    twice = 2 * before
    after = F.leaky_relu(before, 0.25, inplace=True)
    after += twice
    return torch.cat([before, after.mul_(0.5), twice], 1)


def in_place_of_views(m: AppliedToLinear, x: Tensor) -> Tensor:
    left, right = m.linear(x).chunk(2, 1)
    return torch.cat([F.relu(left, inplace=True), right], 1)


def over_a_viewed_tensor(m: AppliedToLinear, x: Tensor) -> Tensor:
    result = m.linear(x)
    left = result[:, :3]
    return F.relu(result, inplace=True)[:, 3:] + left


def over_a_dropped_out_tensor(m: AppliedToLinear, x: Tensor) -> Tensor:
    result = m.linear(x)
    F.relu(F.dropout(result, training=m.training), inplace=True)
    return result


def written(m: AppliedToLinear, x: Tensor) -> Tensor:
    result = torch.zeros_like(x)
    result[:, :3] = torch.relu(m.linear(x))[:, :3]
    return result


def sparse(m: AppliedToLinear, x: Tensor) -> Tensor:
    return torch.relu(m.linear(x)) @ m.adjacency


def plain(m: AppliedToLinear, x: Tensor) -> Tensor:
    left, right = torch.relu(m.linear(x)).chunk(2, 1)
    return torch.cat([left * 2 - right, x.new_full((x.shape[0], 2), 3.0)], 1).reshape(x.shape[0], -1).contiguous()


def from_the_batch(m: AppliedToLinear, x: Tensor) -> Tensor:
    return F.batch_norm(x, torch.zeros(6, dtype=x.dtype), torch.ones(6, dtype=x.dtype), training=True)


#: Programs that have to be traced again, and why.
TRACED_AGAIN = {
    "in place of views": in_place_of_views,
    "over a viewed tensor": over_a_viewed_tensor,
    "over a dropped out tensor": over_a_dropped_out_tensor,
    "written": written,
    "from the batch": from_the_batch,
}
#: What the comparison with the model refuses: torch takes dropout to copy what it leaves as it is.
REFUSED_LATER = {"over a dropped out tensor", "from the batch"}


class Normalised(nn.Module):
    """A convolution with batch normalisation, dropout and pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.Dropout(), nn.MaxPool2d(2, ceil_mode=True)
        )

    def forward(self, x: Tensor) -> Any:
        return {"classes": self.layers(x).flatten(1).double().to(x.dtype)}


#: Models whose programs need not be traced again, with their inputs.
FUNCTIONAL: dict[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    **{name: lambda name=name: (make(name)[0], (make(name)[1],)) for name in ZOO},
    "two inputs": lambda: (prepared(TwoInputs), (draw(5, 6), draw(5, 3))),
    "named": lambda: (prepared(Named), (draw(5, 6),)),
    "static": lambda: (prepared(GraphConvolution), (draw(6, 5),)),
    "normalised": lambda: (prepared(Normalised), (draw(4, 2, 9, 9),)),
    "plain": lambda: (prepared(lambda: AppliedToLinear(plain)), (draw(4, 6),)),
    "in place": lambda: (prepared(lambda: AppliedToLinear(in_place)), (draw(4, 6),)),
    "sparse": lambda: (prepared(lambda: AppliedToLinear(sparse)), (draw(4, 6),)),
}


class BehindSteps(nn.Module):
    """What ``made`` says of a sequence, or of its last step, in front of a linear layer."""

    def __init__(self, made: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.inner, self.last = made, last

    def forward(self, x: Tensor) -> Any:
        if isinstance(self.inner, nn.MultiheadAttention):
            return self.last(self.inner(x, x, x, need_weights=False)[0])
        said = self.inner(x[:, 0] if isinstance(self.inner, nn.GRUCell) else x)
        return self.last(said[0] if isinstance(said, tuple) else said)


#: Models with an operator that the vocabulary lacks, in their module ``inner``.
WRITTEN_OUT: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: BehindSteps(nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 2)),
    "LSTM": lambda: BehindSteps(nn.LSTM(6, 4, batch_first=True), nn.Linear(4, 2)),
    "GRU cell": lambda: BehindSteps(nn.GRUCell(6, 4), nn.Linear(4, 2)),
}


@pytest.fixture
def traced_again(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Programs that were traced again."""
    programs: list[Any] = []
    real = torch.export.ExportedProgram.run_decompositions

    def counting(program: Any, *arguments: Any) -> Any:
        programs.append(program)
        return real(program, *arguments)

    monkeypatch.setattr(torch.export.ExportedProgram, "run_decompositions", counting)
    return programs


def results(graph: Graph, example: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """What a graph computes, stage by stage, with the operations it is made of but for views."""
    stations = analysis_of(graph).stations
    output, values = evaluate_graph(graph, example, keep=stations)
    operations = [node.op for node in graph.nodes.values() if analysis_of(graph).role(node.name) in _COMPUTES]
    sources = [graph.nodes[name].source for name in stations]
    leaves = [*tree_leaves(output), *(values[name] for name in stations)]
    return operations, sources, [leaf.tolist() for leaf in leaves], len(graph.parameters), graph.batch_axis


_COMPUTES = (Role.LINEAR, Role.POOL, Role.ACTIVATION, Role.READOUT)


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_tracing_a_functional_program_again_computes_the_same(
    name: str, traced_again: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, example = FUNCTIONAL[name]()
    as_it_is = normal_form(capture(model, example), example)
    assert not traced_again
    monkeypatch.setattr(translation, "is_functional", lambda program: False)
    again = normal_form(capture(model, example), example)
    assert len(traced_again) == 1
    assert results(as_it_is, example) == results(again, example)


@pytest.mark.parametrize("name", TRACED_AGAIN)
def test_what_is_not_functional_is_traced_again(name: str, traced_again: list[Any]) -> None:
    model, x = prepared(lambda: AppliedToLinear(TRACED_AGAIN[name])), draw(4, 6)
    graph = capture(model, (x,))
    assert traced_again  # more than once where operators are replaced by what they are made of
    if name not in REFUSED_LATER:
        with torch.no_grad():
            torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x))


@pytest.mark.parametrize("name", ["attention", "LSTM", "GRU cell"])
def test_what_is_replaced_by_what_it_is_made_of_leaves_the_rest_as_it_was_traced(
    name: str, traced_again: list[Any]
) -> None:
    model, x = WRITTEN_OUT[name]().double().eval(), draw(4, 3, 6)
    graph = capture(model, (x,))
    assert not traced_again
    torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x))
    places = {node.source.module for node in graph.nodes.values() if node.op == "sigmoid" or node.op == "softmax"}
    assert places == {"inner"}


def test_an_operator_that_torch_cannot_take_apart_stays_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*given: Any) -> Any:
        raise RuntimeError("it cannot be traced")

    monkeypatch.setitem(decomposition._OWN, torch.ops.aten.lstm.input, failing)
    (problem, *_) = snnconv.preflight(WRITTEN_OUT["LSTM"]().eval(), torch.rand(4, 3, 6)).problems
    assert problem.op == "lstm" and problem.source.module == "inner"


@pytest.mark.parametrize("module", [coding, neurons, snnconv, snnconv.detection.darknet.layers, hw_export, torch])
def test_no_file_of_the_project_or_of_torch_is_the_users(module: Any) -> None:
    assert not is_users(module.__file__) and is_users(__file__)


def test_a_refusal_outside_the_users_code_has_no_place() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    (problem,) = snnconv.preflight(scripted, torch.rand(2, 4)).problems
    assert str(problem.source) == "unknown place"
