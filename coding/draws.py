"""Random numbers of samples, each drawn from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b

import torch
from torch import Tensor


class Draws:
    """Random numbers of samples, which depend on a seed and on a sample's position, not on which others come with it.

    Generators of torch on a CPU begin from 32 bits, so that two of n samples draw alike with a chance of n^2 / 2^33: a
    hundredth for 10,000 samples.

    Args:
        seed: What all draws depend on.
        positions: Of the samples, among all that are drawn for by ``seed``.
        device: Where numbers are drawn; devices differ in what they draw.
    """

    def __init__(self, seed: int, positions: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._seed, self._positions, self._device = seed, positions, device

    @cached_property
    def _generators(self) -> list[torch.Generator]:
        return [torch.Generator(self._device).manual_seed(_seed(self._seed, position)) for position in self._positions]

    def of(self, kept: Tensor) -> Draws:
        """Those of the samples that are ``kept``, bool ``[N]``, which go on where they are."""
        found = Draws(self._seed, [each for each, keep in zip(self._positions, kept.tolist(), strict=True) if keep])
        found._generators = [each for each, keep in zip(self._generators, kept.tolist(), strict=True) if keep]
        return found

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers from 0 up to 1, shaped as ``like``, whose elements lie sample by sample."""
        found, samples = self._apart(like)
        for generator, sample in zip(self._generators, samples, strict=True):
            sample.uniform_(generator=generator)
        return found

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers, shaped as ``like``, whose elements lie sample by sample."""
        found, samples = self._apart(like)
        for generator, sample in zip(self._generators, samples, strict=True):
            sample.normal_(generator=generator)
        return found

    def _apart(self, like: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """An empty tensor shaped as ``like``, and the parts of it that belong to each sample."""
        found = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        return found, found.view(len(self._generators), -1).unbind(0)


def _seed(seed: int, position: int) -> int:
    return int.from_bytes(blake2b(f"{seed} {position}".encode(), digest_size=8).digest(), "big")
