"""What every operator promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from snnconv.graph.graph import Node, Ref
from snnconv.graph.operators import OPERATORS, Operator, Role, Spread
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.base import carried
from snnconv.graph.operators.bilinear import BilinearOperator, operands
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.graph.reach import NotAProductError, Reach
from snnconv.surroundings import own_surroundings
from snnconv.testing.require import drawn, require, require_close

_AFFINE = (Role.LINEAR, Role.SELECTION)


@own_surroundings()
def check_operator(op: str, arguments: Mapping[str, Any], signals: Sequence[str]) -> Role:
    """Check that the operator ``op`` keeps what every operator promises, at one example of its arguments.

    Args:
        op: The name under which the operator is registered.
        arguments: All arguments by the names of its schema. Signals need a few elements only: an affine operator is
            compared with the dense matrix that its answers for single elements make.
        signals: Which of the arguments carry signals. Of a list of tensors the first one does.

    Returns:
        The role that the operator has at this example.

    Raises:
        AssertionError: A promise is broken; the text says which.
    """
    return _Example(op, arguments, signals).check()


class _Example:
    """An operator at one example; its first signal varies, in double precision, and all others are zero."""

    def __init__(self, op: str, arguments: Mapping[str, Any], signals: Sequence[str]) -> None:
        require(op in OPERATORS, f"no operator is registered as {op!r}")
        self.operator: Operator = OPERATORS[op]
        self.arguments = {key: _double(value) for key, value in arguments.items()}
        self.key, self.what = signals[0], f"{type(self.operator).__name__} ({op})"
        first = self.arguments[self.key]
        self.listed = isinstance(first, (list, tuple))
        self.signal: Tensor = first[0] if self.listed else first
        for key in signals[1:]:
            self.arguments[key] = torch.zeros_like(self.arguments[key])
        refs = {key: _refs(key, value) if key in signals else value for key, value in self.arguments.items()}
        self.result = self.operator.evaluate(self.arguments)
        shape = tuple(self.result.shape) if isinstance(self.result, Tensor) else None
        self.node = Node("node", op, refs, shape)
        self.carries = carried(self.node, set(signals))

    def given(self, signal: Any) -> dict[str, Any]:
        """The arguments with another first signal."""
        value = [signal, *self.arguments[self.key][1:]] if self.listed else signal
        return {**self.arguments, self.key: value}

    def evaluate(self, signal: Tensor) -> Tensor:
        return _flat(self.operator.evaluate(self.given(signal)))

    def homogeneous(self, signal: Tensor) -> Tensor:
        kept = self.operator.homogeneous(self.given(signal), self.carries)
        return _flat(self.operator.evaluate(kept))

    def paths(self, signal: Tensor) -> Tensor:
        return _flat(self.operator.paths(self.given(signal), self.carries))

    def check(self) -> Role:
        before = [leaf.clone() for leaf in tree_leaves(self.arguments) if isinstance(leaf, Tensor)]
        again = self.operator.evaluate(self.arguments)
        after = [leaf for leaf in tree_leaves(self.arguments) if isinstance(leaf, Tensor)]
        kept = all(torch.equal(one.to_dense(), two.to_dense()) for one, two in zip(before, after, strict=True))
        require(kept, f"{self.what}: evaluate must not change its arguments")
        require(torch.equal(_flat(again), _flat(self.result)), f"{self.what}: evaluate must give the same again")
        found = self.operator.classify(self.node, self.carries)
        if found.role in (Role.READOUT, Role.REFUSED):
            require(
                bool(found.reason and found.remedy), f"{self.what}: a refusal must say why and what the user can do"
            )
        if found.role is Role.POOL:
            self._check_maximum()
        if found.role is Role.ACTIVATION:
            self._check_activation()
        if found.role is Role.PRODUCT:
            self._check_product()
        if found.role in _AFFINE:
            self._check_affine()
            self._check_structure(found.role)
        return found.role

    def _check_maximum(self) -> None:
        maximum = isinstance(self.operator, MaximumOperator)
        require(maximum, f"{self.what}: what has the role of a pool must be a MaximumOperator")
        assert isinstance(self.operator, MaximumOperator)
        selected = self.operator.select(self.arguments, self.signal)
        require(torch.equal(selected, self.result), f"{self.what}: select must take the elements that evaluate finds")

    def _check_activation(self) -> None:
        assert isinstance(self.operator, ActivationOperator)
        try:
            activation = self.operator.activation(self.arguments)
        except TypeError:  # rewritten before populations are made
            return
        current = self.operator.current(self.arguments)
        require_close(activation(current), self.result, f"{self.what}: activation must be the same function")

    def _check_product(self) -> None:
        """f(a + c, b) = f(a, b) + f(c, b) in each operand, and so f(0, b) = 0."""
        shapes = {key: tuple(self.arguments[key].shape) for key in operands(self.node)}
        one, other = ({key: drawn(*shape, seed=seed) for key, shape in shapes.items()} for seed in (1, 2))
        for key in shapes:
            joint = _flat(self.operator.evaluate({**one, key: one[key] + other[key]}))
            apart = self.operator.evaluate(one) + self.operator.evaluate({**one, key: other[key]})
            require_close(joint, _flat(apart), f"{self.what}: of two signals it must be linear in each by itself")
        assert isinstance(self.operator, BilinearOperator)
        counts = {key: values.abs() for key, values in one.items()}
        largest = max(float(values.max()) for values in counts.values())
        total = self.operator.total({**self.arguments, **counts}, largest)
        whole = float(self.operator.evaluate({**self.arguments, **counts}).sum())
        require(total == whole, f"{self.what}: total must be the sum of what evaluate gives for whole numbers")

    def _check_affine(self) -> None:
        """f(a + b) = f(a) + f(b) - f(0), and f(x) = h(x) + f(0)."""
        shape = tuple(self.signal.shape)
        one, two, none = drawn(*shape, seed=1), drawn(*shape, seed=2), torch.zeros(shape, dtype=torch.float64)
        joint = self.evaluate(one) + self.evaluate(two) - self.evaluate(none)
        require_close(self.evaluate(one + two), joint, f"{self.what}: f(a + b) must be f(a) + f(b) - f(0)")
        offset = self.homogeneous(one) + self.evaluate(none)
        require_close(self.evaluate(one), offset, f"{self.what}: f(x) must be its homogeneous map plus f(0)")

    def _check_structure(self, role: Role) -> None:
        """Paths, spread and reach against the dense matrix, a row an element of the signal."""
        units = torch.eye(self.signal.numel(), dtype=torch.float64).view(-1, *self.signal.shape)
        matrix = torch.stack([self.homogeneous(unit) for unit in units])
        connected = matrix != 0
        paths = torch.stack([self.paths(unit) for unit in units])
        require(torch.equal(paths > 0, connected), f"{self.what}: paths must mark what each element contributes to")
        counted = self.paths(torch.ones_like(self.signal))
        require_close(counted, paths.sum(0), f"{self.what}: paths must add up over the elements of the signal")
        if role is Role.SELECTION:
            moved = bool((matrix[connected] == 1).all()) and int(connected.sum(0).max()) <= 1
            require(moved, f"{self.what}: a selection must move elements, and change or add none")
        self._check_spread(connected)
        self._check_macs(role, matrix)
        if isinstance(self.result, Tensor):
            self._check_axes(role, connected, self.result)
        try:
            empty = {key: Reach(tuple(self.signal.shape), tuple(self.arguments[key].shape)) for key in self._others()}
            reached = self.operator.reach({**self.given(Reach.identity(tuple(self.signal.shape))), **empty})
        except NotAProductError:
            return
        fan_out = sum(each.fan_out() for each in (reached if isinstance(reached, list) else [reached]))
        alike = torch.equal(torch.as_tensor(fan_out).flatten(), connected.sum(1).double())
        require(alike, f"{self.what}: reach must hold the elements that each element contributes to")

    def _check_macs(self, role: Role, matrix: Tensor) -> None:
        """Products of elements with weights; a padded border may be multiplied too, as implementations do."""
        macs, connected = self.operator.macs(self.arguments, self.carries, self.result), matrix != 0
        if macs == 0:
            sizes = matrix.abs()
            alike = sizes.amax(0) == torch.where(connected, sizes, torch.inf).amin(0)
            weighted = not bool(alike[connected.any(0)].all())
            require(not weighted, f"{self.what}: macs must count what sums elements by different weights")
            return
        require(role is Role.LINEAR, f"{self.what}: macs must be 0 for a selection, which only moves elements")
        least, most = int(connected.sum()), int(connected.sum(0).max()) * connected.shape[1]
        counted = least <= macs <= most
        require(counted, f"{self.what}: macs must count one product a weight, {least} to {most}, and is {macs}")

    def _check_axes(self, role: Role, connected: Tensor, result: Tensor) -> None:
        source, target = connected.nonzero().unbind(1)
        before = torch.stack(torch.unravel_index(source, self.signal.shape))  # [axes, connections]
        after = torch.stack(torch.unravel_index(target, result.shape))
        mixed = self.operator.mixed_axis(self.carries)
        if mixed is not None:
            others = [axis for axis in range(len(before)) if axis != mixed % len(before)]
            kept = len(before) == len(after) and torch.equal(before[others], after[others])
            require(kept, f"{self.what}: mixed_axis promises that elements stay where they are along all other axes")
        for axis in range(1, len(before)):
            found = self.operator.channel_axis(self.node, axis, tuple(self.signal.shape))
            inside = found is None or 0 <= found < result.dim()
            require(inside, f"{self.what}: channel_axis must be an axis of the result, or None")
            separating = {place for place, indices in enumerate(after) if _separates(indices, before[axis])}
            moved = role is Role.SELECTION and found is not None and separating
            along = not moved or found in separating
            require(along, f"{self.what}: channel_axis must be the axis along which channels lie, one of {separating}")

    def _others(self) -> list[str]:
        return [key for key, carries in self.carries.items() if carries is True and key != self.key]

    def _check_spread(self, connected: Tensor) -> None:
        after = tuple(self.result.shape[1:]) if isinstance(self.result, Tensor) else ()
        spread = self.operator.spread(self.node, tuple(self.signal.shape[1:]), after)
        if spread is not Spread.ONE_TO_MANY:
            once = int(connected.sum(1).max()) <= 1
            require(once, f"{self.what}: {spread} promises that an element contributes to one other at most")
        if spread in (Spread.ELEMENTWISE, Spread.ONE_TO_ONE):
            alone = int(connected.sum(0).max()) <= 1
            require(alone, f"{self.what}: {spread} promises that no two elements contribute to the same")
        if spread is Spread.ELEMENTWISE:
            stays = torch.equal(connected, connected & torch.eye(*connected.shape, dtype=torch.bool))
            require(stays, f"{self.what}: {spread} promises that every element stays where it is")


def _separates(indices: Tensor, channels: Tensor) -> bool:
    """Whether connections with one of ``indices`` come from one of ``channels``."""
    pairs = set(zip(indices.tolist(), channels.tolist(), strict=True))
    return len(pairs) == len(dict(pairs))


def _double(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_double(item) for item in value)
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _refs(key: str, value: Any) -> Any:
    """``value`` as a node refers to it: of a list, the first entry is a signal."""
    return [Ref(key), *value[1:]] if isinstance(value, (list, tuple)) else Ref(key)


def _flat(result: Any) -> Tensor:
    """All tensors of a result, one after the other."""
    tensors = [torch.as_tensor(leaf).to_dense().double() for leaf in tree_leaves(result)]
    return torch.cat([tensor.flatten() for tensor in tensors])
