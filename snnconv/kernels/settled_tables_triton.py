"""Windows of neurons with tables on a GPU, compiled by Triton: the arithmetic of ``neurons.TableLookup``."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from neurons.window_form import TableForm
from snnconv.kernels import launches
from snnconv.kernels.channel_tensors import ChannelTensors
from snnconv.kernels.triton_blocks import EXACT, add_up, places_in, potentials_of
from snnconv.kernels.window_tensors import WindowResults


@triton.jit(do_not_specialize=["steps", "size", "kinds"])
def settle(
    current: tl.tensor,
    decoded: tl.tensor,
    found: tl.tensor,
    spikes_found: tl.tensor,
    updates_found: tl.tensor,
    totals: tl.tensor,
    shift: tl.tensor,
    inverse: tl.tensor,
    scale: tl.tensor,
    thresholds: tl.tensor,
    payloads: tl.tensor,
    origins: tl.tensor,
    rates: tl.tensor,
    slopes: tl.tensor,
    slack: tl.tensor,
    weights: tl.tensor,
    number: tl.tensor,
    each: tl.tensor,
    channels: tl.tensor,
    steps: tl.tensor,
    size: tl.tensor,
    kinds: tl.tensor,
    CELLS: tl.constexpr,
    HALVINGS: tl.constexpr,
    LEVELS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Settle ``number`` windows, ``each`` in turn of every one of ``channels``.

    A channel has ``CELLS`` thresholds, among which so many ``HALVINGS`` find a place.
    """
    first = tl.program_id(0) * BLOCK
    at = first + tl.arange(0, BLOCK)
    inside = at < number
    channel = places_in(first, each * channels, BLOCK) // each
    raised = potentials_of(tl.load(current + at, mask=inside, other=0.0), shift, inverse, channel)
    raised = raised + tl.load(slack + channel)
    reached = channel * 0
    for halving in tl.static_range(HALVINGS):
        further = reached + (1 << (HALVINGS - 1 - halving))
        there = further <= CELLS
        threshold = tl.load(thresholds + channel * CELLS + further - 1, mask=there, other=0.0)
        # What is no number is above all thresholds, as torch's search has it.
        reached = tl.where(there & ((threshold <= raised) | (raised != raised)), further, reached)
    entry = channel * (CELLS + 1) + reached
    value = tl.load(payloads + entry)
    fired = (reached > 0).to(value.dtype)
    updates = (CELLS + 1 - reached).to(value.dtype)
    last = tl.zeros_like(value) + steps
    if LEVELS > 0:
        slope = tl.load(slopes + entry)
        level = (raised - tl.load(origins + entry)) * tl.load(rates + entry)
        level = tl.where(level > LEVELS, LEVELS, tl.where(level < 0.0, 0.0, level))
        # Rounded down by way of an integer: Triton's floor takes the smallest numbers for zero. NaN stays.
        level = tl.where(level > 0.0, level.to(tl.int32).to(value.dtype), level)
        value = value + level * slope
        second = (level > 0.0) & (slope != 0.0)
        updates = tl.where(second, last + 1.0 - level, last)
        fired += second.to(value.dtype)
    updates = tl.where(updates > last, last, updates)
    tl.store(decoded + at, value * tl.load(scale + channel), mask=inside)
    if found is not None:
        tl.store(found + at, value, mask=inside)
    if spikes_found is not None:
        tl.store(spikes_found + at, fired, mask=inside)
    if updates_found is not None:
        tl.store(updates_found + at, updates, mask=inside)
    if totals is not None:
        add_up(totals, fired, updates, weights, inside, size, kinds, BLOCK)


def launch(form: TableForm, channels: ChannelTensors, current: Tensor, results: WindowResults) -> None:
    """Settle windows of a ``current`` without gaps into ``results``."""
    number, cells = current.numel(), form.thresholds.shape[1]
    settle[(launches.programs_for(number),)](
        current,
        *results.places,
        *channels.all,
        *form[:6],
        results.weights,
        number,
        *channels.turns(current),
        form.steps,
        *results.neurons_and_kinds,
        cells,
        cells.bit_length(),
        form.levels,
        launches.BLOCK,
        **EXACT,
    )
