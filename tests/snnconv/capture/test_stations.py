"""Rewrites of norms, softmax, masks and quotients: what they make, where they stay away, and that nothing changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from snnconv.capture.attention import ATTENTION
from snnconv.capture.problems import UnsupportedModelError
from snnconv.capture.stations import functions_as_stations
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators.remedies import remedy_for
from snnconv.graph.operators.sample_masks import presence_of
from tests.support.operators import Apply
from tests.support.transformers import BODIES, transformer

X = torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def operators(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes.values()]


def rewritten(model: nn.Module, x: Tensor = X) -> Graph:
    return functions_as_stations(capture(model.eval(), (x,)))


@cache
def rewritten_transformer(name: str) -> tuple[nn.Module, Tensor, Graph]:
    model, x = transformer(name, samples=4)
    return model, x, rewritten(model, x)


def before_weights(function: Callable[[Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), Apply(function), nn.Linear(8, 3)).double()


@pytest.mark.parametrize("name", BODIES)
def test_the_rewrites_change_no_output(name: str) -> None:
    model, x, graph = rewritten_transformer(name)
    assert {"softmax", "_safe_softmax", "layer_norm"}.isdisjoint(operators(graph))
    assert "ratio_population" in operators(graph)
    torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "function", [lambda x: x.softmax(-1), lambda x: F.layer_norm(x, (8,)), lambda x: F.rms_norm(x, (8,))]
)
def test_what_only_the_output_depends_on_stays_a_readout(function: Callable[[Tensor], Tensor]) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), Apply(function)).double()
    assert "ratio_population" not in operators(rewritten(model))
    network = snnconv.convert(model, X)
    assert [population.name for population in network.populations.values()] == ["1"]


def _linear_attention(x: Tensor, values: Tensor, kernel: Callable[[Tensor], Tensor] = torch.relu) -> Tensor:
    """Attention without a softmax, of which the last column sums up the weights."""
    weighed = kernel(x) @ (kernel(x.flip(1)).transpose(1, 2) @ values)
    return weighed[..., :-1] / (weighed[..., -1:] + 0.1)


EYE = torch.eye(5, 8, dtype=torch.bool)
#: Quotients of two signals with a divisor that is above 0 whatever the signals are, or that is not.
DIVISORS: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "exp": (lambda x: x / x.flip(1).exp(), True),
    "sum of exp": (lambda x: x / x.exp().sum(-1, keepdim=True), True),
    "root and a number": (lambda x: x / (x.square().sum(-1, keepdim=True).sqrt() + 0.1), True),
    "root of a square and a number": (lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 0.1).rsqrt(), True),
    "inverse power": (lambda x: x.flip(1) * (x * x + 1) ** -0.5, True),
    "reciprocal": (lambda x: x * torch.reciprocal(x.abs().amax(-1, keepdim=True) + 1), True),
    "inverse that is viewed": (lambda x: x * (x.square().mean(-1) + 1).rsqrt()[..., None], True),
    "clamped from below": (lambda x: x / x.mean(-1, keepdim=True).clamp(min=0.1), True),
    "relu and a number": (lambda x: x / (1 + torch.relu(x.flip(1))), True),
    "products of what is above 0": (lambda x: x / (torch.relu(x) @ x.exp().transpose(1, 2) + 1)[..., :1], True),
    "sum": (lambda x: x / x.sum(-1, keepdim=True), False),
    "root": (lambda x: x / x.square().sum(-1, keepdim=True).sqrt(), False),
    "difference": (lambda x: x / (x.flip(1).exp() - 1), False),
    "weights times ones": (lambda x: _linear_attention(x, F.pad(x, (0, 1), value=1.0)), True),
    "weights times ones beside": (
        lambda x: _linear_attention(x, torch.cat([x, torch.ones_like(x[..., :1])], -1)),
        True,
    ),
    "weights times a number below 0": (lambda x: _linear_attention(x, F.pad(x, (0, 1), value=-1.0)), False),
    "weights times a signal": (lambda x: _linear_attention(x, F.pad(x, (1, 0), value=1.0)), False),
    "weights that may be below 0": (lambda x: _linear_attention(x, F.pad(x, (0, 1), value=1.0), torch.sin), False),
    "exp times a negative number": (lambda x: x / (x.flip(1).exp() * -2.0 + 3.0), False),
    "a part times a negative number": (lambda x: x / (x.exp() + torch.relu(x.flip(1) - 9) * -5.0), False),
    "a number that is filled in": (lambda x: x / (torch.relu(x.flip(1)).masked_fill(EYE, -0.5) + 1), False),
    "a number that is chosen": (lambda x: x / (torch.where(EYE, -0.5, torch.relu(x.flip(1))) + 1), False),
    "filled in above 0": (lambda x: x / x.flip(1).exp().masked_fill(~EYE, 2.0), True),
    "softplus": (lambda x: x / F.softplus(x.flip(1)), True),
    "softplus that is turned upside down": (lambda x: x / F.softplus(x.flip(1), beta=-1.0), False),
}


@pytest.mark.parametrize("name", DIVISORS)
def test_a_divisor_has_to_be_above_zero_by_what_it_is_made_of(name: str) -> None:
    function, positive = DIVISORS[name]
    model = before_weights(function)
    assert ("ratio_population" in operators(rewritten(model))) == positive
    report = snnconv.preflight(model, X)
    assert report.ok == positive
    assert positive or any("add a small number" in problem.remedy for problem in report.problems)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_inverse_with_a_border_is_no_inverse(value: float) -> None:
    model = before_weights(
        lambda x: x * F.pad((x.square().mean(-1, keepdim=True) + 1).rsqrt().expand(-1, -1, 6), (1, 1), value=value)
    )
    torch.testing.assert_close(evaluate_graph(rewritten(model), (X,))[0], model(X))


def test_a_quotient_of_one_signal_stays_one_function() -> None:
    graph = rewritten(before_weights(lambda x: x / (1 + torch.exp(-x))))
    assert operators(graph) == ["linear", "tabulated", "linear"]


def test_the_division_of_a_softmax_stands_behind_the_product_that_it_weighs() -> None:
    for name in ("attention", "attention by hand", "attention of einsum", "attention from the right", "masked"):
        graph = rewritten_transformer(name)[2]
        (ratio,) = (node for node in graph.nodes.values() if node.op == "ratio_population")
        assert graph.nodes[ratio.arguments["self"].name].op in ("matmul", "bmm")


def test_populations_of_an_attention_are_called_by_their_part_and_notes_are_said_once() -> None:
    model, x = transformer("of torch", samples=8)
    network = snnconv.convert(model, x, coding=snnconv.coding.OneSpike(8))
    parts = ("query", "key", "score", "exp", "value", "normalised")
    assert [each.name for each in network.populations.values()] == [f"attention.{part}" for part in parts]
    notes = [line for line in str(network).splitlines() if line.startswith("note: ")]
    assert len({note.split(": ", 2)[-1] for note in notes}) == len(notes)
    assert any(note.startswith("note: attention.query, attention.key, attention.value: inserted") for note in notes)


def test_tables_that_divide_are_never_silent() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 3)).double()
    x = X * torch.logspace(-1, 1, 6, dtype=torch.float64)[:, None, None]
    network = snnconv.convert(model, x, coding=snnconv.coding.OneSpike(24))
    (root,) = (population for population in network.populations.values() if "sqrt" in str(population.activation))
    assert root.activation.divides and root.tables is not None
    assert bool(torch.isneginf(root.tables[0][:, -1]).all()) and bool((root.tables[1] > 0).all())


def test_a_masked_pair_has_no_part_in_calibration() -> None:
    model, x = transformer("causal", samples=8)
    graph = rewritten(model, x)
    (table,) = (node for node in graph.nodes.values() if node.op == "tabulated")
    allowed = graph.constants[presence_of(graph, table) or ""]
    assert allowed is not None and torch.equal(allowed, torch.ones(5, 5).tril().bool())
    network = snnconv.convert(model, x)
    (scores,) = (population for population in network.populations.values() if "exp" in str(population.activation))
    assert float(scores.scale.max()) < 100


@pytest.mark.parametrize("codes", [None, "few-spike", snnconv.coding.OneSpike(6)])
def test_a_masked_pair_has_no_spike_and_no_warning(codes: Any, caplog: pytest.LogCaptureFixture) -> None:
    model, x = transformer("causal", samples=8)
    network = snnconv.convert(model, x, coding=codes)
    (table,) = (node for node, each in network.populations.items() if "exp" in str(each.activation))
    raster = network.run(x, record=["rasters"]).rasters[network.populations[table].name]
    assert raster.any() and not raster[..., torch.ones(5, 5).triu(1).bool()].any()
    caplog.clear()
    snnconv.evaluate(network, (x, model(x).detach()))
    assert "its tables end there" not in caplog.text


CAUSAL = ("causal", "masked", "chosen", "before the norm")


@cache
def causal_network(name: str) -> tuple[snnconv.SpikingNetwork, Tensor]:
    model, x = transformer(name, samples=8)
    return snnconv.convert(model, x), x


@pytest.mark.parametrize("simulator", ["clock", "window"])
@pytest.mark.parametrize("name", CAUSAL)
def test_a_masked_key_changes_no_spike_of_the_tokens_before_it(name: str, simulator: str) -> None:
    network, x = causal_network(name)
    later = x.clone()
    later[:, 3:] = 3 * later[:, 3:].flip(0)
    one, other = (network.run(each, simulator=simulator, record=["rasters"]) for each in (x, later))
    assert torch.equal(one.output[:, :3], other.output[:, :3])
    assert not torch.equal(one.output, other.output)
    for population, raster in one.rasters.items():
        axis = next(place for place, size in enumerate(raster.shape[2:], start=2) if size == 5)
        changed = (raster != other.rasters[population]).transpose(2, axis)[:, :, :3]
        assert not changed.any(), population


def test_a_key_that_no_query_may_see_changes_no_spike_but_its_own() -> None:
    model, x = transformer("padded", samples=8)
    network = snnconv.convert(model, x)
    other = x.clone()
    other[:, 2] = 3 * other[:, 2].flip(0)
    kept = [0, 1, 3, 4]
    outputs = [network(each)[:, kept] for each in (x, other)]
    assert torch.equal(*outputs)


ALLOWED = torch.ones(5, 5, dtype=torch.bool).tril()
#: What a softmax of masked scores is taken of, and along which axis.
MASKED: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "axis counted from the first": (lambda s: s.masked_fill(~ALLOWED, -1e9), 2),
    "another axis": (lambda s: s + torch.zeros(5, 5).masked_fill(~ALLOWED, -1e9), 1),
    "one row for all": (lambda s: s.masked_fill(~ALLOWED[2], -1e9), -1),
    "viewed": (
        lambda s: s.masked_fill(~ALLOWED, -1e9).unflatten(2, (1, 5)).unsqueeze(1).reshape(-1, 5, 1, 5).squeeze(2),
        2,
    ),
    "of a thousand": (lambda s: s.masked_fill(~ALLOWED, -1000.0), 2),
    "taken off": (lambda s: s - 1e9 * (~ALLOWED).double(), 2),
    "taken off, and a bias": (lambda s: s - torch.linspace(0, 1, 5) - 1e9 * (~ALLOWED).double(), -1),
}


def scored(function: Callable[[Tensor], Tensor], axis: int) -> nn.Module:
    return before_weights(lambda y: function(y @ y.transpose(1, 2)).softmax(axis) @ y)


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_is_structure_however_it_is_written(name: str) -> None:
    model = scored(*MASKED[name])
    graph = rewritten(model)
    assert "masked_amax" in operators(graph)
    torch.testing.assert_close(evaluate_graph(graph, (X,))[0], model(X))


@pytest.mark.parametrize("axis", [1, 2])
def test_a_row_that_a_number_forbids_is_found_along_the_axis_of_the_softmax(axis: int) -> None:
    allowed = ALLOWED.clone()
    allowed[3, :] = False
    model = scored(lambda s: s.masked_fill(~(allowed if axis == 2 else allowed.t()), -1e9), axis)
    with pytest.raises(UnsupportedModelError, match="forbids all of a row"):
        rewritten(model)


@pytest.mark.parametrize(
    "function",
    [
        lambda s: s.masked_fill(~ALLOWED, -1e9) / 2,
        lambda s: 0.5 * (s - 1e9 * (~ALLOWED).double()),
        lambda s: s.masked_fill(~ALLOWED, -math.inf).clamp(min=-1e12),
        lambda s: (s + torch.zeros(5, 5).masked_fill(~ALLOWED, -1e9)).transpose(1, 2),
    ],
)
def test_what_is_masked_before_it_is_scaled_is_refused_with_the_remedy(function: Callable[[Tensor], Tensor]) -> None:
    report = snnconv.preflight(scored(function, -1), X)
    assert [problem.op for problem in report.problems] == ["softmax"]
    assert "mask them last" in report.problems[0].remedy and report.problems[0].source.file


@pytest.mark.parametrize("axis", [0, -3])
def test_a_softmax_over_samples_is_refused_by_its_name(axis: int) -> None:
    report = snnconv.preflight(before_weights(lambda x: x.softmax(axis)), X)
    assert [problem.op for problem in report.problems] == ["softmax"]
    assert "leave axis 0 alone" in report.problems[0].remedy


@pytest.mark.parametrize("norm_first", [False, True])
def test_operators_for_inference_alone_are_what_they_are_made_of(norm_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu", norm_first=norm_first).eval()
    attention, x, padded = layer.self_attn, X.float(), torch.arange(5).expand(6, 5) > 2
    own = [attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias]
    norms = [layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias]
    wide = [layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias]
    calls = [
        (x, x, x, 8, 2, *own, mask, True, mean, kind) for mask, kind in ((None, None), (padded, 1)) for mean in (0, 1)
    ]
    both = [(torch.ops.aten._native_multi_head_attention.default, each) for each in calls]
    given = (x, 8, 2, *own, True, norm_first, 1e-5, *norms, *wide, padded, 1)
    both.append((torch.ops.aten._transformer_encoder_layer_fwd.default, given))
    with torch.no_grad():
        for operator, arguments in both:
            torch.testing.assert_close(ATTENTION[operator](*arguments), operator(*arguments))


def test_a_norm_that_counts_is_refused_as_a_comparison() -> None:
    report = snnconv.preflight(before_weights(lambda x: x * torch.linalg.vector_norm(x, 0, -1, True)), X)
    (problem,) = report.problems
    assert problem.op == "linalg_vector_norm" and problem.reason == remedy_for("ne").reason and problem.source.file


def test_a_mask_that_is_an_input_may_be_bound() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            y = self.a(x)
            result: Tensor = self.b((y @ y.transpose(1, 2)).masked_fill(mask, -math.inf).softmax(-1) @ y)
            return result

    model = Masked().double().eval()
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[:, 4] = True
    network = snnconv.convert(model, X, constants={"mask": mask})
    changed = X.clone()
    changed[:, 4] += 5.0
    assert torch.equal(network(X)[:, :4], network(changed)[:, :4])
