"""Settled windows on a CPU, compiled by numba: one pass over memory, whatever is counted on the way.

A map is cut into rows, along which the constants of channels repeat, and rows into blocks that stay in the nearest
cache. A block of all samples is settled one after the other, so that what is tallied of them stays there, too.
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
def _settle(pointer: Any, real: Any, integer: Any, sign: Any) -> None:
    job = carray(pointer, 1)[0]
    size, width, whole = job.size, job.width, job.samples * job.size
    current, decoded = carray(at(job.current, real), whole), carray(at(job.decoded, real), whole)
    constants = carray(at(job.constants, real), 3 * job.period)
    carry, values = carray(at(job.carry, integer), job.cells), carray(at(job.values, real), job.trains)
    following = carray(at(job.following, integer), job.trains)
    spikes, updates = carray(at(job.spikes, real), job.trains), carray(at(job.updates, real), job.trains)
    tallies, columns = carray(at(job.tallies, integer), job.trains), 2 + job.kinds
    bits, low = integer(job.cell_bits), integer((1 << job.cell_bits) - 1)
    below, last = integer(job.lowest_cell - 1), integer(job.cells - 1)
    zero, one, spikes_alone = integer(0), integer(1), integer((1 << TALLY_BITS) - 1)
    seen, sent = real(job.seen), real(job.sent)
    potentials, sizes = np.empty(BLOCK, real), np.empty(BLOCK, real)
    found, trains = np.empty(BLOCK, real), np.empty(BLOCK, integer)
    tally, tallied = np.empty(BLOCK, integer), np.zeros(BLOCK, integer)
    pairs, both = carray(at(job.pairs, np.int64), job.trains), np.empty(BLOCK, np.int64)
    tallying, halves = job.totals != 0, both.view(integer)
    of, found_bits = potentials.view(integer), found.view(integer)
    coded = sizes.view(integer) if job.signed else of
    for part, row, first, length in blocks_of(pointer, job):
        start = row * width + first
        totals = carray(at(job.totals, np.int64), job.parts * columns)[part * columns : (part + 1) * columns]
        for sample in range(job.samples):
            place = sample * size + start
            potentials_of(current[place : place + length], constants, job, row, first, potentials)
            if job.signed:
                for i in range(length):
                    v = potentials[i]
                    sizes[i] = abs(v if v > 0 else v * seen)
            for i in range(length):
                trains[i] = min(max(integer((coded[i] >> bits) - below), zero), last)
            look_up(carry, trains, trains[:length])
            for i in range(length):
                trains[i] = integer((coded[i] & low) + trains[i]) >> bits
            for _ in range(job.corrections):
                for i in range(length):
                    trains[i] += one if max(coded[i], zero) >= following[np.uint64(trains[i])] else zero
            if tallying and job.pairs:
                look_up(pairs, trains, both[:length])
                for i in range(length):
                    found_bits[i] = halves[2 * i]
                    tally[i] = halves[2 * i + 1]
            else:
                look_up(values, trains, found[:length])
                if tallying:
                    look_up(tallies, trains, tally[:length])
            if job.signed:
                for i in range(length):
                    found_bits[i] |= of[i] & sign
                for i in range(length):
                    v = found[i]
                    found[i] = v if v > 0 else v * sent
            scale_into(found, constants, job, row, first, decoded[place : place + length])
            if job.found:
                carray(at(job.found, real), whole)[place : place + length] = found[:length]
            if job.spikes_found:
                sent_spikes = carray(at(job.spikes_found, real), whole)[place : place + length]
                if tallying:  # which holds them already
                    for i in range(length):
                        sent_spikes[i] = real(tally[i] & spikes_alone)
                else:
                    look_up(spikes, trains, sent_spikes)
            if job.updates_found:
                look_up(updates, trains, carray(at(job.updates_found, real), whole)[place : place + length])
            if tallying:
                for i in range(length):
                    tallied[i] += tally[i]
                if sample % job.most_samples == job.most_samples - 1:
                    add_totals(tallied[:length], job, start, totals)
        if tallying:
            add_totals(tallied[:length], job, start, totals)


def _single(job: Any) -> None:
    _settle(job, np.float32, np.int32, np.int32(-(2**31)))


def _double(job: Any) -> None:
    _settle(job, np.float64, np.int64, np.int64(-(2**63)))


KERNELS = {torch.float32: (_single, JOB), torch.float64: (_double, JOB)}
