"""A decoder gives, position by position, what the network gives for whole sequences, spike for spike."""

from __future__ import annotations

import collections
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import snnconv
from coding import FewSpike, OneSpike, Rate
from snnconv.simulators.window import WindowChunk
from tests.support.conversion import converted
from tests.support.language_models import MODELS, spiking_language_model, text
from tests.support.transformers import transformer

LENGTH = 5
#: Causal bodies of transformers on real inputs: ways to write masks, heads and weights.
CAUSAL = ("masked", "without keys", "of torch and a mask", "of torch with weights")


def spiking_transformer(name: str) -> snnconv.SpikingNetwork:
    """In double precision, with one scale for all channels: on a real input the first ones would be positions."""
    return converted(("decoding", name), lambda: transformer(name), coding=FewSpike(5, spikes=3), normalization="layer")


def decoded(decoder: snnconv.Decoder, x: Tensor, parts: list[int], network: snnconv.SpikingNetwork) -> None:
    """Run ``x`` in parts of so many positions: outputs, rasters and counts are those of ``network`` on all of it."""
    whole, at = network.run(x, record=["rasters"]), 0
    spikes, synops, by_layer, neurons = (collections.Counter[str]() for _ in range(4))
    for part in parts:
        run = decoder.run(x[:, at : at + part], record=["rasters"])
        for one, other in zip(tree_leaves(run.output), tree_leaves(whole.output), strict=True):
            torch.testing.assert_close(one, other[:, at : at + part], rtol=1e-12, atol=1e-12)
        for name, raster in run.rasters.items():
            there = whole.rasters[name]
            for axis, size in enumerate(raster.shape):
                if size != there.shape[axis]:  # of this step, or of all keys up to it
                    there = there.narrow(axis, at if size == part else 0, size)
            assert torch.equal(raster != 0, there != 0), name
        for total, found in ((spikes, run.spikes), (synops, run.synops), (by_layer, run.synops_by_layer)):
            total.update(found)
        neurons.update(run.neurons)
        at += part
    assert dict(spikes) == whole.spikes
    assert dict(synops) == pytest.approx(whole.synops) and dict(by_layer) == pytest.approx(whole.synops_by_layer)
    assert all(neurons[name] <= number for name, number in whole.neurons.items())


@pytest.mark.parametrize("name", MODELS)
def test_a_language_model_word_by_word_is_the_model_on_the_whole_text(name: str) -> None:
    network, x = spiking_language_model(name, LENGTH), text(3, LENGTH)
    decoder = snnconv.Decoder(network)
    decoded(decoder, x, [2, 1, 1, 1], network)
    decoder.reset()
    given = torch.cat([tree_leaves(decoder.step(word))[0] for word in x.split(1, 1)], 1)
    torch.testing.assert_close(given, tree_leaves(network(x))[0], rtol=1e-12, atol=1e-12)
    assert (decoder.position, decoder.length) == (LENGTH, LENGTH)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_transformer_is_the_same_in_steps(name: str) -> None:
    network = spiking_transformer(name)
    decoded(snnconv.Decoder(network), transformer(name)[1][:3], [1, 3, 1], network)


@pytest.mark.parametrize("name", ["attention", "linear attention"])
def test_where_an_earlier_position_depends_on_a_later_one_there_is_no_decoder(name: str) -> None:
    with pytest.raises(snnconv.ConfigurationError, match=r"transformers\.py.*a decoder takes causal networks"):
        snnconv.Decoder(spiking_transformer(name))


class QueryColumns(nn.Module):
    """Attention whose queries are columns, with a mask or without; it scores all positions, or the last alone."""

    def __init__(self, *, masked: bool = True, last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.q, self.k, self.v, self.head = (nn.Linear(4, 4) for _ in range(4))
        self.last = last
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), -1e4 if masked else -1.0).tril(-1))

    def forward(self, x: Tensor) -> Tensor:
        shares = (self.k(x) @ self.q(x).transpose(1, 2) + self.mask).softmax(1)
        found: Tensor = self.head((self.v(x).transpose(1, 2) @ shares).transpose(1, 2))
        return found[:, -1] if self.last else found


def columns(**options: Any) -> tuple[snnconv.SpikingNetwork, Tensor]:
    """``QueryColumns`` with these options in spikes, and its samples."""
    model = QueryColumns(**{key: value for key, value in options.items() if key in ("masked", "last")}).double().eval()
    x = torch.randn(20, LENGTH, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return snnconv.convert(model, x, coding=OneSpike(8)), x


def test_queries_may_be_columns() -> None:
    network, x = columns()
    decoded(snnconv.Decoder(network), x[:3], [2, 1, 2], network)


def test_what_has_no_output_for_every_position_or_no_closed_form_is_refused() -> None:
    with pytest.raises(snnconv.ConfigurationError, match="takes in positions that come later: no mask forbids them"):
        snnconv.Decoder(columns(masked=False)[0])
    with pytest.raises(snnconv.ConfigurationError, match="reads some positions alone"):
        snnconv.Decoder(columns(last=True)[0])
    linear = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    for options, message in (
        ({"coding": Rate(8)}, "a decoder needs a pipeline"),
        ({"coding": OneSpike(8), "input": "phase"}, "an input of real or whole numbers"),
        ({"coding": OneSpike(8)}, "linear .* mixes positions, or samples"),
    ):
        with pytest.raises(snnconv.ConfigurationError, match=message):
            snnconv.Decoder(snnconv.convert(linear, torch.randn(20, 4), **options))
    by_position = snnconv.convert(nn.Sequential(nn.ReLU(), linear), torch.randn(20, 3, 4), coding=OneSpike(8))
    with pytest.raises(snnconv.ConfigurationError, match="has a scale for every position"):
        snnconv.Decoder(by_position)


def test_a_decoder_takes_the_words_that_the_network_takes_and_no_more_than_there_are_positions() -> None:
    decoder, words = snnconv.Decoder(spiking_language_model("GPT", LENGTH)), text(2, LENGTH)
    decoder.step(words[:, :3])
    for given, message in (
        (words[:, :0], "there are no tokens"),
        (words[:, :3], f"3 more after 3 positions, and the network has {LENGTH}: reset.*resized"),
        (words[:1, :1], "1 sequences after 2"),
        (words[:, 0], r"has shape \[2\], the network takes \['batch', 'positions'\]"),
        (words[:, :1].int(), "the network takes whole numbers there"),
        (words[:, :1] + 99, "a table of 11 rows"),
        (words[:, :1].tolist(), "must be a tensor"),
    ):
        with pytest.raises(snnconv.InputError, match=message):
            decoder.step(given)
    with pytest.raises(snnconv.ConfigurationError, match="counts no spikes: reset"):
        decoder.run(words[:, :1])
    before = decoder.step(words[:, 3:4])
    decoder.reset()
    decoder.step(words[:1, :4])  # another batch
    decoder.reset()
    decoder.step(words[:, :3])
    assert torch.equal(decoder.step(words[:, 3:4]), before)


def test_a_step_that_was_broken_off_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    network, words = spiking_language_model("GPT", LENGTH), text(2, LENGTH)
    decoder = snnconv.Decoder(network)

    def interrupted(chunk: WindowChunk) -> None:
        run(chunk)
        raise KeyboardInterrupt

    run = WindowChunk.run
    with monkeypatch.context() as patched:
        patched.setattr(WindowChunk, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            decoder.step(words)
    one = decoder.run(words[:1]).output  # of another batch, and counted
    torch.testing.assert_close(one, network(words[:1]), rtol=1e-12, atol=1e-12)


def test_a_decoder_of_a_network_that_was_moved_says_so() -> None:
    network, x = columns()
    decoder = snnconv.Decoder(network)
    network.float()
    with pytest.raises(snnconv.ConfigurationError, match=r"moved to torch\.float32.*make another one"):
        decoder.step(x[:1].float())


class LeftOut(nn.Module):
    """The words that are there: 0 stands for none."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(11, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        there = ids.bool().long().to(torch.float32)
        found: Tensor = self.head(torch.relu(self.words(ids) * there.unsqueeze(-1)))
        return found


def test_masks_of_positions_by_themselves_go_along() -> None:
    network, words = snnconv.convert(LeftOut().eval(), text(12, LENGTH), coding=OneSpike(8)), text(2, LENGTH)
    decoder = snnconv.Decoder(network)
    found = torch.cat([decoder.step(word) for word in words.split(1, 1)], 1)
    torch.testing.assert_close(found, network(words))


class Repeated(nn.Module):
    """Every word's row times how often the word came so far: pairs of positions, in whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(11, 4), nn.Linear(4, 3)
        self.register_buffer("earlier", torch.ones(LENGTH, LENGTH).tril())

    def forward(self, ids: Tensor) -> Tensor:
        times = ((ids[:, :, None] == ids[:, None]).to(torch.float32) * self.earlier).sum(-1, keepdim=True)
        found: Tensor = self.head(torch.relu(self.words(ids) * times))
        return found


def test_pairs_of_positions_in_front_of_all_spikes_are_refused() -> None:
    network = snnconv.convert(Repeated().eval(), text(12, LENGTH), coding=OneSpike(8))
    with pytest.raises(snnconv.ConfigurationError, match="pairs positions in front of all spikes"):
        snnconv.Decoder(network)


class Writing(nn.Module):
    """A model that writes a text itself: of so many words, or until it comes to an end."""

    def __init__(self, words: int | None) -> None:
        super().__init__()
        self.table, self.head, self.words = nn.Embedding(7, 4), nn.Linear(4, 7), words

    def forward(self, text: Tensor) -> Tensor:
        for written in range(20):
            scores: Tensor = self.head(torch.relu(self.table(text[:, -1])))
            text = torch.cat([text, scores.argmax(-1, keepdim=True)], 1)
            if written + 1 == self.words or (self.words is None and bool((text[:, -1] == 0).all())):
                break
        return scores


@pytest.mark.parametrize("words", [2, None])
def test_a_loop_that_writes_text_stands_around_the_network(words: int | None) -> None:
    with pytest.raises(snnconv.UnsupportedModelError, match=r"convert the step.*around snnconv\.Decoder"):
        snnconv.convert(Writing(words).eval(), text(12, 3) % 7)
