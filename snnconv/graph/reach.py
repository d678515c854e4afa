"""Reach: which targets every neuron of a source reaches, as a union of products of sets, one set an axis.

A convolution, a pooling average, a slice or an upsampling connects an input to an output element where they match along
every axis by itself: channels, rows, columns. The targets of one neuron are then all combinations of the positions it
reaches along each axis, and small boolean matrices, one an axis, hold the targets of all neurons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

#: Products in one union, and elements in one boolean matrix, above which another method is needed.
PRODUCT_LIMIT = 8
MATRIX_LIMIT = 2**26
#: Elements above which a matrix of single connections is held sparse.
_DENSE_LIMIT = 2**20


class NotAProductError(Exception):
    """A relation between neurons that a few small matrices along single axes do not describe."""


@dataclass(frozen=True)
class Digit:
    """Positions reached along an axis, or along a factor of its length where a view has merged axes.

    ``rows`` is boolean, [length of the source along ``axis``, length here]. Where every neuron reaches the same
    positions, ``axis`` is ``None`` and ``rows`` [1, length here].
    """

    axis: int | None
    rows: Tensor

    def split(self, size: int) -> tuple[Digit, Digit]:
        """The quotient and the remainder of the position by ``size`` as digits of their own."""
        blocks = self.rows.reshape(len(self.rows), -1, size)
        quotient, remainder = blocks.any(2), blocks.any(1)
        if not torch.equal(blocks, quotient[:, :, None] & remainder[:, None, :]):
            raise NotAProductError
        return Digit(self.axis, quotient), Digit(self.axis, remainder)


Digits = tuple[Digit, ...]


@dataclass(frozen=True)
class ProductOfSets:
    """Sets of targets that are products: neuron i reaches all combinations of its positions along the axes.

    ``alive`` says for each axis of the source which positions reach anything, boolean ``[length]``. ``axes`` are the
    digits of each axis of the node, the most significant first; an axis of length 1 has none.
    """

    alive: tuple[Tensor, ...]
    axes: tuple[Digits, ...]

    def sizes(self) -> Tensor:
        """Number of targets of each neuron, in the shape of the source."""
        factors = [alive.double() for alive in self.alive]
        common = 1.0
        for digit in (digit for digits in self.axes for digit in digits):
            if digit.axis is None:
                common *= float(digit.rows.sum())
            else:
                factors[digit.axis] = factors[digit.axis] * digit.rows.sum(1)
        found = torch.tensor(common, dtype=torch.float64)
        for factor in factors:
            found = found.unsqueeze(-1) * factor
        return found

    def canonical(self) -> ProductOfSets | None:
        """The same sets with as few digits as possible, comparable digit by digit; ``None`` if all are empty."""
        alive = list(self.alive)
        axes: list[list[Digit]] = []
        for digits in self.axes:
            kept: list[Digit] = []
            for digit in digits:
                if digit.axis is not None:
                    live = digit.rows.any(1)
                    alive[digit.axis] = alive[digit.axis] & live
                    same = digit.rows[live]
                    if bool((same == same[:1]).all()):
                        digit = Digit(None, same[:1] if len(same) else digit.rows[:1])
                if not digit.rows.any():
                    return None
                if kept and kept[-1].axis == digit.axis:
                    digit = _merged([kept.pop(), digit])
                if digit.rows.shape[1] > 1:
                    kept.append(digit)
            axes.append(kept)
        if not all(bool(positions.any()) for positions in alive):
            return None
        masked = (
            tuple(d if d.axis is None else Digit(d.axis, d.rows & alive[d.axis][:, None]) for d in digits)
            for digits in axes
        )
        return ProductOfSets(tuple(alive), tuple(masked))

    def meet(self, other: ProductOfSets) -> ProductOfSets | None:
        """Targets in both; ``None`` if no neuron has any."""
        axes = []
        for one, two in zip(self.axes, other.axes, strict=True):
            marks = _marks(one) | _marks(two)
            pairs = list(zip(_cut(one, marks), _cut(two, marks), strict=True))
            if any(a.axis != b.axis and None not in (a.axis, b.axis) for a, b in pairs):
                raise NotAProductError
            axes.append(tuple(Digit(b.axis if a.axis is None else a.axis, a.rows & b.rows) for a, b in pairs))
        alive = tuple(one & two for one, two in zip(self.alive, other.alive, strict=True))
        return ProductOfSets(alive, tuple(axes)).canonical()

    def equals(self, other: ProductOfSets) -> bool:
        """Whether both hold the same sets, digit by digit."""
        return self._differing(other) == []

    def joined(self, other: ProductOfSets) -> ProductOfSets | None:
        """The union where it is a product because all but one digit agree, else ``None``."""
        differing = self._differing(other)
        if differing is None or len(differing) != 1:
            return None
        ((axis, place),) = differing
        one, two = self.axes[axis][place], other.axes[axis][place]
        digits = list(self.axes[axis])
        digits[place] = Digit(one.axis, one.rows | two.rows)
        return replace(self, axes=(*self.axes[:axis], tuple(digits), *self.axes[axis + 1 :])).canonical()

    def _differing(self, other: ProductOfSets) -> list[tuple[int, int]] | None:
        """Axis and place of every digit that is not the same; ``None`` where digits do not correspond."""
        found = []
        for axis, (one, two) in enumerate(zip(self.axes, other.axes, strict=True)):
            if [(d.axis, d.rows.shape) for d in one] != [(d.axis, d.rows.shape) for d in two]:
                return None
            pairs = enumerate(zip(one, two, strict=True))
            found += [(axis, place) for place, (a, b) in pairs if not torch.equal(a.rows, b.rows)]
        alike = all(torch.equal(one, two) for one, two in zip(self.alive, other.alive, strict=True))
        return found if alike else None

    def along(self, axis: int, matrix: Tensor) -> ProductOfSets | None:
        """Targets behind a map that connects positions of one axis: ``matrix`` is [length before, length after]."""
        digits = self.axes[axis]
        alive = list(self.alive)
        if matrix.layout is torch.strided and bool((matrix == matrix[:1]).all()):
            for digit in digits:  # all positions lead to the same, so it only matters that there is one
                if digit.axis is not None:
                    alive[digit.axis] = alive[digit.axis] & digit.rows.any(1)
            after = Digit(None, matrix[:1] > 0)
        elif len({digit.axis for digit in digits} - {None}) <= 1:
            before = _merged(digits)
            if len(before.rows) * max(matrix.shape) > MATRIX_LIMIT:
                raise NotAProductError
            after = Digit(before.axis, (matrix.float().t() @ before.rows.float().t()).t() > 0)
        else:
            raise NotAProductError
        return ProductOfSets(tuple(alive), (*self.axes[:axis], (after,), *self.axes[axis + 1 :])).canonical()

    def view(self, shape: Sequence[int]) -> ProductOfSets | None:
        """The targets under a new shape of the node, elements in the same order."""
        marks = {math.prod(shape[axis:]) for axis in range(len(shape))}
        digits = _cut([digit for digits in self.axes for digit in digits], marks)
        axes = []
        for length in shape:
            taken: list[Digit] = []
            while math.prod(digit.rows.shape[1] for digit in taken) < length:
                taken.append(digits.pop(0))
            axes.append(tuple(taken))
        return replace(self, axes=tuple(axes)).canonical()


def unit_vectors(length: int) -> Tensor:
    """Every position of an axis by itself, ``[length, length]``: what an operator makes of it says what it connects."""
    if length**2 > MATRIX_LIMIT:
        raise NotAProductError
    return torch.eye(length, dtype=torch.float32)


def connecting(positions: Tensor, length: int) -> Tensor:
    """Every entry of ``positions`` connected to its position on an axis of this length, [entries, length].

    Sparse, if it is large.
    """
    places = torch.stack([torch.arange(len(positions)), torch.remainder(positions.cpu(), length)])
    matrix = torch.sparse_coo_tensor(
        places, torch.ones(len(positions), dtype=torch.float32), (len(positions), length), check_invariants=False
    )
    return matrix if matrix.numel() > _DENSE_LIMIT else matrix.to_dense()


def _merged(digits: Sequence[Digit]) -> Digit:
    """One digit for several in a row, of which all that depend on the source depend on the same axis."""
    axis, rows = None, torch.ones(1, 1, dtype=torch.bool)
    for digit in digits:
        axis = digit.axis if axis is None else axis
        count = max(len(rows), len(digit.rows))
        if count * rows.shape[1] * digit.rows.shape[1] > MATRIX_LIMIT:
            raise NotAProductError
        rows = (rows[:, :, None] & digit.rows[:, None, :]).reshape(count, -1)
    return Digit(axis, rows)


def _marks(digits: Sequence[Digit]) -> set[int]:
    """What one step of each digit is worth in positions of the axis."""
    lengths = [digit.rows.shape[1] for digit in digits]
    return {math.prod(lengths[place:]) for place in range(len(lengths))}


def _cut(digits: Sequence[Digit], marks: set[int]) -> list[Digit]:
    """The same positions in digits that end at every one of ``marks``."""
    found: list[Digit] = []
    worth = 1
    for digit in reversed(digits):
        end = worth * digit.rows.shape[1]
        for mark in sorted(mark for mark in marks if worth < mark < end):
            if mark % worth or end % mark:
                raise NotAProductError
            digit, last = digit.split(mark // worth)
            found.append(last)
            worth = mark
        found.append(digit)
        worth = end
    return found[::-1]


@dataclass(frozen=True)
class Reach:
    """Elements of a node that every neuron of a source reaches: the union of ``products``.

    ``source`` and ``shape`` are the shapes of the source and the node, a batch axis of length 1 included. Every method
    raises ``NotAProductError`` where the result is no union of a few products.
    """

    source: tuple[int, ...]
    shape: tuple[int, ...]
    products: tuple[ProductOfSets, ...] = ()

    @staticmethod
    def identity(shape: tuple[int, ...]) -> Reach:
        """Every neuron of a source of this shape at its own place."""
        alive = tuple(torch.ones(length, dtype=torch.bool) for length in shape)
        digits = tuple((Digit(axis, unit_vectors(length) > 0),) for axis, length in enumerate(shape))
        return Reach(shape, shape)._with(shape, [ProductOfSets(alive, digits).canonical()])

    def along(self, axis: int, matrix: Tensor) -> Reach:
        """Behind a map that connects the positions of one axis: ``matrix`` [before, after] is not 0 where they are."""
        axis %= len(self.shape)
        shape = (*self.shape[:axis], matrix.shape[1], *self.shape[axis + 1 :])
        return self._with(shape, (product.along(axis, matrix) for product in self.products))

    def view(self, shape: Sequence[int]) -> Reach:
        """The same elements under a new shape."""
        return self._with(tuple(shape), (product.view(shape) for product in self.products))

    def permute(self, order: Sequence[int]) -> Reach:
        """The axes in another order."""
        permuted = (replace(product, axes=tuple(product.axes[axis] for axis in order)) for product in self.products)
        return self._with(tuple(self.shape[axis] for axis in order), permuted)

    def broadcast_to(self, shape: Sequence[int]) -> Reach:
        """Axes of length 1, and axes missing in front, repeated as often as ``shape`` says."""
        result = self.view((1,) * (len(shape) - len(self.shape)) + self.shape)
        for axis, (old, new) in enumerate(zip(result.shape, shape, strict=True)):
            if old != new:
                result = result.along(axis, torch.ones(1, new, dtype=torch.float32))
        return result

    def union(self, other: Reach) -> Reach:
        """Elements reached on either way, both broadcast to one shape."""
        shape = torch.broadcast_shapes(self.shape, other.shape)  # type: ignore[no-untyped-call]
        return self._with(shape, (*self.broadcast_to(shape).products, *other.broadcast_to(shape).products))

    def fan_out(self) -> Tensor:
        """Number of elements that each neuron reaches, in the shape of the source."""
        return _count(self.products, self.source)

    def _with(self, shape: tuple[int, ...], products: Iterable[ProductOfSets | None]) -> Reach:
        """The union of ``products`` without those that others contain."""
        kept: list[ProductOfSets] = []
        for product in products:
            place = 0
            while product is not None and place < len(kept):
                both = kept[place].meet(product)
                if both is not None and both.equals(product):
                    product = None
                    continue
                larger = product if both is not None and both.equals(kept[place]) else kept[place].joined(product)
                if larger is None:
                    place += 1
                else:  # may contain, or complete, one that was passed before
                    del kept[place]
                    product, place = larger, 0
            if product is not None:
                kept.append(product)
        if len(kept) > PRODUCT_LIMIT:
            raise NotAProductError
        return Reach(self.source, shape, tuple(kept))


def _count(products: Sequence[ProductOfSets], shape: tuple[int, ...]) -> Tensor:
    """Size of the union for each neuron: of every product, what is not in those before it."""
    found = torch.zeros(shape, dtype=torch.float64)
    for place, product in enumerate(products):
        shared = [both for one in products[:place] if (both := one.meet(product)) is not None]
        found += product.sizes() - (_count(shared, shape) if shared else 0)
    return found
