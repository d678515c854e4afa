"""What a model makes for every sample of a batch alike is one constant: masks, positions, tables of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnconv.capture.capturing import captured
from snnconv.capture.problems import UnsupportedModelError
from snnconv.capture.translation import capture
from snnconv.graph.interpreter import evaluate_graph

TOKENS, WIDTH = 6, 8


class _Model(nn.Module):
    """Attention over tokens ``[N, 6]``, whole numbers, with what ``added`` makes for the batch at hand."""

    def __init__(self, added: Callable[[_Model, Tensor], Tensor]) -> None:
        super().__init__()
        self.table, self.kinds = nn.Embedding(11, WIDTH), nn.Embedding(2, WIDTH)
        self.q, self.k, self.v, self.head = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.added = added

    def forward(self, ids: Tensor) -> Tensor:
        made = self.added(self, ids)
        x = self.table(ids)
        mask = made if made.dtype is torch.bool else None
        x = self.v(x if mask is not None else x + made).relu()
        result: Tensor = self.head(F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x), attn_mask=mask))
        return result


def _causal(model: _Model, ids: Tensor) -> Tensor:
    places = torch.arange(TOKENS)
    return (places[:, None] >= places).expand(len(ids), -1, -1)


def _picked_by_samples(model: _Model, ids: Tensor) -> Tensor:
    """As of code that is mapped over samples: places of samples pick among rows that are all alike."""
    places = torch.arange(TOKENS).expand(ids.shape[0], -1)
    packed = (F.pad(places, (1, 0), value=-1).diff() != 1).cumsum(-1)
    sample = torch.arange(ids.shape[0])[:, None, None]
    query, key = torch.arange(TOKENS)[:, None], torch.arange(TOKENS)
    allowed = places[sample, key] <= places[sample, query]
    return allowed & (packed[sample, query] == packed[sample, key])


def _inverted(model: _Model, ids: Tensor) -> Tensor:
    blocked = torch.zeros(ids.shape[0], TOKENS, dtype=torch.bool)
    return (~blocked)[:, None, :] & (torch.arange(TOKENS) < 4)


def _kinds(model: _Model, ids: Tensor) -> Tensor:
    kinds: Tensor = model.kinds((torch.arange(TOKENS) > 2).long().expand(ids.shape[0], TOKENS))
    return kinds


@pytest.mark.parametrize("added", [_causal, _picked_by_samples, _inverted, _kinds])
def test_what_is_alike_for_every_sample_is_one_constant(added: Callable[[_Model, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    model = _Model(added).eval()
    ids = torch.randint(11, (5, TOKENS))
    graph = capture(model, (ids,))
    signals = graph.signals()
    left = {node.op for node in graph.nodes.values() if node.name not in signals}
    assert left <= {"sym_size", "expand"}  # no mask is made again for every batch
    found = captured(model, (ids,))
    assert found.report.ok
    masks = [node for node in found.graph.nodes.values() if node.op == "masked_amax"]
    assert len(masks) == (added is not _kinds)
    assert any(name.endswith(".row") for name in graph.parameters) == (added is _kinds)  # a training changes tables


class _RepeatedRanks(nn.Module):
    """Samples with different constants, by their places in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[0]).to(x.dtype)[:, None].expand(-1, WIDTH)
        result: Tensor = self.head(x) + places[:, :3]
        return result


def test_what_differs_between_samples_is_no_constant() -> None:
    model = _RepeatedRanks()
    x = torch.randn(4, WIDTH)
    graph = capture(model, (x,))
    assert "arange" in {node.op for node in graph.nodes.values()}
    torch.testing.assert_close(evaluate_graph(graph, (x,))[0], model(x))


def test_what_a_mask_sums_to_over_the_batch_is_refused_with_its_reason() -> None:
    model = _Model(lambda m, ids: torch.zeros(1))
    model.forward = lambda ids, mask: model.head(model.v(model.table(ids)).relu() / mask.sum())  # type: ignore[assignment]
    with pytest.raises(UnsupportedModelError, match=r"sum(.|\n)*grows with the batch(.|\n)*mask\[0\]\.sum\(\)"):
        captured(model.eval(), (torch.randint(11, (5, TOKENS)),), constants={"mask": torch.ones(1, TOKENS).long()})
