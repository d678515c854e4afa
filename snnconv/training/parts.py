"""A batch in parts, whose gradients become one step: the same step on however many ranks the parts are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.ranks import Ranks
from snnconv.ranks.fixed_point import as_integers, as_numbers, shift_for
from snnconv.training.options import check_integers

#: What one part makes of every tensor and buffer.
Row = Sequence[Tensor | None]
#: In place of the largest number of a tensor: it has no gradient.
_NONE = -1.0


def check_parts(parts: int, batch: int, ranks: Ranks) -> None:
    """Raise ``ConfigurationError`` unless a ``batch`` has so many ``parts``, and each of the ``ranks`` gets one."""
    check_integers(1, parts=parts)
    if parts > batch:
        raise ConfigurationError(f"parts={parts} of a batch of {batch}: a part has at least one sample")
    if ranks.size > parts:
        raise ConfigurationError(
            f"{ranks.size} processes share every batch by its parts, and parts={parts}: give parts={ranks.size} or "
            "more. The result depends on this number, and not on that of the processes: it is the same for any number "
            "of them with the same parts"
        )


class BatchParts:
    """Gradients of ``tensors`` over batches in ``parts``, part p on rank p modulo the number of ``ranks``.

    Loss and gradients of a batch are means over its parts, weighted by samples; so is what a forward pass makes of
    ``buffers``, such as the averages of a batch norm, in each part from what they were before the batch. Sums are those
    of ``snnconv.ranks.fixed_point``, so they are the same to the bit on any number of ranks. One part on one rank is
    computed as it is.
    """

    def __init__(self, parts: int, ranks: Ranks, tensors: Sequence[Tensor], buffers: Sequence[Tensor] = ()) -> None:
        self.parts, self.ranks = parts, ranks
        self.tensors, self.buffers, self._whole = list(tensors), list(buffers), [*tensors, *buffers]
        self._device = self._whole[0].device

    def backward(self, positions: Tensor, loss: Callable[[Tensor, int], Tensor]) -> float:
        """The loss of the samples at ``positions``; their gradients are those of the tensors afterwards.

        ``loss`` makes that of the positions of one part, given its number. Gradients are none, or not finite, where it
        is not finite.
        """
        chunks = positions.tensor_split(min(self.parts, len(positions)))
        if len(chunks) == 1 and self.ranks.size == 1:
            return self._own(chunks[0], 0, loss)
        before = [buffer.clone() for buffer in self.buffers]
        losses, rows = [-math.inf] * len(chunks), []
        for number in range(self.ranks.rank, len(chunks), self.ranks.size):
            self._restore(before)
            found = self._own(chunks[number], number, loss)
            losses[number] = found if math.isfinite(found) else math.inf
            rows.append(self._row(len(chunks[number]) / len(positions)))
        sizes, losses = self._largest(rows, losses)
        self._give(rows, sizes, len(chunks))
        return math.fsum(each * len(chunk) for each, chunk in zip(losses, chunks, strict=True)) / len(positions)

    def _own(self, positions: Tensor, number: int, loss: Callable[[Tensor, int], Tensor]) -> float:
        """The loss of one part, whose gradients are those of the tensors afterwards."""
        for tensor in self.tensors:
            tensor.grad = None
        found = loss(positions, number)
        value = float(found.detach())
        if math.isfinite(value):
            torch.autograd.backward(found)
        return value

    def _restore(self, values: Sequence[Tensor]) -> None:
        for buffer, value in zip(self.buffers, values, strict=True):
            buffer.copy_(value)

    def _row(self, share: float) -> list[Tensor | None]:
        """What one part makes, gradients and buffers, times its ``share`` of the samples."""
        made = [*(tensor.grad for tensor in self.tensors), *self.buffers]
        return [None if each is None else each.detach().to(self._device, torch.float64) * share for each in made]

    def _largest(self, rows: Sequence[Row], losses: list[float]) -> tuple[list[float], list[float]]:
        """The largest number of every tensor and buffer in all parts, on all ranks, and the losses of all parts."""
        sizes = torch.full((len(self._whole),), _NONE, dtype=torch.float64, device=self._device)
        for row in rows:
            own = [sizes.new_tensor(_NONE) if each is None else _size(each) for each in row]
            sizes = torch.maximum(sizes, torch.stack(own))
        values = torch.cat([sizes, sizes.new_tensor(losses)])
        self.ranks.largest("the sizes of gradients", values)
        found = values.tolist()
        return found[: len(sizes)], found[len(sizes) :]

    def _give(self, rows: Sequence[Row], sizes: Sequence[float], count: int) -> None:
        """Give every tensor the sum of its gradients in ``count`` parts, on all ranks, and every buffer that of its."""
        summed = [place for place, size in enumerate(sizes) if 0.0 <= size < math.inf]
        shifts = {place: shift_for(sizes[place], count) for place in summed}
        numbers = [self._whole[place].numel() for place in summed]
        sums = torch.zeros(sum(numbers), dtype=torch.int64, device=self._device)
        for row in rows:
            for place, total in zip(summed, torch.split_with_sizes(sums, numbers), strict=True):
                each = row[place]
                if each is not None:
                    total += as_integers(each, shifts[place]).flatten()
        self.ranks.add("the sums of gradients", sums)
        totals = dict(zip(summed, torch.split_with_sizes(sums, numbers), strict=True))
        for place, tensor in enumerate(self._whole):
            value = None
            if place in totals:
                value = as_numbers(totals[place], shifts[place], tensor.dtype).view_as(tensor).to(tensor.device)
            elif sizes[place] == math.inf:
                value = torch.full_like(tensor, math.nan)
            if place < len(self.tensors):
                tensor.grad = value
            elif value is not None:
                tensor.copy_(value)


def _size(values: Tensor) -> Tensor:
    """The largest number of ``values`` without its sign; infinite where one is not finite."""
    largest = values.abs().amax() if values.numel() else values.new_zeros(())
    return largest.nan_to_num(nan=math.inf)
