"""Calibration samples that do not fit the memory: in a temporary file, from which chunks are read when needed."""

from __future__ import annotations

import tempfile
import threading
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, overload

import torch
from torch import Tensor

from snnconv.data.batches import Inputs

#: Chunks that travel to another process in the place of all: what biases are corrected on.
_SENT = 4
_ALIGNMENT = 64


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in the file."""

    offset: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    device: torch.device


class _Batches(Sequence[Inputs]):
    """Batches that are made when they are asked for, one by one; a slice is a list of them."""

    @overload
    def __getitem__(self, number: int) -> Inputs: ...
    @overload
    def __getitem__(self, number: slice) -> list[Inputs]: ...
    def __getitem__(self, number: int | slice) -> Inputs | list[Inputs]:
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        return self._at(number)

    @abstractmethod
    def _at(self, number: int) -> Inputs:
        """The batch with this number."""


class StoredParts(_Batches):
    """Batches of samples in a temporary file, which is gone with the last who holds it.

    ``tensor[row : row + 1]`` of every tensor of a part is read by ``rows``; whole parts by their number.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="snnconv-")  # noqa: SIM115 - it lasts as long as this
        weakref.finalize(self, self._file.close)
        self._parts: list[tuple[_Place, ...]] = []
        self._end, self._lock = 0, threading.Lock()

    def append(self, part: Inputs) -> None:
        """Write one more batch."""
        self._parts.append(tuple(self._written(tensor) for tensor in part))

    def _written(self, tensor: Tensor) -> _Place:
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        place = _Place(self._end, tensor.dtype, tuple(tensor.shape), tensor.device)
        self._file.seek(self._end)
        self._file.write(content.data)
        self._end += -(-content.nbytes // _ALIGNMENT) * _ALIGNMENT
        return place

    def rows(self, number: int, row: int) -> Inputs:
        """One sample of a part."""
        return tuple(self._read(place, row, row + 1) for place in self._parts[number])

    def _read(self, place: _Place, start: int, stop: int) -> Tensor:
        rest = place.shape[1:]
        size = torch.Size(rest).numel() * place.dtype.itemsize
        with self._lock:
            self._file.seek(place.offset + start * size)
            content = self._file.read(size * (stop - start))
        tensor = torch.frombuffer(bytearray(content), dtype=torch.uint8).clone().view(place.dtype)
        return tensor.view(stop - start, *rest).to(place.device)

    def __len__(self) -> int:
        return len(self._parts)

    def _at(self, number: int) -> Inputs:
        return tuple(self._read(place, 0, place.shape[0]) for place in self._parts[number])


class StoredChunks(_Batches):
    """Chunks that ``made`` makes of groups of samples, whenever one is asked for.

    To another process travel the first few, as what they are.
    """

    def __init__(self, groups: Sequence[Any], made: Callable[[Any], Inputs]) -> None:
        self._groups, self._made = groups, made

    def through(self, function: Callable[[Inputs], Inputs]) -> StoredChunks:
        """What ``function`` makes of every chunk."""
        made = self._made
        return StoredChunks(self._groups, lambda group: function(made(group)))

    def __len__(self) -> int:
        return len(self._groups)

    def _at(self, number: int) -> Inputs:
        return self._made(self._groups[number])

    def __iter__(self) -> Iterator[Inputs]:
        return map(self._made, self._groups)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(islice(self, _SENT)),)
