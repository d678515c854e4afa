"""Steps of a stream on a GPU, compiled by Triton: a neuron's state stays in registers while it takes all its steps."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from neurons.step_form import Kind
from snnconv.kernels import launches
from snnconv.kernels.channel_tensors import ChannelTensors
from snnconv.kernels.stream_jobs import Pass
from snnconv.kernels.triton_blocks import EXACT, places_in, potentials_of, quotient


@triton.jit
def fire(potential: tl.tensor, payload: tl.tensor, bound: tl.tensor) -> tl.tensor:
    """The payload where the potential is at least the bound."""
    return tl.where(potential >= bound, payload, 0.0)


@triton.jit
def burst(potential: tl.tensor, own: tl.tensor, share: tl.tensor) -> tl.tensor:
    """A neuron's own threshold where the potential is at least a share of it."""
    return tl.where(potential >= own * share, 1.0, 0.0).to(own.dtype) * own


@triton.jit
def grown(own: tl.tensor, fired: tl.tensor, numbers: tl.tensor) -> tl.tensor:
    """The threshold behind a step: larger behind a spike, the first one behind none."""
    larger = own * tl.load(numbers + 1)
    largest = tl.load(numbers + 2)
    return tl.where(fired == 0.0, tl.load(numbers), tl.where(larger <= largest, larger, largest))


@triton.jit
def above_zero(values: tl.tensor) -> tl.tensor:
    """Values above zero, and zero."""
    return tl.where(values > 0.0, values, 0.0)


@triton.jit(do_not_specialize=["samples", "steps"])
def advance(
    current: tl.tensor,
    payloads: tl.tensor,
    potentials: tl.tensor,
    balances: tl.tensor,
    memories: tl.tensor,
    negative_memories: tl.tensor,
    spikes: tl.tensor,
    shift: tl.tensor,
    inverse: tl.tensor,
    scale: tl.tensor,
    fixed: tl.tensor,
    numbers: tl.tensor,
    size: tl.tensor,
    samples: tl.tensor,
    steps: tl.tensor,
    each: tl.tensor,
    channels: tl.tensor,
    KIND: tl.constexpr,
    STILL: tl.constexpr,
    SCALED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Take ``steps`` of a block of the ``size`` neurons of one of ``samples``.

    ``numbers`` are those of a growing threshold (first, gain, largest, share), offset, charge, and what is sent by.
    """
    blocks = tl.cdiv(size, BLOCK)
    first = (tl.program_id(0) % blocks) * BLOCK
    neuron = first + tl.arange(0, BLOCK)
    inside = neuron < size
    channel = places_in(first, each * channels, BLOCK) // each
    at = (tl.program_id(0) // blocks) * size + neuron
    factor = tl.load(scale + channel)
    share = tl.load(numbers + 3)
    offset = tl.load(numbers + 4)
    charge = tl.load(numbers + 5)
    sent = tl.load(numbers + 6)
    potential = tl.load(potentials + at, mask=inside, other=0.0)
    fired_so_far = tl.zeros_like(potential)
    if balances is not None:
        balance = tl.load(balances + at, mask=inside, other=0.0)
    if memories is not None:
        memory = tl.load(memories + at, mask=inside, other=0.0)
    if negative_memories is not None:
        negative_memory = tl.load(negative_memories + at, mask=inside, other=0.0)
    heard = current + at
    told = payloads + at
    for step in range(steps):
        x = tl.load(heard, mask=inside, other=0.0)
        potential = potential + potentials_of(x, shift, inverse, channel)
        if memories is not None:
            fired = burst(potential, memory, share)
            memory = grown(memory, fired, numbers)
        else:
            payload = tl.load(fixed + step)
            bound = tl.load(fixed + steps + step)
            fired = fire(potential, payload, bound)
        if KIND == "subtract":
            potential = potential - fired
        elif KIND == "zero":
            potential = tl.where(fired == 0.0, potential, 0.0)
        else:
            mirrored = offset - potential if KIND == "corrective" else quotient(potential, -charge)
            if memories is not None:
                negative = burst(mirrored, negative_memory, share)
                negative_memory = grown(negative_memory, negative, numbers)
            else:
                negative = fire(mirrored, payload, bound)
            if KIND == "corrective":
                fired = fired - tl.where(negative < balance, negative, balance)
                potential = potential - fired
                balance = balance + fired
            else:
                potential = potential - fired + negative * charge
                if KIND == "graded":
                    moved = fired - negative
                    after = balance + moved
                    above = above_zero(after) - above_zero(balance)
                    balance = after
                    fired = above + (moved - above) * sent
                else:
                    fired = fired - negative * sent
        fired_so_far += tl.where(fired != 0.0, 1.0, 0.0).to(fired_so_far.dtype)
        if SCALED:
            tl.store(told, fired * factor, mask=inside)
        else:
            tl.store(told, fired, mask=inside)
        told += samples * size
        if not STILL:
            heard += samples * size
    tl.store(potentials + at, potential, mask=inside)
    if balances is not None:
        tl.store(balances + at, balance, mask=inside)
    if memories is not None:
        tl.store(memories + at, memory, mask=inside)
    if negative_memories is not None:
        tl.store(negative_memories + at, negative_memory, mask=inside)
    if spikes is not None:
        # Whole numbers, whose sum does not depend on their order.
        tl.atomic_add(spikes + neuron, fired_so_far, mask=inside, sem="relaxed")


def launch(kind: Kind, numbers: Tensor, channels: ChannelTensors, given: Pass) -> None:
    """Take the steps that are ``given``."""
    state = given.state._asdict()
    size = given.state.potential.numel() // given.samples
    if given.spikes is not None:
        given.spikes.zero_()
    names = ("potential", "emitted", "memory", "negative_memory")
    advance[(launches.programs_for(size) * given.samples,)](
        given.current,
        given.payloads,
        *map(state.get, names),
        given.spikes,
        *channels.all,
        given.fixed,
        numbers,
        size,
        given.samples,
        given.steps,
        *channels.turns(given.state.potential),
        kind,
        given.still,
        given.scaled,
        launches.BLOCK,
        **EXACT,
    )
