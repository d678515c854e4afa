"""Random numbers of training: each step has its own, so that an interrupted run goes on as if it had not stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from snnconv.surroundings import kept_random_numbers


def order_of_epoch(count: int, seed: int, epoch: int) -> Tensor:
    """The order ``[count]`` in which an epoch sees its samples."""
    return torch.randperm(count, generator=generator_of(seed, epoch, -1))


def generator_of(seed: int, epoch: int, number: int, part: int = 0) -> torch.Generator:
    """A generator that depends on the seed, the epoch, the batch and its part alone."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, number, part))


@contextmanager
def seeded(device: torch.device, seed: int, epoch: int, number: int, part: int = 0) -> Iterator[None]:
    """Random numbers in here depend on the step of training, and the part of its batch, alone.

    Those of the caller go on as before.
    """
    with kept_random_numbers([device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed(seed, epoch, number, part))
        yield


def derived_seed(seed: int, epoch: int, number: int, part: int = 0) -> int:
    """A seed of the step of training, and the part of its batch, alone."""
    which = [seed, epoch, number + 1, *([part] if part else [])]
    return int(np.random.SeedSequence(which).generate_state(1, np.uint64)[0])
