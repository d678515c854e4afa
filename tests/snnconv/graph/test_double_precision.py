"""Constants in double precision: what graphs compute with them, and what is not held twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from snnconv.capture.translation import capture
from snnconv.graph import double_precision
from snnconv.graph.double_precision import Doubles, doubled
from snnconv.graph.graph import Graph, refs_in
from snnconv.graph.interpreter import Program, resolve
from snnconv.graph.operators import affine


class Tied(nn.Module):
    """Two linear layers of one matrix, which ``elsewhere`` is taken by a product as well."""

    def __init__(self, elsewhere: bool) -> None:
        super().__init__()
        self.weight, self.elsewhere = nn.Parameter(torch.randn(6, 6)), elsewhere

    def forward(self, x: Tensor) -> Tensor:
        hidden = nn.functional.linear(x, self.weight, torch.ones(6).to(x)).relu()
        return hidden @ self.weight if self.elsewhere else nn.functional.linear(hidden, self.weight)


def run(graph: Graph, given: Tensor) -> Tensor:
    environment = Doubles(graph, {next(iter(graph.taken)): given})
    Program([*graph.nodes.values()], refs_in(graph.output)).run(environment)
    found = resolve(graph.output, environment)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("elsewhere", [False, True])
def test_large_matrices_of_linear_layers_keep_their_precision_and_the_result_does_not(
    elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(double_precision, "_LARGE", 36)
    monkeypatch.setattr(affine, "_AT_ONCE", 12)  # two rows at a time
    torch.manual_seed(0)
    model, given = Tied(elsewhere), torch.randn(5, 6, dtype=torch.float64)
    graph = capture(model, [torch.randn(3, 6)])
    kept = {tensor.dtype for tensor in doubled(graph).values() if tensor.dim() == 2}
    assert kept == {torch.float64 if elsewhere else torch.float32}
    with torch.no_grad():
        found, expected = run(graph, given), model.double()(given)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def test_convolutions_in_double_precision_are_the_same_some_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, given = nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.randn(5, 3, 7, 6, dtype=torch.float64)
    graph = capture(model, [given.float()])
    whole = run(graph, given)
    monkeypatch.setattr(affine, "_AT_ONCE", 2 * given[0].numel() * 9)  # two samples at a time
    torch.testing.assert_close(run(graph, given), whole, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(whole, model.double()(given), rtol=1e-14, atol=1e-14)
