"""Steps of a stream on a CPU, compiled by numba: a block of neurons takes all its steps while it lies in the cache.

A map is cut into rows, along which the constants of channels repeat, and rows into blocks. A block of all samples is
advanced one after the other, so that its sums over samples stay in the cache, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray, njit

from snnconv.kernels.layouts import BLOCK
from snnconv.kernels.numba_blocks import blocks_of, potentials_of, scale_into
from snnconv.kernels.numba_memory import at
from snnconv.kernels.stream_jobs import JOB, KINDS

_SUBTRACT, _ZERO, _CORRECTIVE, _GRADED, _IMBALANCED = map(
    KINDS.index, ("subtract", "zero", "corrective", "graded", "imbalanced")
)


@njit(error_model="numpy")
def _integrate_and_fire(added: Any, bound: Any, payload: Any, zero: Any, potential: Any, fired: Any) -> None:
    for i in range(len(added)):
        reached = potential[i] + added[i]
        sent = payload if reached >= bound else zero
        potential[i] = reached - sent
        fired[i] = sent


@njit(error_model="numpy")
def _fire(potential: Any, bound: Any, payload: Any, zero: Any, fired: Any) -> None:
    for i in range(len(potential)):
        fired[i] = payload if potential[i] >= bound else zero


@njit(error_model="numpy")
def _burst(potential: Any, memory: Any, rule: Any, one: Any, zero: Any, fired: Any) -> None:
    threshold, gain, largest, share = rule
    for i in range(len(potential)):
        own = memory[i]
        payload = (one if potential[i] >= own * share else zero) * own
        grown = own * gain
        grown = grown if grown <= largest else largest
        fired[i] = payload
        memory[i] = threshold if payload == zero else grown


@njit(error_model="numpy")
def _advance(pointer: Any, real: Any) -> None:
    job = carray(pointer, 1)[0]
    size, width, steps, kind = job.size, job.width, job.steps, job.kind
    whole = job.samples * size
    current = carray(at(job.current, real), whole if job.still else whole * steps)
    payloads, constants = carray(at(job.payloads, real), whole * steps), carray(at(job.constants, real), 3 * job.period)
    potentials, emitted = carray(at(job.potential, real), whole), carray(at(job.emitted, real), whole)
    memory, negative_memory = carray(at(job.memory, real), whole), carray(at(job.negative_memory, real), whole)
    fixed = carray(at(job.fixed, real), 2 * steps)
    zero, one, minus = real(0.0), real(1.0), real(-job.charge)
    rule = (real(job.threshold), real(job.gain), real(job.largest), real(job.share))
    offset, charge, sent = real(job.offset), real(job.charge), real(job.sent)
    fired_room, mirrored_room, negative_room = np.empty(BLOCK, real), np.empty(BLOCK, real), np.empty(BLOCK, real)
    for _, row, first, length in blocks_of(pointer, job):
        start = row * width + first
        fired, mirrored, negative = fired_room[:length], mirrored_room[:length], negative_room[:length]
        if job.sums:
            sums = carray(at(job.sums, real), size)[start : start + length]
            sums[:] = zero
        for sample in range(job.samples):
            place = sample * size + start
            potential = potentials[place : place + length]
            for step in range(steps):
                later = place + step * whole
                heard = place if job.still else later
                added = mirrored
                potentials_of(current[heard : heard + length], constants, job, row, first, added)
                payload, bound = zero, zero
                if not job.growing:
                    payload, bound = fixed[step], fixed[steps + step]
                if kind == _SUBTRACT and not job.growing:
                    _integrate_and_fire(added, bound, payload, zero, potential, fired)
                else:
                    for i in range(length):
                        potential[i] += added[i]
                    if job.growing:
                        _burst(potential, memory[place : place + length], rule, one, zero, fired)
                    else:
                        _fire(potential, bound, payload, zero, fired)
                if kind == _ZERO:
                    for i in range(length):
                        potential[i] = potential[i] if fired[i] == zero else zero
                elif kind == _SUBTRACT and job.growing:
                    for i in range(length):
                        potential[i] -= fired[i]
                elif kind >= _CORRECTIVE:
                    if kind == _CORRECTIVE:
                        for i in range(length):
                            mirrored[i] = offset - potential[i]
                    else:
                        for i in range(length):
                            mirrored[i] = potential[i] / minus
                    if job.growing:
                        _burst(mirrored, negative_memory[place : place + length], rule, one, zero, negative)
                    else:
                        _fire(mirrored, bound, payload, zero, negative)
                    if kind == _CORRECTIVE:
                        balance = emitted[place : place + length]
                        for i in range(length):
                            net = fired[i] - min(negative[i], balance[i])
                            potential[i] -= net
                            balance[i] += net
                            fired[i] = net
                    elif kind == _GRADED:
                        balance = emitted[place : place + length]
                        for i in range(length):
                            potential[i] = potential[i] - fired[i] + negative[i] * charge
                            moved, before = fired[i] - negative[i], balance[i]
                            after = before + moved
                            above = (after if after > zero else zero) - (before if before > zero else zero)
                            balance[i] = after
                            fired[i] = above + (moved - above) * sent
                    elif kind == _IMBALANCED:
                        for i in range(length):
                            potential[i] = potential[i] - fired[i] + negative[i] * charge
                            fired[i] -= negative[i] * sent
                if job.sums:
                    for i in range(length):
                        sums[i] += one if fired[i] != zero else zero
                if job.scaled:
                    scale_into(fired, constants, job, row, first, payloads[later : later + length])
                else:
                    payloads[later : later + length] = fired


def _single(job: Any) -> None:
    _advance(job, np.float32)


def _double(job: Any) -> None:
    _advance(job, np.float64)


KERNELS = {torch.float32: (_single, JOB), torch.float64: (_double, JOB)}
