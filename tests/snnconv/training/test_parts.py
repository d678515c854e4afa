"""Batches in parts: what gradients, losses and averages of a batch are made of."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from snnconv import ConfigurationError
from snnconv.ranks import ALONE
from snnconv.training.parts import BatchParts, check_parts

SAMPLES, WANTED = torch.randn(11, 5, generator=torch.Generator().manual_seed(0)), torch.arange(11) % 3


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def step(model: nn.Module, parts: int) -> tuple[float, list[list[int]]]:
    """The loss of a batch of 11 samples, and the positions in each part."""
    seen: list[list[int]] = []

    def loss(positions: Tensor, number: int) -> Tensor:
        assert number == len(seen)
        seen.append(positions.tolist())
        return nn.functional.cross_entropy(model(SAMPLES[positions]), WANTED[positions])

    found = BatchParts(parts, ALONE, list(model.parameters()), list(model.buffers()))
    return found.backward(torch.arange(11), loss), seen


def test_one_part_is_the_batch_to_the_bit() -> None:
    model, plain = network(), network()
    loss, _ = step(model, 1)
    expected = nn.functional.cross_entropy(plain(SAMPLES), WANTED)
    expected.backward()
    assert loss == expected.item()
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert mine.grad is not None and theirs.grad is not None and torch.equal(mine.grad, theirs.grad)


def test_gradients_of_parts_add_up_to_those_of_the_batch_where_nothing_joins_samples() -> None:
    model, plain = network().eval(), network().eval()
    loss, seen = step(model, 4)
    assert [len(each) for each in seen] == [3, 3, 3, 2] and [each for part in seen for each in part] == [*range(11)]
    expected = nn.functional.cross_entropy(plain(SAMPLES), WANTED)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-5, atol=1e-7)  # type: ignore[arg-type]


def test_batch_norms_go_by_the_statistics_of_each_part_and_their_averages_are_means() -> None:
    model = network()
    parts = [copy.deepcopy(model) for _ in range(2)]
    _, seen = step(model, 2)
    for each, positions in zip(parts, seen, strict=True):
        each(SAMPLES[positions])
    norms = [each[1] for each in (model, *parts)]  # type: ignore[index]
    for name in ("running_mean", "running_var"):
        first, second = (getattr(norm, name).double() for norm in norms[1:])
        assert torch.equal(getattr(norms[0], name), ((6 / 11) * first + (5 / 11) * second).float())
    assert int(norms[0].num_batches_tracked) == 1


def test_a_tensor_that_nothing_depends_on_has_no_gradient() -> None:
    model = network()
    unused = torch.zeros(2, requires_grad=True)
    found = BatchParts(2, ALONE, [*model.parameters(), unused])
    found.backward(torch.arange(11), lambda positions, _: model(SAMPLES[positions]).square().mean())
    assert unused.grad is None


def test_a_loss_that_is_not_finite_is_that_of_the_batch() -> None:
    model = network()
    found = BatchParts(3, ALONE, list(model.parameters()))

    def loss(positions: Tensor, number: int) -> Tensor:
        value: Tensor = model(SAMPLES[positions]).mean()
        return value * (torch.nan if number == 1 else 1.0)

    assert found.backward(torch.arange(11), loss) == torch.inf


def test_a_gradient_that_is_not_finite_is_none_that_a_step_is_made_by() -> None:
    weight = torch.ones(2, requires_grad=True)
    found = BatchParts(2, ALONE, [weight])
    found.backward(torch.arange(2), lambda positions, number: (weight * (0.0 if number else 1.0)).sqrt().sum() * 1.0)
    assert weight.grad is not None and not bool(weight.grad.isfinite().any())


@pytest.mark.parametrize("parts", [0, -1, 1.5, True])
def test_numbers_of_parts_that_are_none_are_refused(parts: int) -> None:
    with pytest.raises(ConfigurationError, match="parts must be an integer of at least 1"):
        check_parts(parts, 10, ALONE)
    with pytest.raises(ConfigurationError, match="parts=4 of a batch of 3"):
        check_parts(4, 3, ALONE)
