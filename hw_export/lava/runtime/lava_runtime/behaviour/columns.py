"""Convolution as matrix products over columns of what every target sees (im2col)."""

from __future__ import annotations

import numpy as np

Pair = tuple[int, ...]

#: Elements of the matrix of one product: more would leave the processor's caches.
_CHUNK = 1 << 20


class Columns:
    """One convolution in Lava's order: maps are width, height, channels; the kernel is flipped."""

    def __init__(
        self, weight: np.ndarray, stride: Pair, padding: Pair, dilation: Pair, groups: int, shape: tuple[int, ...]
    ) -> None:
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups, self.shape = groups, shape
        kernel = weight[:, ::-1, ::-1, :]
        self.kernel = kernel.shape[1:3]
        self.reach = float(np.abs(weight).reshape(len(weight), -1).sum(1, dtype=np.float64).max())
        #: No sum of the last call was larger.
        self.largest_sum = 0.0
        self.depthwise = weight.shape[3] == 1 and len(weight) == groups
        self.matrices: dict[type, np.ndarray] = {}
        if self.depthwise:
            self.matrix = kernel[:, :, :, 0].transpose(1, 2, 0)
        else:
            self.matrix = kernel.reshape(groups, len(weight) // groups, -1).transpose(0, 2, 1)

    def convolve(self, payload: np.ndarray, integers: bool) -> np.ndarray:
        """What arrives at every target, in the precision in which it is exact."""
        self.largest_sum = self.reach * (1.0 if payload.dtype == bool else float(np.abs(payload).max()))
        kind: type = np.float32 if integers and self.largest_sum < 1 << 24 else np.float64
        if kind not in self.matrices:
            self.matrices[kind] = np.ascontiguousarray(self.matrix, kind)
        values: np.ndarray = payload.astype(kind)
        if any(self.padding):
            values = np.pad(values, ((self.padding[0],) * 2, (self.padding[1],) * 2, (0, 0)))
        weights = self.matrices[kind]
        return self._each_channel(values, weights) if self.depthwise else self._all_channels(values, weights)

    def _each_channel(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        result = np.zeros(self.shape, values.dtype)
        (across, down), (width, height) = self.stride, self.shape[:2]
        for column in range(self.kernel[0]):
            for row in range(self.kernel[1]):
                x, y = column * self.dilation[0], row * self.dilation[1]
                part = values[x : x + across * (width - 1) + 1 : across, y : y + down * (height - 1) + 1 : down]
                result += part * weights[column, row]
        return result

    def _all_channels(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        width, height, targets = self.shape
        own, sources = targets // self.groups, values.shape[2] // self.groups
        result = np.empty(self.shape, values.dtype)
        step = max(1, _CHUNK // max(1, height * weights.shape[1]))
        by_x, by_y, by_channel = values.strides
        strides = (
            by_x * self.stride[0],
            by_y * self.stride[1],
            by_x * self.dilation[0],
            by_y * self.dilation[1],
            by_channel,
        )
        for group in range(self.groups):
            seen = np.lib.stride_tricks.as_strided(
                values[:, :, group * sources :], (width, height, *self.kernel, sources), strides, writeable=False
            )
            for x in range(0, width, step):
                part = seen[x : x + step]
                product = part.reshape(len(part) * height, -1) @ weights[group]
                result[x : x + step, :, group * own : (group + 1) * own] = product.reshape(len(part), height, own)
        return result
