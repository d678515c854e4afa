"""Pooling: averages are affine, maxima over signals are gates."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, Spread, per_axis, register
from snnconv.graph.reach import Reach, unit_vectors
from snnconv.kernels.largest import place_of_largest

_POOLS: dict[str, Any] = {
    "max_pool1d": torch.nn.functional.max_pool1d,
    "max_pool2d": torch.nn.functional.max_pool2d,
    "max_pool3d": torch.nn.functional.max_pool3d,
    "adaptive_max_pool1d": torch.nn.functional.adaptive_max_pool1d,
    "adaptive_max_pool2d": torch.nn.functional.adaptive_max_pool2d,
    "adaptive_max_pool3d": torch.nn.functional.adaptive_max_pool3d,
}


class MaximumOperator(Operator):
    """A maximum over groups of elements of one tensor: a gate, where its input is spikes."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.POOL)

    def kernel(self, node: Node) -> tuple[int, ...] | None:
        """Sizes of a group along the axes; ``None`` where groups are parts that do not overlap."""
        return None

    @abstractmethod
    def places(self, arguments: Arguments) -> Tensor:
        """Where ``self`` is largest in each group, in the form that ``at`` takes; the first of those that are alike."""

    @abstractmethod
    def at(self, arguments: Arguments, places: Tensor, values: Tensor) -> Tensor:
        """Elements of ``values``, in the shape of ``self``, at ``places``."""

    def select(self, arguments: Arguments, values: Tensor) -> Tensor:
        """Elements of ``values`` at the places where ``self`` is largest in its group."""
        return self.at(arguments, self.places(arguments), values)


@register
class MaxPool(MaximumOperator):
    """Maximum over sliding or adaptive windows; padding never wins."""

    names = (*_POOLS,)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return self._pool(arguments, return_indices=False)  # type: ignore[no-any-return]

    def places(self, arguments: Arguments) -> Tensor:
        return self._pool(arguments, return_indices=True)[1]  # type: ignore[no-any-return]

    def at(self, arguments: Arguments, places: Tensor, values: Tensor) -> Tensor:
        first = places.dim() - int(self.op[-2])  # places count over the pooled axes together
        return values.flatten(first).gather(first, places.flatten(first)).view(places.shape)

    def kernel(self, node: Node) -> tuple[int, ...] | None:
        if "output_size" in node.arguments:
            return None
        return tuple(per_axis(node.arguments["kernel_size"], axis) for axis in range(int(self.op[-2])))

    def _pool(self, arguments: Arguments, return_indices: bool) -> Any:
        if "output_size" in arguments:
            options: dict[str, Any] = {"output_size": tuple(arguments["output_size"])}
        else:
            options = {key: arguments[key] for key in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
            options["stride"] = options["stride"] or options["kernel_size"]
        return _POOLS[self.op](arguments["self"], **options, return_indices=return_indices)


@register
class Maximum(MaximumOperator):
    """Maximum along named axes."""

    names = ("amax",)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if not node.arguments["dim"] or 0 in node.arguments["dim"]:
            return Classification(
                Role.REFUSED, "it runs over the batch axis", "name the axes: amax(dim=...) without axis 0"
            )
        return super().classify(node, carries)

    def evaluate(self, arguments: Arguments) -> Tensor:
        return torch.amax(arguments["self"], arguments["dim"], arguments["keepdim"])

    def places(self, arguments: Arguments) -> Tensor:
        return place_of_largest(_groups(arguments, arguments["self"]))

    def at(self, arguments: Arguments, places: Tensor, values: Tensor) -> Tensor:
        found = _groups(arguments, values).gather(-1, places).squeeze(-1)
        reduced = _reduced(arguments)
        shape = [1 if dim in reduced else size for dim, size in enumerate(values.shape)]
        return found.view(shape) if arguments["keepdim"] else found

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        dims = {dim % len(shape) for dim in node.arguments["dim"]}
        if axis is None or axis in dims:
            return None
        return axis if node.arguments["keepdim"] else axis - sum(dim < axis for dim in dims)


@register
class MaskedMaximum(Maximum):
    """Maximum along named axes over the candidates that ``allowed``, a constant, names; 0 where it names none."""

    names = ("masked_amax",)

    def evaluate(self, arguments: Arguments) -> Tensor:
        found = super().evaluate({**arguments, "self": self._candidates(arguments)})
        return torch.where(found > -torch.inf, found, 0.0)

    def places(self, arguments: Arguments) -> Tensor:
        return super().places({**arguments, "self": self._candidates(arguments)})

    def at(self, arguments: Arguments, places: Tensor, values: Tensor) -> Tensor:
        largest = super().at(arguments, places, self._candidates(arguments))
        return torch.where(largest > -torch.inf, super().at(arguments, places, values), 0.0)

    def _candidates(self, arguments: Arguments) -> Tensor:
        return torch.where(arguments["allowed"], arguments["self"], -torch.inf)


def _reduced(arguments: Arguments) -> list[int]:
    return sorted(dim % arguments["self"].dim() for dim in arguments["dim"])


def _groups(arguments: Arguments, values: Tensor) -> Tensor:
    """``values``, in the shape of ``self``, with those of a group along one last axis."""
    reduced = _reduced(arguments)
    kept = [dim for dim in range(values.dim()) if dim not in reduced]
    return values.permute([*kept, *reduced]).flatten(len(kept))


@register
class AveragePool(Operator):
    """Average over sliding windows."""

    names = ("avg_pool1d", "avg_pool2d", "avg_pool3d")

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        function = getattr(torch.nn.functional, self.op)
        keys = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
        options = {key: arguments[key] for key in keys}
        options["stride"] = options["stride"] or options["kernel_size"]
        if arguments.get("divisor_override") is not None:
            options["divisor_override"] = arguments["divisor_override"]
        return function(arguments["self"], **options)  # type: ignore[no-any-return]

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        stride = node.arguments["stride"] or node.arguments["kernel_size"]
        apart = all(s >= k for s, k in zip(stride, node.arguments["kernel_size"], strict=True))
        return Spread.MANY_TO_ONE if apart else Spread.ONE_TO_MANY

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        axes = int(self.op[-2])
        first = len(found.shape) - axes
        for axis in range(axes):
            kernel, stride, padding = (
                per_axis(arguments[k] or None, axis) for k in ("kernel_size", "stride", "padding")
            )
            each_alone = unit_vectors(found.shape[first + axis]).unsqueeze(1)
            pooled = torch.nn.functional.avg_pool1d(each_alone, kernel, stride, padding or 0, arguments["ceil_mode"])
            found = found.along(first + axis, pooled[:, 0].ne(0))
        return found

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        if self.op != "avg_pool1d":
            return self.evaluate({**arguments, "divisor_override": 1})
        flat = {key: [1, *value] if key in ("kernel_size", "stride") else value for key, value in arguments.items()}
        flat["stride"] = flat["stride"] if len(flat["stride"]) > 1 else flat["kernel_size"]
        flat["padding"] = [0, *arguments["padding"]]
        pooled = torch.nn.functional.avg_pool2d(
            arguments["self"].unsqueeze(-2),
            flat["kernel_size"],
            flat["stride"],
            flat["padding"],
            arguments["ceil_mode"],
            divisor_override=1,
        )
        return pooled.squeeze(-2)


@register
class AdaptiveAveragePool(Operator):
    """Average over as many windows as the output has positions."""

    names = ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.LINEAR)

    def evaluate(self, arguments: Arguments) -> Tensor:
        function = getattr(torch.nn.functional, self.op)
        return function(arguments["self"], tuple(arguments["output_size"]))  # type: ignore[no-any-return]

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        single = all(size == 1 for size in node.arguments["output_size"])
        return Spread.MANY_TO_ONE if single else Spread.ONE_TO_MANY

    def reach(self, arguments: Arguments) -> Reach:
        found: Reach = arguments["self"]
        for axis, windows in enumerate(arguments["output_size"], start=-len(arguments["output_size"])):
            found = found.along(axis, _windows(found.shape[axis], windows))
        return found

    def paths(self, arguments: Arguments, carries: Carries) -> Tensor:
        result: Tensor = arguments["self"]
        first = result.dim() - len(arguments["output_size"])
        for axis, windows in enumerate(arguments["output_size"], start=first):
            member = _windows(result.shape[axis], windows).to(result)
            result = torch.movedim(torch.movedim(result, axis, -1) @ member, -1, axis)
        return result


def _windows(length: int, windows: int) -> Tensor:
    """Membership ``[length, windows]`` in adaptive pooling: window i covers floor(i L / W) to ceil((i + 1) L / W)."""
    member = torch.zeros(length, windows, dtype=torch.float32)
    for window in range(windows):
        member[window * length // windows : -(-(window + 1) * length // windows), window] = 1.0
    return member
