"""Linear maps between two populations as a machine holds them: a kernel, a matrix, or a sparse matrix."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]
Shape = tuple[int, ...]


def integer_units(values: Array, step: float, smallest: int, largest: int) -> Array:
    """``values`` divided by ``step``, rounded and clipped at both ends: an input as a machine takes it."""
    units = np.rint(np.asarray(values, dtype=np.float64) / step)
    return np.clip(units, smallest, largest).astype(np.int64)


def plane(shape: Shape) -> Shape:
    """``shape`` as channels, height and width where it has that or a line ``[C, L]``, which is as high as 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


class LinearMap(ABC):
    """A linear map from a source's values to a target's currents; shapes are those of one sample."""

    source_shape: Shape
    target_shape: Shape

    @property
    @abstractmethod
    def weights(self) -> Array:
        """All weights that are stored, in an array of any shape."""

    @abstractmethod
    def apply(self, values: Array) -> Array:
        """Currents ``[N, *target_shape]`` of ``values [N, *source_shape]``; exact for integers below 2^53."""

    @abstractmethod
    def by_target(self, reduce: Callable[[Array], Array]) -> Array:
        """``reduce`` of the weights that each channel (axis 0) of the target receives, ``[channels]``.

        ``reduce`` takes a matrix, the weights of one channel a row, and returns one number a row.
        """

    @abstractmethod
    def scaled(self, factors: Array) -> LinearMap:
        """The map with every weight multiplied by the factor of its target's channel, ``[channels]``."""

    @abstractmethod
    def mapped(self, function: Callable[[Array], Array]) -> LinearMap:
        """The map with ``function`` applied to its array of weights; zero must stay zero."""

    @property
    @abstractmethod
    def synapses(self) -> int:
        """Connections between two neurons, borders included."""


@dataclass(frozen=True)
class ConvolutionMap(LinearMap):
    """Cross-correlation with zero padding, as ``torch.nn.Conv2d``: ``weight`` is ``[O, I / groups, h, w]``.

    Its ends are maps ``[C, H, W]``, or both are lines ``[C, L]``, whose kernels are as high as 1.
    """

    source_shape: Shape
    target_shape: Shape
    weight: Array
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def weights(self) -> Array:
        return self.weight

    def apply(self, values: Array) -> Array:
        (above, left), (down, right), (vertical, horizontal) = self.padding, self.stride, self.dilation
        outputs, inputs, height, width = self.weight.shape
        maps = values.astype(np.float64).reshape(-1, *plane(self.source_shape))
        padded = np.pad(maps, ((0, 0), (0, 0), (above, above), (left, left)))
        reach = (vertical * (height - 1) + 1, horizontal * (width - 1) + 1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, reach, (2, 3))
        windows = windows[:, :, ::down, ::right, ::vertical, ::horizontal]
        found = np.empty((len(values), *plane(self.target_shape)))
        rows, columns = found.shape[2:]
        each = outputs // self.groups
        for group in range(self.groups):
            taken = windows[:, group * inputs : (group + 1) * inputs, :rows, :columns]
            weight = self.weight[group * each : (group + 1) * each].astype(np.float64)
            product = np.tensordot(taken, weight, axes=((1, 4, 5), (1, 2, 3)))
            found[:, group * each : (group + 1) * each] = product.transpose(0, 3, 1, 2)
        return found.reshape(-1, *self.target_shape)

    def by_target(self, reduce: Callable[[Array], Array]) -> Array:
        return reduce(self.weight.reshape(len(self.weight), -1))

    def scaled(self, factors: Array) -> LinearMap:
        return replace(self, weight=self.weight * factors[:, None, None, None])

    def mapped(self, function: Callable[[Array], Array]) -> LinearMap:
        return replace(self, weight=function(self.weight))

    @property
    def synapses(self) -> int:
        pattern = replace(self, weight=(self.weight != 0).astype(np.float64))
        return int(pattern.apply(np.ones((1, *self.source_shape))).sum())


@dataclass(frozen=True)
class DenseMap(LinearMap):
    """A matrix ``weight [target neurons, source neurons]``, both flattened in C order."""

    source_shape: Shape
    target_shape: Shape
    weight: Array

    @property
    def weights(self) -> Array:
        return self.weight

    def apply(self, values: Array) -> Array:
        flat = values.reshape(len(values), -1).astype(np.float64)
        return (flat @ self.weight.T.astype(np.float64, copy=False)).reshape(len(values), *self.target_shape)

    def by_target(self, reduce: Callable[[Array], Array]) -> Array:
        return reduce(self.weight.reshape(self.target_shape[0], -1))

    def scaled(self, factors: Array) -> LinearMap:
        return replace(self, weight=self.weight * _each_neuron(factors, self.target_shape)[:, None])

    def mapped(self, function: Callable[[Array], Array]) -> LinearMap:
        return replace(self, weight=function(self.weight))

    @property
    def synapses(self) -> int:
        return int(np.count_nonzero(self.weight))


@dataclass(frozen=True)
class SparseMap(LinearMap):
    """A sparse matrix ``matrix [target neurons, source neurons]`` in compressed rows, both flattened in C order."""

    source_shape: Shape
    target_shape: Shape
    matrix: Any  # scipy.sparse.csr_array

    @property
    def weights(self) -> Array:
        return np.asarray(self.matrix.data)

    def apply(self, values: Array) -> Array:
        flat = values.reshape(len(values), -1).astype(np.float64)
        product = self.matrix.astype(np.float64) @ flat.T
        return np.ascontiguousarray(product.T).reshape(len(values), *self.target_shape)

    def by_target(self, reduce: Callable[[Array], Array]) -> Array:
        channels, rows = self.target_shape[0], math.prod(self.target_shape[1:])
        pointers = self.matrix.indptr[::rows]
        pieces = [self.matrix.data[pointers[c] : pointers[c + 1]] for c in range(channels)]
        return np.array([reduce(np.append(piece, 0)[None])[0] for piece in pieces])

    def scaled(self, factors: Array) -> LinearMap:
        each = _each_neuron(factors, self.target_shape)
        return replace(self, matrix=sparse.csr_array(sparse.diags_array(each) @ self.matrix))

    def mapped(self, function: Callable[[Array], Array]) -> LinearMap:
        data = function(self.matrix.data)
        return replace(
            self, matrix=sparse.csr_array((data, self.matrix.indices, self.matrix.indptr), self.matrix.shape)
        )

    @property
    def synapses(self) -> int:
        return int(np.count_nonzero(self.matrix.data))


def _each_neuron(factors: Array, shape: Shape) -> Array:
    return np.repeat(factors, math.prod(shape[1:]))
