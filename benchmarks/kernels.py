"""Kernels of a device beside torch's own form of them: whether they give the same bits, and in how much less time.

``python -m benchmarks kernels --device cuda`` is the check for a machine with a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.results import note, publish
from benchmarks.timing import in_turns
from coding import Burst, Code, FewSpike, FunctionTable, Rate
from neurons import (
    CorrectiveIntegrateFire,
    IntegrateFire,
    Neuron,
    SignedIntegrateFire,
    SignedWindow,
    TableLookup,
    WindowNeuron,
)
from snnconv.kernels.backends import backend, chosen, launch, native
from snnconv.kernels.largest import place_of_largest
from snnconv.kernels.ratios import ratio
from snnconv.kernels.settled_windows import Windows
from snnconv.kernels.stream_steps import Span, Steps

#: The modules that compute works, by how the names of these begin; the first that fits.
MODULES = {
    "window by tables": "settled_tables",
    "window": "settled_windows",
    "steps": "stream_steps",
    "ratio": "ratios",
    "place": "largest",
}
#: A map of 64 samples, and the steps of a stream that it is for a quarter of them.
SHAPE, STEPS = (64, 64, 32, 32), 4
HEAD = ("kernel", "dtype", "by", "same bits", "torch ms", "ms", "times faster", "quartiles")
ROUNDS = 7

_Work = Callable[[], list[Tensor]]


def run(device: str = "cpu") -> None:
    """Publish the table ``kernels`` for a ``device`` of torch; fail where bits differ, or Triton left one to torch."""
    where = torch.device(device)
    if where.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"kernels: torch finds no GPU, so nothing can be measured on --device {device}")
    rows, differing, left = [], [], []
    for dtype in (torch.float32, torch.float64):
        for name, work in _works(where, dtype).items():
            with backend("torch"):
                wanted = work()
            same = all(_same_bits(mine, other) for mine, other in zip(work(), wanted, strict=True))
            if not same:
                differing.append(f"{name} ({dtype})")
            turns = in_turns(
                {"torch": partial(_timed, work, where, True), "ours": partial(_timed, work, where)}, ROUNDS
            )
            faster, times = turns.ratio("torch", "ours"), [1e3 * turns.time(by).median for by in ("torch", "ours")]
            note(f"{name}, {dtype}: {'the same bits' if same else 'OTHER BITS'}, {faster} times faster")
            by = _computed_by(name, where, dtype)
            if by == "torch" and chosen(where) == "triton":
                left.append(f"{name} ({dtype})")
            cells = [str(dtype).removeprefix("torch."), by, "yes" if same else "NO"]
            rows.append([name, *cells, *times, faster.median, f"{faster.low:.3g}-{faster.high:.3g}"])
    title = f"Kernels on {torch.cuda.get_device_name(where) if where.type == 'cuda' else where}, beside torch"
    publish("kernels", title, HEAD, rows)
    if differing:
        raise SystemExit(f"kernels: other bits than torch's: {', '.join(differing)}")
    if left:
        raise SystemExit(f"kernels: Triton left these to torch, which was compared with itself: {', '.join(left)}")


def _computed_by(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """What computes the work of this ``name``, once it has run: torch where what is to compute cannot."""
    by, module = chosen(device), next(module for start, module in MODULES.items() if name.startswith(start))
    if by == "numba":
        return by if native(f"{module}_numba", dtype, device) is not None else "torch"
    if by == "triton":
        return by if launch(f"{module}_triton", torch.empty(1, dtype=dtype, device=device)) is not None else "torch"
    return by


def _works(device: torch.device, dtype: torch.dtype) -> dict[str, _Work]:
    """Every kernel, on one random map."""
    generator = torch.Generator().manual_seed(0)
    current, scale, shift = (
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)
        for shape in (SHAPE, SHAPE[1:2], SHAPE[1:2])
    )
    scale = scale.abs() + 0.5

    def windows(neuron: WindowNeuron, counted: bool) -> _Work:
        made = Windows(neuron, neuron, 1, scale, shift)
        if not counted:
            return lambda: [made.decode(current)]

        def work() -> list[Tensor]:
            found = made.sum(current, True, by_neuron=True)
            assert found.spikes is not None
            return [found.decoded, found.spikes, torch.tensor(found.sums[:2], dtype=torch.float64)]

        return work

    def steps(neuron: Neuron) -> _Work:
        made, span = Steps(neuron, 1, scale, shift, batched=True), Span(0, STEPS, SHAPE[0] // STEPS, True)

        def work() -> list[Tensor]:
            found = made.advance(current, None, span, own=False, counted=True, watch=None)
            assert found.spikes is not None
            return [found.decoded, found.spikes, found.state.potential]

        return work

    code: Code = FewSpike(6, 1.5, 3)
    table = FunctionTable(16, 2)
    numbers = torch.rand(5, SHAPE[1], table.cells, generator=generator, dtype=torch.float64)
    numbers[0] = numbers[0].sort(1, descending=True).values
    lookup = TableLookup(table).with_tables(numbers.to(device, dtype), 1)
    divisor = current[:, :, :1, :1].contiguous()
    return {
        "window": windows(IntegrateFire(code), False),
        "window, counted": windows(IntegrateFire(code), True),
        "window, signed": windows(SignedWindow(code, 0.1), False),
        "window by tables": windows(lookup, False),
        "window by tables, counted": windows(lookup, True),
        "steps, integrate-fire": steps(IntegrateFire(Rate(16))),
        "steps, corrective": steps(CorrectiveIntegrateFire(Rate(16))),
        "steps, signed": steps(SignedIntegrateFire(Rate(16), 0.1, "imbalanced")),
        "steps, burst": steps(IntegrateFire(Burst(16))),
        "ratio": lambda: [ratio(current, divisor)],
        "place of the largest": lambda: [place_of_largest(current.view(-1, 4)).to(dtype)],
    }


def _timed(work: _Work, device: torch.device, by_torch: bool = False) -> None:
    if by_torch:
        with backend("torch"):
            work()
    else:
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _same_bits(first: Tensor, second: Tensor) -> bool:
    integer = torch.int32 if first.dtype == torch.float32 else torch.int64
    return torch.equal(first.contiguous().view(integer), second.contiguous().view(integer))
