"""From a function that is known to be linear to the map a machine can hold, by sending events through it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from hw_export.explicit.maps import Array, ConvolutionMap, DenseMap, LinearMap, Shape, SparseMap, plane
from snnconv.errors import ConfigurationError

#: Currents ``[N, *target_shape]`` that events ``[N, *source_shape]`` cause, in double precision.
Respond = Callable[[Tensor], Tensor]

#: Elements of a matrix above which it is not probed; seconds to minutes on one core.
MATRIX_LIMIT = 2**30
#: Elements of the responses that are held at once.
_AT_ONCE = 2**23
#: Share of non-zeros from which on a matrix is stored dense.
_DENSE = 0.25
_TOLERANCE = 1e-9


def linear_map(
    respond: Respond, source_shape: Shape, target_shape: Shape, between: str, written: Array | None = None
) -> LinearMap:
    """The map of ``respond``: ``written`` or a convolution where one gives the same currents, else a matrix.

    ``written`` is a matrix, ``[target neurons, source neurons]``, that it may be. Raises ``ConfigurationError`` naming
    ``between`` if it is none of these and too large to be probed.
    """
    if written is not None and target_shape:
        read = _stored(written, source_shape, target_shape)
        if _agrees(read, respond):
            return read
    if len(source_shape) == len(target_shape) == 2 and source_shape[1] > 1:
        ends = plane(source_shape), plane(target_shape)
        found = _as_convolution(lambda events: respond(events[:, :, 0]).unsqueeze(2), *ends)
        if found is not None:
            return replace(found, source_shape=source_shape, target_shape=target_shape)
    if len(source_shape) == len(target_shape) == 3 and math.prod(source_shape[1:]) > 1:
        nothing = SparseMap(
            source_shape, target_shape, sparse.csr_array((math.prod(target_shape), math.prod(source_shape)))
        )
        if _agrees(nothing, respond):
            return nothing
        found = _as_convolution(respond, source_shape, target_shape)
        if found is not None:
            return found
    return _matrix(respond, source_shape, target_shape, between)


def _as_convolution(respond: Respond, source_shape: Shape, target_shape: Shape) -> ConvolutionMap | None:
    """The convolution between two maps ``[C, H, W]`` that gives the currents of ``respond``; none if there is none."""
    strides = (_strides(before, after) for before, after in zip(source_shape[1:], target_shape[1:], strict=True))
    for everywhere, stride in itertools.product((False, True), itertools.product(*strides)):
        found = _convolution(respond, source_shape, target_shape, stride, everywhere)
        if found is not None and _agrees(found, respond):
            return found
    return None


def _agrees(found: LinearMap, respond: Respond) -> bool:
    generator = torch.Generator().manual_seed(0)
    events = torch.randn(2, *found.source_shape, generator=generator, dtype=torch.float64)
    wanted = respond(events).numpy()
    wrong = np.abs(found.apply(events.numpy()) - wanted).reshape(2, len(wanted[0]), -1).max((0, 2), initial=0.0)
    largest = np.abs(wanted).reshape(2, len(wanted[0]), -1).max((0, 2), initial=0.0)
    return bool((wrong <= _TOLERANCE * largest).all())  # channel by channel, since their scales may differ by far


def _strides(before: int, after: int) -> list[int]:
    """Strides of a convolution from ``before`` positions to ``after``, the likelier first."""
    if after == 1:
        return [1]
    floor = before // after
    return sorted({floor, -(-before // after), floor - 1} - {0, -1}, key=lambda stride: abs(stride * after - before))


def _convolution(
    respond: Respond, source_shape: Shape, target_shape: Shape, stride: Sequence[int], everywhere: bool
) -> ConvolutionMap | None:
    """The only convolution of this stride that it could be: what events around the centre of each channel cause.

    A kernel that is large for its map shows all of its taps only if events are sent at both ends as well.
    """
    channels, *size = source_shape
    outputs, *answered = target_shape
    # Every residue of the stride meets other taps of the kernel; what output y makes of input r is tap r - stride * y.
    taps: dict[tuple[int, int], Array] = {}
    axes = (_positions(*each, everywhere) for each in zip(size, stride, strict=True))
    for row, column in itertools.product(*axes):
        answer = _unit_answers(respond, source_shape, row, column)
        for y, x in np.argwhere(answer.any((0, 1))):
            taps[row - stride[0] * int(y), column - stride[1] * int(x)] = answer[:, :, y, x].T
    if not taps:
        return None
    along = [_taps_along({tap[axis] for tap in taps}, size[axis], answered[axis], stride[axis]) for axis in (0, 1)]
    if along[0] is None or along[1] is None:
        return None
    (top, rows, vertical), (left, columns, horizontal) = along[0], along[1]
    weight = np.zeros((outputs, channels, rows, columns))
    for (row, column), values in taps.items():
        weight[:, :, (row + top) // vertical, (column + left) // horizontal] = values
    weight, groups = _grouped(weight)
    padding, dilation = (top, left), (vertical, horizontal)
    return ConvolutionMap(source_shape, target_shape, weight, (stride[0], stride[1]), padding, dilation, groups)


def _positions(before: int, stride: int, everywhere: bool) -> list[int]:
    """Neighbouring positions, as many as the stride, in the middle of an axis; at both ends too if ``everywhere``."""
    last = max(before - stride, 0)
    blocks = {last // 2} | ({0, last} if everywhere else set())
    return sorted({min(block + step, before - 1) for block in blocks for step in range(stride)})


def _unit_answers(respond: Respond, source_shape: Shape, row: int, column: int) -> Array:
    """Answers ``[channels, outputs, height, width]`` to one event in each channel at one place."""
    channels = source_shape[0]
    width = max(1, _AT_ONCE // math.prod(source_shape))
    answers = []
    for start in range(0, channels, width):
        chosen = torch.arange(start, min(start + width, channels))
        events = torch.zeros(len(chosen), *source_shape, dtype=torch.float64)
        events[torch.arange(len(chosen)), chosen, row, column] = 1.0
        answers.append(respond(events).numpy())
    return np.concatenate(answers)


def _taps_along(offsets: set[int], before: int, after: int, stride: int) -> tuple[int, int, int] | None:
    """Padding, kernel size and dilation along one axis for taps at ``offsets``, such that the output size is right."""
    low, high = min({*offsets, 0}), max(offsets)
    while (found := (before - low - high - 1) // stride + 1) != after:
        # A tap of zeros: in front it makes the padding of both sides larger, behind it makes the kernel longer.
        low, high = (low - 1, high) if found < after else (low, high + 1)
        if high - low > 2 * before:
            return None
    dilation = math.gcd(*(offset - low for offset in (*offsets, high))) or 1
    return -low, (high - low) // dilation + 1, dilation


def _grouped(weight: Array) -> tuple[Array, int]:
    """``weight [O, I, h, w]`` as a grouped kernel with as many groups as its zeros allow."""
    outputs, inputs = weight.shape[:2]
    used = weight.any((2, 3))
    for groups in range(math.gcd(outputs, inputs), 1, -1):
        if outputs % groups or inputs % groups:
            continue
        blocks = used.reshape(groups, outputs // groups, groups, inputs // groups).any((1, 3))
        if not (blocks & ~np.eye(groups, dtype=bool)).any():
            kernels = weight.reshape(groups, outputs // groups, groups, inputs // groups, *weight.shape[2:])
            return np.concatenate([kernels[group, :, group] for group in range(groups)]), groups
    return weight, 1


def _matrix(respond: Respond, source_shape: Shape, target_shape: Shape, between: str) -> LinearMap:
    sources, targets = math.prod(source_shape), math.prod(target_shape)
    if sources * targets > MATRIX_LIMIT:
        raise ConfigurationError(
            f"the map {between} is neither a convolution nor small enough to be written as a matrix: "
            f"{sources} x {targets} neurons; put a convolution or an activation between them"
        )
    width = max(1, _AT_ONCE // max(sources, targets))
    rows = []
    for start in range(0, sources, width):
        chosen = torch.arange(start, min(start + width, sources))
        events = torch.zeros(len(chosen), sources, dtype=torch.float64)
        events[torch.arange(len(chosen)), chosen] = 1.0
        answers = respond(events.view(-1, *source_shape)).reshape(len(chosen), targets)
        rows.append(sparse.csr_array(answers.numpy()))
    return _stored(sparse.csr_array(sparse.vstack(rows).T), source_shape, target_shape)


def _stored(matrix: Any, source_shape: Shape, target_shape: Shape) -> LinearMap:
    """The map of ``matrix``, an array or a sparse one, dense where many of its elements are not zero."""
    dense = isinstance(matrix, np.ndarray)
    nonzeros = np.count_nonzero(matrix) if dense else matrix.nnz
    if nonzeros > _DENSE * math.prod(matrix.shape):
        return DenseMap(source_shape, target_shape, matrix if dense else matrix.toarray())
    return SparseMap(source_shape, target_shape, sparse.csr_array(matrix))
