"""Whole numbers are looked up in front of a network, in real numbers; what follows converts as with any real input."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from coding import FewSpike, OneSpike, Rate
from hw_export import lava
from hw_export.explicit import explicit
from hw_export.explicit.rate import rate_network
from snnconv.capture.problems import UnsupportedModelError
from snnconv.errors import ConfigurationError, InputError, StorageError
from snnconv.graph.graph import Node, Ref
from snnconv.graph.operators import Role

ROWS, LENGTH, WIDTH = 12, 5, 6
IDS = torch.randint(0, ROWS, (40, LENGTH), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(LENGTH) < torch.randint(1, LENGTH + 1, (40, 1), generator=torch.Generator().manual_seed(1))).long()


class Text(nn.Module):
    """A classifier of tokens; ``function`` makes vectors of their numbers with its tables."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function
        self.words, self.places = nn.Embedding(ROWS, WIDTH), nn.Embedding(ROWS, WIDTH)
        self.bag = nn.EmbeddingBag(ROWS, WIDTH, mode="mean", padding_idx=0)
        self.convolution = nn.Conv1d(WIDTH, WIDTH, 3)
        self.first, self.last = nn.Linear(WIDTH, 16), nn.Linear(16, 3)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, *inputs: Tensor) -> Tensor:
        scores: Tensor = self.last(torch.relu(self.first(self.function(self, *inputs))))
        return scores


def masked_mean(m: Text, ids: Tensor) -> Tensor:
    mask = ids != 0
    words = m.words(ids) * mask.unsqueeze(-1).float()
    return words.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def with_mask(m: Text, ids: Tensor, mask: Tensor) -> Tensor:
    at = torch.cumsum(mask, 1) * mask
    hidden = (m.words(ids) + m.places(at)).masked_fill(~mask.bool().unsqueeze(-1), 0.0)
    return hidden.sum(1) / mask.sum(1, keepdim=True)


def padded_attention(m: Text, ids: Tensor, padding: Tensor) -> Tensor:
    words = m.words(ids)
    found: Tensor = m.attention(words, words, words, key_padding_mask=padding, need_weights=False)[0]
    return found.mean(1)


def filled_zeros(m: Text, ids: Tensor) -> Tensor:
    return m.words(ids).mean(1) + torch.zeros(ids.shape[0], 1).masked_fill(ids[:, :1] > 5, 0.5)


KINDS: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "mean": (lambda m, ids: m.words(ids).mean(1), (IDS,)),
    "functional": (lambda m, ids: F.embedding(ids, m.words.weight).sum(1), (IDS,)),
    "convolution": (lambda m, ids: torch.relu(m.convolution(m.words(ids).transpose(1, 2))).amax(2), (IDS,)),
    "positions": (lambda m, ids: (m.words(ids) + m.places(torch.arange(ids.shape[1]))).mean(1), (IDS,)),
    "bag": (lambda m, ids: m.bag(ids), (IDS,)),
    "masked mean": (masked_mean, (IDS,)),
    "mask as an input": (with_mask, (IDS, MASK)),
    "a padding mask": (padded_attention, (IDS, MASK == 0)),
    "filled zeros": (filled_zeros, (IDS,)),
    "one hot": (lambda m, ids: F.one_hot(ids, ROWS).float().mean(1) @ m.words.weight, (IDS,)),
    "one number": (lambda m, ids: m.words(ids), (IDS[:, 0],)),
    "beside real numbers": (lambda m, x, ids: x + m.words(ids), (torch.rand(40, WIDTH), IDS[:, 0])),
    "bytes": (lambda m, x: (x.float() / 255 - 0.5)[:, :WIDTH], (torch.arange(240, dtype=torch.uint8).view(40, WIDTH),)),
}


def text(kind: str) -> tuple[Text, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    function, inputs = KINDS[kind]
    return Text(function).eval(), inputs


def converted(kind: str) -> tuple[Text, tuple[Tensor, ...], snnconv.SpikingNetwork]:
    model, inputs = text(kind)
    return model, inputs, snnconv.convert(model, (inputs, None), coding=FewSpike(12, spikes=4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_up_in_front_converts_and_gives_the_model(kind: str, tmp_path: Path) -> None:
    model, inputs, network = converted(kind)
    wanted = model(*inputs).detach()
    assert torch.allclose(network.reference(*inputs), wanted, atol=1e-5)
    assert float((network(*inputs) - wanted).norm() / wanted.norm()) < 0.03
    assert torch.allclose(network(*(tensor[7:9] for tensor in inputs)), network(*inputs)[7:9], atol=1e-5)
    network.save(tmp_path / "text.snn")
    loaded = snnconv.load(tmp_path / "text.snn")
    assert torch.equal(loaded(*inputs), network(*inputs)) and str(loaded) == str(network)
    result = snnconv.evaluate(loaded, (inputs, wanted.argmax(1)), reference=model)
    assert result.reference_accuracy == 100.0 and result.agreement > 90.0


def test_reports_say_what_is_real_valued_in_front_and_what_multiplies_it() -> None:
    model, inputs, network = converted("positions")
    report = snnconv.preflight(model, (inputs, None))
    roles = {line.name: line.role for line in report.lines}
    assert roles["embedding"] is Role.FRONT and Role.FRONT not in {roles["add"], roles["mean"]}
    assert "in front, in real numbers and once a sample: embedding at" in str(report)
    assert f"embedding in words; {WIDTH * 16} of {WIDTH * 16 + 48} multiply-accumulates" in str(network)
    assert network.synapses.input_macs == WIDTH * 16  # a look-up multiplies nothing
    assert snnconv.evaluate(network, IDS).activity.input_macs == WIDTH * 16


def test_order_and_batches_of_whole_numbers_do_not_matter() -> None:
    model, (ids,) = text("mean")
    one = snnconv.convert(model, ids, coding=FewSpike(4))
    other = snnconv.convert(model, [ids[20:].flip(0), ids[:20]], coding=FewSpike(4))
    assert torch.equal(one(ids), other(ids)) and ids.dtype == torch.int64


def test_numbers_without_a_row_and_of_another_type_are_refused() -> None:
    _, (ids,), network = converted("mean")
    for wrong in (ids + ROWS, ids - ROWS):
        with pytest.raises(InputError, match=rf"embedding in words has a table of {ROWS} rows, numbered 0 to"):
            network(wrong)
    for wrong in (ids.float(), ids.int()):
        with pytest.raises(InputError, match=r"whole numbers there, torch\.int64"):
            network.run(wrong)
    with pytest.raises(InputError, match=r"has shape \[40, 4\], the network takes \['batch', 5\]"):
        snnconv.evaluate(network, ids[:, :4])


def test_what_was_looked_up_may_spike_and_be_tuned() -> None:
    model, (ids,) = text("mean")
    spiking = snnconv.convert(model, ids, coding=OneSpike(24), input="phase")
    wanted = model(ids).detach()
    assert float((spiking(ids) - wanted).norm() / wanted.norm()) < 0.15
    stream = snnconv.convert(model, ids, coding=Rate(64))
    assert torch.equal(stream.run(ids).output, stream(ids))
    tuned = snnconv.tune(snnconv.convert(model, ids, coding=FewSpike(4)), ids, epochs=1)
    front = tuned.complete_graph().front
    assert front is not None and torch.equal(front.constants["words.weight"], model.words.weight)


def test_exports_say_that_no_target_has_tables() -> None:
    _, (ids,), network = converted("mean")
    stream = snnconv.convert(text("mean")[0], ids, coding=Rate(8))
    exports: list[Callable[[], object]] = [
        lambda: explicit(network),
        lambda: lava.export(network, "a.npz"),
        lambda: rate_network(stream, "NIR"),
    ]
    for export in exports:
        with pytest.raises(ConfigurationError, match=r"embedding in words in front(.|\n)*takes its result as input"):
            export()


REFUSED: dict[str, tuple[Callable[..., Tensor], str]] = {
    "mask behind weights": (
        lambda m, ids: (torch.relu(m.first(m.words(ids)))[..., :WIDTH] * (ids != 0).unsqueeze(-1)).sum(1),
        "mask and count in front of all weights",
    ),
    "choice behind weights": (
        lambda m, ids: torch.where((ids != 0).unsqueeze(-1), m.first(m.words(ids))[..., :WIDTH], 0.0).sum(1),
        "mask what the embedding gives",
    ),
    "batch on axis 1": (lambda m, ids: m.words(ids.t()).mean(0), "leave axis 0 alone"),
    "over the batch": (lambda m, ids: m.words(ids - ids.amin(0)).mean(1), "leave axis 0 alone"),
    "unknown": (lambda m, ids: m.words(torch.bincount(ids.flatten(), minlength=ROWS)[ids]).mean(1), "outside"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_stand_in_front_is_refused_with_its_line(kind: str) -> None:
    function, words = REFUSED[kind]
    model = Text(function).eval()
    (problem, *_) = snnconv.preflight(model, IDS).problems
    assert words in problem.remedy and problem.source.file == __file__
    with pytest.raises(UnsupportedModelError):
        snnconv.convert(model, IDS)


TABLES = {
    "wider": (torch.zeros(ROWS, WIDTH + 1), "the front makes inputs of the shapes"),
    "finer": (torch.zeros(ROWS, WIDTH, dtype=torch.float64), r"torch\.float64\)\], the network takes"),
    "no table": (torch.zeros(ROWS), "'weight' must be 2-D"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_stored_front_is_checked(kind: str, tmp_path: Path) -> None:
    table, reason = TABLES[kind]
    _, _, network = converted("mean")
    graph = network.complete_graph()
    assert graph.front is not None
    other = replace(graph.front, constants={"words.weight": table})
    network.with_(graph=replace(graph, front=other)).save(tmp_path / "wrong.snn")
    with pytest.raises(StorageError, match=reason):
        snnconv.load(tmp_path / "wrong.snn")


def unless_large(size: list[int], value: float, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``torch.full``, which fails where it would take a gigabyte."""
    assert device.type == "meta" or torch.Size(size).numel() < 2**28
    return torch.zeros(size, dtype=dtype, device=device) + value


@pytest.mark.parametrize(("size", "loads"), [(2**11, False), (2**8, True)])  # what is large is not run when it is read
def test_a_stored_front_takes_no_memory_when_it_is_read(
    size: int, loads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, network = converted("mean")
    graph = network.complete_graph()
    assert graph.front is not None
    (made,) = graph.front.output
    nodes = {
        "big": Node("big", "full", {"like": made, "size": [2**20, size], "fill_value": 0.0}),
        "none": Node("none", "sum", {"self": Ref("big"), "dim": [0, 1], "keepdim": False, "dtype": None}),
        "more": Node("more", "add", {"self": made, "other": Ref("none"), "alpha": 1}),
    }
    large = replace(graph.front, nodes={**graph.front.nodes, **nodes}, output=[Ref("more")])
    network.with_(graph=replace(graph, front=large)).save(tmp_path / "large.snn")
    monkeypatch.setattr(torch, "full", unless_large)
    with contextlib.nullcontext() if loads else pytest.raises(StorageError, match=r"'big' has the shape .* more than"):
        snnconv.load(tmp_path / "large.snn")
