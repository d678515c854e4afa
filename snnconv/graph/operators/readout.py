"""Functions that run on the decoded output: exact behind the last population, not converted before one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from snnconv.graph.graph import Node
from snnconv.graph.operators.base import Arguments, Carries, Classification, Operator, Role, register
from snnconv.graph.operators.remedies import remedy_for


@register
class Readout(Operator):
    """A function of several elements of the output."""

    _functions: ClassVar[dict[str, Callable[..., Any]]] = {
        "softmax": lambda self, dim, dtype: torch.softmax(self, dim),
        "_safe_softmax": lambda self, dim, dtype: torch.ops.aten._safe_softmax(self, dim),
        "log_softmax": lambda self, dim, dtype: torch.log_softmax(self, dim),
        "argmax": torch.argmax,
        "argmin": torch.argmin,
        "layer_norm": torch.layer_norm,
    }
    names = (*_functions,)

    def classify(self, node: Node, carries: Carries) -> Classification:
        if node.arguments.get("dtype") not in (None, "torch.float32"):  # which torch takes for safety
            return Classification(Role.REFUSED, "it changes the precision", "leave dtype at its default")
        known = remedy_for(self.op)
        return Classification(Role.READOUT, known.reason, known.remedy)

    def evaluate(self, arguments: Arguments) -> Any:
        return self._functions[self.op](*arguments.values())

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        return None
