"""Windows of neurons with tables on a CPU, compiled by numba: a threshold is compared with all potentials of a block.

It is the arithmetic of ``neurons.TableLookup``, block by block as in ``settled_windows_numba``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray, njit

from snnconv.kernels.layouts import BLOCK
from snnconv.kernels.numba_blocks import add_totals, blocks_of, look_up, potentials_of, scale_into
from snnconv.kernels.numba_memory import at
from snnconv.kernels.window_jobs import JOB, TALLY_BITS


@njit(error_model="numpy")
def _raise_and_place(job: Any, constants: Any, row: int, first: int, raised: Any, base: Any) -> None:
    """Add the slack of thresholds to potentials, and find where the tables of their channels begin."""
    slacks, places, length, integer = 3 * job.period, 4 * job.period, len(raised), base.dtype.type
    if job.along:
        slack = constants[slacks + first : slacks + first + length]
        place = constants[places + first : places + first + length]
        for i in range(length):
            raised[i] += slack[i]
            base[i] = integer(place[i])
    else:
        own, own_place = constants[slacks + row % job.period], integer(constants[places + row % job.period])
        for i in range(length):
            raised[i] += own
            base[i] = own_place


@njit(error_model="numpy")
def _compare(job: Any, rising: Any, row: int, first: int, raised: Any, reached: Any) -> None:
    """How many thresholds of its channel each potential reaches: one after the other, for all potentials."""
    length, period = len(raised), job.period
    one, zero = reached.dtype.type(1), reached.dtype.type(0)
    reached[:] = zero
    for cell in range(job.cells):
        if job.along:
            threshold = rising[cell * period + first : cell * period + first + length]
            for i in range(length):
                reached[i] += zero if threshold[i] > raised[i] else one
        else:
            own = rising[cell * period + row % period]
            for i in range(length):
                reached[i] += zero if own > raised[i] else one


@njit(error_model="numpy")
def _tally(job: Any, reached: Any, level: Any, slope: Any, tally: Any) -> None:
    """Spikes of neurons, and their updates above them: a step until the last spike, or all where more may follow."""
    integer, real = tally.dtype.type, level.dtype.type
    raised, one, none, zero = integer(1 << TALLY_BITS), integer(1), integer(0), real(0.0)
    steps, cells, most = integer(job.steps), integer(job.cells), real(job.steps + 1)
    if job.levels:
        for i in range(len(tally)):
            second = level[i] > zero and slope[i] != zero
            updates = min(integer(most - level[i]), steps) if second else steps
            tally[i] = updates * raised + (one if reached[i] > none else none) + (one if second else none)
    else:
        for i in range(len(tally)):
            updates = min(integer(cells + one - reached[i]), steps)
            tally[i] = updates * raised + (one if reached[i] > none else none)


@njit(error_model="numpy")
def _settle(pointer: Any, real: Any, integer: Any) -> None:
    job = carray(pointer, 1)[0]
    size, width, whole, entries = job.size, job.width, job.samples * job.size, job.trains
    current, decoded = carray(at(job.current, real), whole), carray(at(job.decoded, real), whole)
    constants = carray(at(job.constants, real), (5 + job.cells) * job.period)
    rising, payloads = constants[5 * job.period :], carray(at(job.values, real), entries)
    origins, rates = carray(at(job.origins, real), entries), carray(at(job.rates, real), entries)
    slopes = carray(at(job.slopes, real), entries)
    zero, most, low = real(0.0), real(job.levels), integer((1 << TALLY_BITS) - 1)
    raised, found, level = np.empty(BLOCK, real), np.empty(BLOCK, real), np.empty(BLOCK, real)
    origin, rate, slope = np.empty(BLOCK, real), np.empty(BLOCK, real), np.empty(BLOCK, real)
    tally, tallied = np.empty(BLOCK, integer), np.zeros(BLOCK, integer)
    base, reached, entry = np.empty(BLOCK, integer), np.empty(BLOCK, integer), np.empty(BLOCK, integer)
    counted, columns = job.totals != 0 or job.spikes_found != 0, 2 + job.kinds
    for part, row, first, length in blocks_of(pointer, job):
        start = row * width + first
        totals = carray(at(job.totals, np.int64), job.parts * columns)[part * columns : (part + 1) * columns]
        for sample in range(job.samples):
            place = sample * size + start
            potentials_of(current[place : place + length], constants, job, row, first, raised)
            _raise_and_place(job, constants, row, first, raised[:length], base)
            _compare(job, rising, row, first, raised[:length], reached[:length])
            for i in range(length):
                entry[i] = base[i] + reached[i]
            look_up(payloads, entry, found[:length])
            if job.levels:
                look_up(origins, entry, origin[:length])
                look_up(rates, entry, rate[:length])
                look_up(slopes, entry, slope[:length])
                for i in range(length):
                    here = np.floor((raised[i] - origin[i]) * rate[i])
                    here = zero if here < zero else here
                    level[i] = most if here > most else here
                for i in range(length):
                    found[i] += level[i] * slope[i]
            scale_into(found, constants, job, row, first, decoded[place : place + length])
            if job.found:
                carray(at(job.found, real), whole)[place : place + length] = found[:length]
            if counted:
                _tally(job, reached[:length], level, slope, tally[:length])
            if job.spikes_found:
                spikes = carray(at(job.spikes_found, real), whole)[place : place + length]
                for i in range(length):
                    spikes[i] = real(tally[i] & low)
            if job.updates_found:
                updates = carray(at(job.updates_found, real), whole)[place : place + length]
                for i in range(length):
                    updates[i] = real(tally[i] >> TALLY_BITS)
            if job.totals:
                for i in range(length):
                    tallied[i] += tally[i]
                if sample % job.most_samples == job.most_samples - 1:
                    add_totals(tallied[:length], job, start, totals)
        if job.totals:
            add_totals(tallied[:length], job, start, totals)


def _single(job: Any) -> None:
    _settle(job, np.float32, np.int32)


def _double(job: Any) -> None:
    _settle(job, np.float64, np.int64)


KERNELS = {torch.float32: (_single, JOB), torch.float64: (_double, JOB)}
