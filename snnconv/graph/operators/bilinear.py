"""Products: operators that are linear in each of two operands by itself."""

from __future__ import annotations

from collections.abc import Sequence

from snnconv.graph.graph import Node, Ref
from snnconv.graph.operators.base import Carries, Classification, Operator, Role


class BilinearOperator(Operator):
    """A product: with one signal it is linear, with two it is a station, at which spikes of both meet.

    Of two signals, both operands are references and nothing else is; then f(a + c, b) = f(a, b) + f(c, b), and the
    same for b, with no constant added.
    """

    def classify(self, node: Node, carries: Carries) -> Classification:
        signals = [key for key in operands(node) if carries[key]]
        return Classification(Role.PRODUCT if len(signals) > 1 else Role.LINEAR)

    def ends(self, node: Node) -> tuple[str, ...]:
        return operands(node)

    def channel_axis_of_two(self, axes: Sequence[int | None]) -> int | None:
        """Axis of the result along which channels lie, given that of either operand; all of them from the end.

        An operand that is multiplied element by element has the channels of the other.
        """
        return axes[0]


def operands(node: Node) -> tuple[str, ...]:
    """Names of the arguments of a product of two signals that are multiplied."""
    return tuple(key for key, argument in node.arguments.items() if isinstance(argument, Ref))
