"""Settled windows on a GPU, compiled by Triton: one pass over memory, whatever is counted on the way."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from coding.window.closed_form import Levels
from snnconv.kernels import launches
from snnconv.kernels.channel_tensors import ChannelTensors
from snnconv.kernels.triton_blocks import EXACT, add_up, places_in, potentials_of
from snnconv.kernels.window_tensors import WindowResults


@triton.jit(do_not_specialize=["lowest_cell", "cells", "corrections", "size", "kinds"])
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
    carry: tl.tensor,
    following: tl.tensor,
    values: tl.tensor,
    spikes: tl.tensor,
    updates: tl.tensor,
    below_zero: tl.tensor,
    weights: tl.tensor,
    number: tl.tensor,
    each: tl.tensor,
    channels: tl.tensor,
    lowest_cell: tl.tensor,
    cells: tl.tensor,
    corrections: tl.tensor,
    size: tl.tensor,
    kinds: tl.tensor,
    CELL_BITS: tl.constexpr,
    SIGN: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Settle ``number`` windows, ``each`` in turn of every one of ``channels``; ``SIGN`` is the bit of a sign."""
    first = tl.program_id(0) * BLOCK
    at = first + tl.arange(0, BLOCK)
    inside = at < number
    channel = places_in(first, each * channels, BLOCK) // each
    potential = potentials_of(tl.load(current + at, mask=inside, other=0.0), shift, inverse, channel)
    bits = potential.to(carry.dtype.element_ty, bitcast=True)
    sign = bits & SIGN
    if below_zero is not None:
        seen = tl.where(potential > 0.0, potential, potential * tl.load(below_zero))
        bits = seen.to(carry.dtype.element_ty, bitcast=True) & ~SIGN
    train = tl.minimum(tl.maximum((bits >> CELL_BITS) - (lowest_cell - 1), 0), cells - 1)
    train = ((bits & ((1 << CELL_BITS) - 1)) + tl.load(carry + train)) >> CELL_BITS
    for _ in range(corrections):
        train += (tl.maximum(bits, 0) >= tl.load(following + train)).to(carry.dtype.element_ty)
    value = tl.load(values + train)
    if below_zero is not None:
        signed = value.to(carry.dtype.element_ty, bitcast=True) | sign
        value = signed.to(value.dtype, bitcast=True)
        value = tl.where(value > 0.0, value, value * tl.load(below_zero + 1))
    tl.store(decoded + at, value * tl.load(scale + channel), mask=inside)
    if found is not None:
        tl.store(found + at, value, mask=inside)
    if spikes_found is not None:
        tl.store(spikes_found + at, tl.load(spikes + train), mask=inside)
    if updates_found is not None:
        tl.store(updates_found + at, tl.load(updates + train), mask=inside)
    if totals is not None:
        add_up(totals, tl.load(spikes + train), tl.load(updates + train), weights, inside, size, kinds, BLOCK)


def launch(
    levels: Levels, below_zero: Tensor | None, channels: ChannelTensors, current: Tensor, results: WindowResults
) -> None:
    """Settle windows of a ``current`` without gaps into ``results``."""
    number = current.numel()
    settle[(launches.programs_for(number),)](
        current,
        *results.places,
        *channels.all,
        levels.carry,
        levels.following,
        levels.values,
        levels.spikes,
        levels.updates,
        below_zero,
        results.weights,
        number,
        *channels.turns(current),
        levels.lowest_cell,
        len(levels.carry),
        levels.corrections,
        *results.neurons_and_kinds,
        levels.shift,
        -(2 ** (8 * current.itemsize - 1)),
        launches.BLOCK,
        **EXACT,
    )
