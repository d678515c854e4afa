"""Masks that come with every sample are structure: what they forbid has no spike, no synapse, no part in statistics."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from hw_export.explicit import explicit
from snnconv.capture.problems import UnsupportedModelError
from snnconv.coding import OneSpike
from snnconv.errors import ConfigurationError, InputError
from tests.support.transformers import heads, joined

SAMPLES, TOKENS, WIDTH = 10, 5, 8
#: True for tokens that are padded: the first two never are.
PADDED = torch.arange(TOKENS) >= torch.randint(2, TOKENS + 1, (SAMPLES, 1), generator=torch.Generator().manual_seed(0))
X = torch.randn(SAMPLES, TOKENS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
#: The same inputs, others where they are padded.
OTHER = torch.where(PADDED.unsqueeze(-1), 3 * X.flip(0), X)

Body = Callable[["MaskedAttention", Tensor, Tensor], Tensor]


class MaskedAttention(nn.Module):
    """A layer, what a body makes of its result and of a mask, and a head."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.a, self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.head = nn.Linear(WIDTH, 3)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self._body = body

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.head(self._body(self, self.a(x), mask))
        return result


def of_torch(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    return m.attention(x, x, x, key_padding_mask=padded, need_weights=False)[0]


def of_torch_with_weights(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    causal = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
    return m.attention(x, x, x, key_padding_mask=padded, attn_mask=causal)[0]


def encoder(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    return m.encoder(x, src_key_padding_mask=padded)


def chosen(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    scores = heads(m.q(x)) @ heads(m.k(x)).transpose(-2, -1)
    return joined(torch.where(~padded[:, None, None], scores, -1e9).softmax(-1) @ heads(m.v(x)))


def added_beside_a_bias(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    """Numbers from 0 to -0.4 where nothing is forbidden: they stay what they are."""
    places = padded.logical_not().cumsum(1).to(x.dtype)
    mask = (-0.1 * places).masked_fill(padded, -math.inf)[:, None, None]
    return joined(F.scaled_dot_product_attention(heads(m.q(x)), heads(m.k(x)), heads(m.v(x)), mask))


def taken_off(m: MaskedAttention, x: Tensor, attended: Tensor) -> Tensor:
    """As BERT has it: whole numbers, 1 for tokens that are there."""
    scores = heads(m.q(x)) @ heads(m.k(x)).transpose(-2, -1)
    return joined((scores - 1e9 * (1.0 - attended[:, None, None].to(x.dtype))).softmax(-1) @ heads(m.v(x)))


BODIES: dict[str, tuple[Body, Tensor]] = {
    "of torch": (of_torch, PADDED),
    "of torch with weights, causal": (of_torch_with_weights, PADDED),
    "encoder": (encoder, PADDED),
    "chosen": (chosen, PADDED),
    "added beside a bias": (added_beside_a_bias, PADDED),
    "taken off": (taken_off, (~PADDED).long()),
}


def masked(body: Body) -> MaskedAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MaskedAttention(body).double().eval().requires_grad_(False)


@functools.cache
def converted(name: str) -> tuple[MaskedAttention, Tensor, snnconv.SpikingNetwork]:
    body, mask = BODIES[name]
    model = masked(body)
    return model, mask, snnconv.convert(model, ((X, mask), None), coding=OneSpike(12))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # which the model itself uses
@pytest.mark.parametrize("name", BODIES)
def test_a_padded_token_changes_no_spike_of_the_others(name: str, tmp_path: Path) -> None:
    model, mask, network = converted(name)
    runs = [
        network.run((x, mask), simulator=each, record=["rasters"]) for x in (X, OTHER) for each in ("clock", "window")
    ]
    for clock, window in (runs[:2], runs[2:]):
        assert clock.synops == window.synops
        assert all(torch.equal(raster, window.rasters[node]) for node, raster in clock.rasters.items())
    one, other = runs[::2]
    assert torch.equal(one.output[~PADDED], other.output[~PADDED])
    assert not torch.equal(one.output, other.output)
    exact = network.reference(X, mask)
    torch.testing.assert_close(exact[~PADDED], model(X, mask)[~PADDED])
    assert float((one.output - exact)[~PADDED].norm() / exact[~PADDED].norm()) < 0.3
    network.save(tmp_path / "masked.snn")
    assert torch.equal(snnconv.load(tmp_path / "masked.snn")(X, mask), runs[1].output)


def test_a_mask_of_every_sample_is_what_one_for_all_samples_is() -> None:
    """Scales, spikes, synaptic operations and warnings are those of the same mask as a constant."""
    model, mask = masked(chosen), torch.arange(TOKENS).unsqueeze(0) >= 3
    repeated = mask.expand(SAMPLES, TOKENS)
    alike = X[:1].expand_as(X)  # so that the same samples are held out
    of_samples = snnconv.convert(model, ((alike, repeated), None), coding=OneSpike(12))
    constant = snnconv.convert(model, alike, constants={"mask": mask}, coding=OneSpike(12))
    for one, other in zip(of_samples.populations.values(), constant.populations.values(), strict=True):
        assert torch.equal(one.scale, other.scale) and torch.equal(one.shift, other.shift)
    assert [*of_samples.densities.values()] == [*constant.densities.values()]
    one, other = of_samples.run((X, repeated)), constant.run(X)
    assert torch.equal(one.output, other.output) and one.spikes == other.spikes
    assert [*one.synops.values()] == pytest.approx([*other.synops.values()])


def test_pairs_that_a_mask_forbids_do_not_meet() -> None:
    network = converted("of torch")[-1]
    (exp,) = (each.name for each in network.populations.values() if str(each.activation) == "exp")
    (product, _) = network.execution_plan.products
    alone = [network.run((X[i : i + 1], PADDED[i : i + 1]), record=[exp]) for i in range(SAMPLES)]
    for run, padded in zip(alone, PADDED, strict=True):
        assert not run.rasters[exp][..., padded].any() and run.rasters[exp][..., ~padded].any()
        # One spike of q and one of k at most in every channel: so many pairs for each key that is there.
        assert 0 < run.synops[product] <= TOKENS * int((~padded).sum()) * WIDTH


def test_currents_that_a_mask_forbids_leave_no_range(caplog: pytest.LogCaptureFixture) -> None:
    def pooled(
        m: MaskedAttention, x: Tensor, padded: Tensor
    ) -> Tensor:  # the first token, which is not padded, asks all others
        scores = (m.q(x[:, :1]) @ m.k(x).transpose(1, 2)).masked_fill(padded[:, None], -1e9)
        return scores.softmax(-1) @ m.v(x)

    network = snnconv.convert(masked(pooled), ((X, PADDED), None), coding=OneSpike(12))

    def told(x: Tensor) -> list[str]:
        caplog.clear()
        snnconv.evaluate(network, ((x, PADDED), None))
        return [record.message for record in caplog.records if "its tables end there" in record.message]

    before = told(X)  # of pairs that are allowed, in samples that were held out
    assert told(X + 50 * (OTHER - X)) == before and "input 0 leaves the range" in caplog.text


def test_a_row_without_any_key_is_0_or_refused() -> None:
    empty = PADDED.clone()
    empty[7] = True
    model, _, network = converted("added beside a bias")
    alone = network(X[7:8], empty[7:8])
    assert torch.equal(alone, network.reference(X[7:8], empty[7:8]))
    torch.testing.assert_close(alone, model(X[7:8], empty[7:8]))
    with pytest.raises(InputError, match=r"mask of sample 7 forbids all of a row.*leave such samples out"):
        converted("chosen")[-1](X, empty)


def test_a_mask_that_does_more_than_in_calibration_is_refused() -> None:
    network = converted("taken off")[-1]
    with pytest.raises(InputError, match="adds numbers to scores that forbid nothing"):
        network(X, 2 * (~PADDED).long())


def halved(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    scores = (m.q(x) @ m.k(x).transpose(1, 2)).masked_fill(padded[:, None], -1e9)
    return (scores / 2).softmax(-1) @ m.v(x)


def of_neurons(m: MaskedAttention, x: Tensor, padded: Tensor) -> Tensor:
    return torch.relu(x).masked_fill(padded.unsqueeze(-1), 0.0)


def in_real_numbers(m: MaskedAttention, x: Tensor, mask: Tensor) -> Tensor:
    return (m.q(x) @ m.k(x).transpose(1, 2) + mask[:, None]).softmax(-1) @ m.v(x)


@pytest.mark.parametrize(
    ("body", "mask", "remedy"),
    [
        (halved, PADDED, "mask them last"),
        (of_neurons, PADDED, "mask what the embedding gives"),
        (in_real_numbers, -1e9 * PADDED.double(), "give the mask as booleans or whole numbers"),
    ],
)
def test_other_masks_of_samples_are_refused_with_a_remedy(body: Body, mask: Tensor, remedy: str) -> None:
    with pytest.raises(UnsupportedModelError, match=remedy) as found:
        snnconv.convert(masked(body), ((X, mask), None))
    assert all(problem.source.file == __file__ for problem in found.value.preflight.problems)


def test_elsewhere_a_mask_multiplies() -> None:
    model = masked(lambda m, x, padded: torch.relu(x) * (~padded).unsqueeze(-1).to(x.dtype))
    network = snnconv.convert(model, ((X, PADDED), None), coding=OneSpike(12))
    assert torch.equal(network(X, PADDED), network(OTHER, PADDED))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_that_a_mask_chooses_are_in_the_precision_of_the_network(dtype: torch.dtype, tmp_path: Path) -> None:
    """Where nothing else says so, torch makes them in single precision."""
    model = masked(lambda m, x, padded: torch.relu(x) * torch.where(padded.unsqueeze(-1), 0.0, 2.0)).to(dtype)
    network = snnconv.convert(model, ((X.to(dtype), PADDED), None), coding=OneSpike(12)).double()
    network.save(tmp_path / "chosen.snn")
    assert torch.equal(snnconv.load(tmp_path / "chosen.snn")(X, PADDED), network(X, PADDED))


def test_reports_and_exports_say_what_masks_are() -> None:
    model, _, network = converted("of torch")
    for text in (str(network), str(snnconv.preflight(model, ((X, PADDED), None)))):
        assert "masks come with every sample" in text and "in front, in real numbers" not in text
    with pytest.raises(ConfigurationError, match="masks that come with every sample, made by"):
        explicit(network)
