"""Einstein sums as matrix products that leave the axis of the batch alone, which torch's own fold into others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

import torch
from torch import Tensor


def einsum(equation: str, tensors: Sequence[Tensor], *, path: Sequence[int] | None = None) -> Tensor:
    """``torch.einsum``, from left to right; diagonals, which name an axis twice, are left to torch."""
    given, arrow, output = equation.replace(" ", "").partition("->")
    labels = _named([each.shape for each in tensors], given.split(","))
    if any(len({*each}) < len(each) for each in labels):
        result: Tensor = torch.ops.aten.einsum.default.decompose(equation, tensors)
        return result
    counts = Counter(label for each in labels for label in each)
    if not arrow:
        output = "..." + "".join(sorted(label for label in counts if counts[label] == 1 and label.isalpha()))
    wanted = _output(output, counts)
    value, own = tensors[0], labels[0]
    for place, (other, theirs) in enumerate(zip(tensors[1:], labels[1:], strict=True), start=2):
        kept = {*wanted, *(label for each in labels[place:] for label in each)}
        value, own = _product(value, own, other, theirs, kept)
    value, own = _summed(value, own, {*wanted})
    return value.permute([own.index(label) for label in wanted])


def _named(shapes: Sequence[torch.Size], terms: Sequence[str]) -> list[list[str]]:
    """A label for every axis of every tensor; those of an ellipsis are ``.0``, ``.1``, from the last one."""
    found = []
    for shape, term in zip(shapes, terms, strict=True):
        before, dots, after = term.partition("...")
        hidden = len(shape) - len(before) - len(after) if dots else 0
        found.append([*before, *(f".{place}" for place in reversed(range(hidden))), *after])
    return found


def _output(text: str, counts: Counter[str]) -> list[str]:
    before, given, after = text.partition("...")
    hidden = sorted((label for label in counts if label.startswith(".")), reverse=True) if given else []
    return [*before, *hidden, *after]


def _product(one: Tensor, own: list[str], other: Tensor, theirs: list[str], kept: Set[str]) -> tuple[Tensor, list[str]]:
    """The product of two tensors, with the labels of its axes: those that are ``kept``."""
    shared = {*own} & {*theirs}
    one, own = _summed(one, own, kept | shared)
    other, theirs = _summed(other, theirs, kept | shared)
    sizes = {**dict(zip(theirs, other.shape, strict=True)), **dict(zip(own, one.shape, strict=True))}
    if any(isinstance(sizes[label], torch.SymInt) and label not in shared for label in theirs):
        one, own, other, theirs = other, theirs, one, own  # axes of the first operand stay apart
    both = [label for label in own if label in shared & kept]
    within = [label for label in own if label in shared - kept]
    left, right = ([label for label in each if label not in shared] for each in (own, theirs))
    ahead, last = left[:-1], left[-1:]
    factor = one.permute([own.index(label) for label in (*ahead, *both, *last, *within)])
    second = other.permute([theirs.index(label) for label in (*both, *within, *right)])
    if not within:  # element by element
        for _ in last:
            second = second.unsqueeze(len(both))
        for _ in right:
            factor = factor.unsqueeze(-1)
        return factor * second, [*ahead, *both, *last, *right]
    factor = _merged(factor, len(ahead) + len(both) + len(last), len(within))
    factor = factor if last else factor.unsqueeze(-2)
    second = _merged(_merged(second, len(both) + len(within), len(right)), len(both), len(within))
    result = torch.matmul(factor, second)
    result = result if last else result.squeeze(-2)
    if not right:
        return result.squeeze(-1), [*ahead, *both, *last]
    if len(right) > 1:
        result = result.unflatten(-1, [sizes[label] for label in right])  # type: ignore[no-untyped-call]
    return result, [*ahead, *both, *last, *right]


def _summed(value: Tensor, labels: list[str], kept: Set[str]) -> tuple[Tensor, list[str]]:
    """``value`` summed over the axes that are not ``kept``."""
    axes = [place for place, label in enumerate(labels) if label not in kept]
    return (value.sum(axes) if axes else value), [label for label in labels if label in kept]


def _merged(value: Tensor, first: int, number: int) -> Tensor:
    """``value`` with so many axes from the ``first`` on as one; one of length 1 in place of none."""
    if number == 0:
        return value.unsqueeze(first)
    return value if number == 1 else value.flatten(first, first + number - 1)
