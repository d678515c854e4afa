"""What surrounds a call of the library, and what its results do not depend on: settings of torch, and other threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

#: Kinds of devices that autocast knows.
_DEVICES = ("cpu", "cuda", "xpu", "mps")
#: Of those who use what all threads share; a forked process gets another, since who held it did not come along.
_locks = [threading.RLock()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _locks.__setitem__(0, threading.RLock()))


@contextmanager
def own_surroundings() -> Iterator[None]:
    """Leave autocast, which would compute spikes in another precision, inference mode, and meta as default device.

    What ends here is the caller's again afterwards; threads beside it see nothing of it. As a decorator it is what
    every function begins with that users call and that computes.
    """
    with ExitStack() as stack:
        for device in _DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.is_inference_mode_enabled():  # whose tensors nothing can be trained with
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        if torch.get_default_device().type == "meta":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """No other thread is in here, for what belongs to the whole process; a thread may enter again."""
    with _locks[0]:
        yield


@contextmanager
def kept_random_numbers(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Torch's own random numbers, of the CPU and of ``devices``, go on afterwards as if nothing had been drawn here.

    One thread at a time, so that another's seed does not come in between.
    """
    with one_at_a_time(), torch.random.fork_rng(devices=devices):
        yield
