"""What computes where: without a compiler, with one that does not compile, in forked processes, on many threads."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from coding import Rate
from neurons import IntegrateFire
from snnconv.errors import ConfigurationError
from snnconv.kernels import backends, native
from snnconv.kernels.layouts import ChannelConstants
from snnconv.kernels.neuron_weights import NeuronWeights
from snnconv.kernels.settled_windows import Windows
from snnconv.kernels.stream_steps import Span, Steps
from snnconv.spiking.settling import windows_of
from tests.support.computing import computed_by, device_of, needs_triton
from tests.support.windows import CODES, placed, population, same_bits

CPU = torch.device("cpu")
KERNEL = "settled_windows_numba"
CODE = CODES["few-spike"]
WINDOWS = windows_of(population(CODE, IntegrateFire(CODE), True, 1, 32))
CURRENT = torch.randn(20, 32, 40, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def afresh() -> Iterator[None]:
    """Nothing is compiled yet, and nothing of this test stays."""
    kept = backends._compiled, backends._launch
    for each in kept:
        each.cache_clear()
    yield
    for each in kept:
        each.cache_clear()


@pytest.fixture
def several_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def expected() -> Tensor:
    with backends.backend("torch"):
        return WINDOWS.decode(CURRENT)


def elsewhere() -> tuple[Windows, Tensor]:
    """Windows and a small current where Triton computes."""
    found = placed(population(CODE, IntegrateFire(CODE), True, 1, 32), torch.float32, device_of("triton"))
    return windows_of(found), CURRENT[:1, :, :10].contiguous().to(device_of("triton"))


def stepped() -> tuple[Tensor, Tensor]:
    """Payloads and spikes of four steps of five samples."""
    steps = Steps(IntegrateFire(Rate(4)), 1, torch.ones(32), torch.full((32,), 0.1), batched=True)
    found = steps.advance(CURRENT, None, Span(0, 4, 5, shifting=True), own=False, counted=True, watch=None)
    assert found.spikes is not None
    return found.decoded, found.spikes


def test_without_numba_torch_computes_and_nothing_is_said(
    afresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else find(name))
    assert backends.native(KERNEL, torch.float32, CPU) is None
    assert same_bits(WINDOWS.decode(CURRENT), expected()) and not caplog.records


@pytest.mark.parametrize("name", ["numba", "triton"])
def test_a_compiler_that_is_asked_for_and_missing_is_named(
    name: backends.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=name), backends.backend(name):
        pass


@needs_triton
def test_a_gpu_that_is_asked_for_and_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ConfigurationError, match="on a GPU, and torch finds none"), backends.backend("triton"):
        pass


def test_a_device_has_its_backend_and_torch_has_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    found = {}
    for asked in (None, "torch", "numba", "triton"):
        token = backends._asked_for.set(asked)
        found[asked] = [backends.chosen(torch.device(name)) for name in ("cpu", "cuda:1", "meta")]
        backends._asked_for.reset(token)
    assert found[None] == ["numba", "triton", "torch"] and found["torch"] == ["torch"] * 3
    assert found["numba"] == ["numba", "torch", "torch"] and found["triton"] == ["torch", "triton", "torch"]


@needs_triton
def test_without_triton_torch_computes_and_nothing_is_said(
    afresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    windows, current = elsewhere()
    wanted = windows.decode(current)
    with computed_by("triton"):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert backends.launch("settled_windows_triton", current) is None
        assert same_bits(windows.decode(current), wanted) and not caplog.records


@needs_triton
def test_a_launch_that_fails_is_warned_of_once_and_left_to_torch(
    afresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from snnconv.kernels import settled_windows_triton

    windows, current = elsewhere()
    with backends.backend("torch"):
        wanted, sums = windows.settle(current, counted=True), windows.sum(current, True).sums
    monkeypatch.setattr(settled_windows_triton, "settle", None)
    ways: list[Callable[[], object]] = [
        lambda: windows.sum(current, True).sums == sums,
        lambda: same_bits(windows.settle(current, counted=True).decoded, wanted.decoded),
        lambda: same_bits(windows.decode(current.clone(), own=True), wanted.decoded),
    ]
    for first in range(3):
        backends._launch.cache_clear()
        with computed_by("triton"):
            assert all(way() for way in ways[first:] + ways[:first])
    assert len(caplog.records) == 3
    for record in caplog.records:
        assert record.levelno == logging.WARNING and "settled_windows_triton" in record.message


@needs_triton
def test_what_triton_is_not_written_for_is_left_to_torch() -> None:
    one = torch.ones(1, device=device_of("triton"))
    with computed_by("triton"):
        for left in (one.half(), one.long(), one.expand(2**31)):
            assert backends.launch("ratios_triton", left) is None
        assert backends.launch("ratios_triton", one.expand(2**30)) is not None


def test_a_kernel_that_does_not_compile_is_warned_of_once(
    afresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any) -> Any:
        raise ValueError("no such instruction")

    monkeypatch.setattr(native.Native, "of", fail)
    for _ in range(2):
        assert same_bits(WINDOWS.decode(CURRENT), expected())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "no such instruction" in record.message


def test_a_kernel_is_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    compiler = numba.cfunc

    def without_a_folder(signature: Any, cache: bool = False) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compiler(signature)

    job = np.dtype([("taken", np.int64), ("number", np.int64)])

    def double(pointer: Any) -> None:
        numba.carray(pointer, 1)[0].number *= 2

    monkeypatch.setattr(numba, "cfunc", without_a_folder)
    given = np.array([0, 21])
    native.Native.of(double, job)(given, threads=1)
    assert given.tolist() == [0, 42]


@pytest.mark.parametrize("openmp", [True, False])
def test_all_threads_of_torch_and_those_of_the_caller_get_what_one_gets(
    openmp: bool, several_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not openmp:
        monkeypatch.setattr(native, "_openmp", lambda: None)
    assert native.threads_for(CURRENT.numel()) == 3
    wanted = expected()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: WINDOWS.decode(CURRENT), range(8)))
    assert all(same_bits(each, wanted) for each in found)
    weights = (NeuronWeights(torch.arange(CURRENT[0].numel()).view(CURRENT[0].shape).double()),)
    sums = WINDOWS.sum(CURRENT, True, weights).sums
    sent, fired = stepped()
    with backends.backend("torch"):
        assert WINDOWS.sum(CURRENT, True, weights).sums == sums
        assert same_bits(stepped()[0], sent) and torch.equal(stepped()[1], fired)


def test_small_maps_are_left_to_one_thread(several_threads: None) -> None:
    assert native.threads_for(1000) == 1 and native.threads_for(10**7) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_computes_what_its_parent_did(several_threads: None, tmp_path: Path) -> None:
    wanted = WINDOWS.decode(CURRENT)
    assert native.threads_for(CURRENT.numel()) > 1
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # Compared by numpy: torch itself waits forever for the threads of its parent.
            code = 0 if np.array_equal(WINDOWS.decode(CURRENT).numpy(), wanted.numpy()) else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0)


class _SeenLater(dict[Any, Any]):
    """What another thread keeps between a look and what is kept then: it is not there yet."""

    def __contains__(self, key: object) -> bool:
        return False


def test_constants_that_a_job_knows_the_address_of_stay_where_two_threads_arrange_the_same() -> None:
    constants, values = ChannelConstants(1, torch.ones(3, 32)), torch.ones(20, 32)
    constants._arranged = _SeenLater()
    rows, arranged = constants.along(values)
    assert rows.along and constants.along(values)[1] is arranged


def test_numbers_of_another_device_are_refused_by_torch() -> None:
    """An address there is none here."""
    elsewhere = torch.empty(1, device="meta")
    made = Windows(IntegrateFire(CODE), IntegrateFire(CODE), None, torch.ones(1), torch.zeros(1))
    made.scale = made.inverse_scale = elsewhere
    assert made._kernel(CURRENT) is None
