"""Connections in C: what a spike adds to its targets, along kernels, rows of weights and compressed rows."""

from __future__ import annotations

from string import Template

import numpy as np
from scipy import sparse

from hw_export.c.draft import Draft
from hw_export.explicit.maps import Array, ConvolutionMap, DenseMap, LinearMap, SparseMap, plane
from hw_export.explicit.network import Connection

_CONVOLUTION = Template("""\
static void $function($state *state, int32_t place, int32_t channel, int32_t payload)
{
    const $narrow amount = ($narrow)payload;
    const int32_t row = place / $width + $top;
    const int32_t column = place % $width + $left;
    for (int32_t tap_row = 0; tap_row < $kernel_height; ++tap_row) {
        const int32_t down = row - tap_row * $vertical;
        if (down < 0$whole_row || down / $stride_down >= $target_height) {
            continue;
        }
        for (int32_t tap_column = 0; tap_column < $kernel_width; ++tap_column) {
            const int32_t right = column - tap_column * $horizontal;
            if (right < 0$whole_column || right / $stride_right >= $target_width) {
                continue;
            }
            const int32_t tap = ((channel * $kernel_height + tap_row) * $kernel_width + tap_column) * $outputs;
            const int32_t reached = down / $stride_down * $target_width + right / $stride_right;
            const int32_t first = reached * $target_channels$group;
            for (int32_t output = 0; output < $outputs; ++output) {
                $target[first + output] += $weight[tap + output] * (int32_t)amount$close;
            }
        }
    }
}
""")

_DENSE = Template("""\
static void $function($state *state, int32_t place, int32_t channel, int32_t payload)
{
    const $narrow amount = ($narrow)payload;
    const int32_t row = (place * $channels + channel) * $outputs;
    for (int32_t output = 0; output < $outputs; ++output) {
        $target[output] += $weight[row + output] * (int32_t)amount$close;
    }
}
""")

_SPARSE = Template("""\
static void $function($state *state, int32_t place, int32_t channel, int32_t payload)
{
    const $narrow amount = ($narrow)payload;
    const int32_t source = place * $channels + channel;
    const int32_t first = (int32_t)$pointers[source];
    const int32_t count = (int32_t)$pointers[source + 1] - first;
    for (int32_t entry = 0; entry < $longest; ++entry) {
        if (entry >= count) {
            break;
        }
        const int32_t output = (int32_t)$indices[first + entry];
        $target[output] += $weight[first + entry] * (int32_t)amount$close;
    }
}
""")


def connect(draft: Draft, connection: Connection, position: int, target: str, type: str) -> str:
    """The function that adds a payload of the connection's source to ``target``, an array of the state of ``type``."""
    source, sites = draft.sites[connection.source], draft.sites[connection.target]
    what, one = f"{position}", connection.map
    plain = type == "int32_t"
    bounds = draft.payloads[connection.source]
    narrow = "int16_t" if bounds.smallest >= -(2**15) and bounds.largest < 2**15 else "int32_t"
    common = {"target": target, "close": "" if plain else ")", "narrow": narrow}

    def weights(values: Array) -> str:
        cast = "(int32_t)" if plain else f"({type})((int32_t)"
        return cast + draft.table(connection.target, f"weights_{what}", values)

    if isinstance(one, ConvolutionMap):
        outputs, inputs = len(one.weight) // one.groups, one.weight.shape[1]
        split = one.weight.reshape(one.groups, outputs, *one.weight.shape[1:])
        (down, right), (vertical, horizontal) = one.stride, one.dilation
        return draft.function(
            connection.source,
            f"connect_{what}",
            _CONVOLUTION,
            **common,
            weight=weights(split.transpose(0, 2, 3, 4, 1)),
            width=source.width,
            top=one.padding[0],
            left=one.padding[1],
            kernel_height=one.weight.shape[2],
            kernel_width=one.weight.shape[3],
            vertical=vertical,
            horizontal=horizontal,
            stride_down=down,
            stride_right=right,
            whole_row="" if down == 1 else f" || down % {down} != 0",
            whole_column="" if right == 1 else f" || right % {right} != 0",
            target_height=sites.height,
            target_width=sites.width,
            target_channels=sites.channels,
            outputs=outputs,
            group="" if one.groups == 1 else f" + channel / {inputs} * {outputs}",
        )
    if isinstance(one, DenseMap):
        rows = source.laid_out(sites.laid_out(one.weight.T).T).T
        return draft.function(
            connection.source,
            f"connect_{what}",
            _DENSE,
            **common,
            weight=weights(rows),
            channels=source.channels,
            outputs=sites.neurons,
        )
    assert isinstance(one, SparseMap)
    matrix = _by_source(one, draft, connection)
    return draft.function(
        connection.source,
        f"connect_{what}",
        _SPARSE,
        **common,
        weight=weights(matrix.data.astype(np.int64)),
        pointers=draft.table(connection.target, f"pointers_{what}", matrix.indptr),
        indices=draft.table(connection.target, f"indices_{what}", matrix.indices),
        channels=source.channels,
        longest=int(np.diff(matrix.indptr).max()),
    )


def _by_source(one: SparseMap, draft: Draft, connection: Connection) -> sparse.csr_array:
    """The matrix with a row for each neuron of the source, rows and columns as neurons lie in memory."""
    orders = (draft.sites[node] for node in (connection.source, connection.target))
    rows, columns = (each.laid_out(np.arange(each.neurons)) for each in orders)
    matrix = sparse.csr_array(sparse.csr_array(one.matrix.T)[rows][:, columns])
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def is_silent(one: LinearMap) -> bool:
    """Whether no synapse of the map has a weight."""
    return not bool(np.any(one.weights))


def fan_out(one: LinearMap) -> Array:
    """Additions that a payload of each neuron of the source costs, in its shape."""
    if isinstance(one, DenseMap):
        return np.full(one.source_shape, len(one.weight))
    if isinstance(one, SparseMap):
        return np.asarray((one.matrix != 0).sum(0)).reshape(one.source_shape)
    assert isinstance(one, ConvolutionMap)
    along = [
        _taps(*numbers)
        for numbers in zip(
            plane(one.source_shape)[1:],
            plane(one.target_shape)[1:],
            one.weight.shape[2:],
            one.stride,
            one.padding,
            one.dilation,
            strict=True,
        )
    ]
    found = np.outer(*along) * (len(one.weight) // one.groups)
    return np.broadcast_to(found, plane(one.source_shape)).reshape(one.source_shape)


def _taps(before: int, after: int, kernel: int, stride: int, padding: int, dilation: int) -> Array:
    """Positions of a target's axis that each position of the source's reaches."""
    ends = np.arange(before)[:, None] + padding - dilation * np.arange(kernel)
    found: Array = ((ends >= 0) & (ends % stride == 0) & (ends // stride < after)).sum(1)
    return found
