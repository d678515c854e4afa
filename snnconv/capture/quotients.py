"""Quotients of two signals become ratio populations, where the divisor is above 0 whatever the signals are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from snnconv.capture.expansion import expanded
from snnconv.capture.one_variable import variables_of
from snnconv.graph.graph import Argument, Graph, Node, Ref
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.affine import MatrixProduct
from snnconv.graph.operators.base import SelectionOperator
from snnconv.graph.operators.roles import before_stations

RATIO = "ratio_population"

#: Functions whose values are above 0, and those whose values are at least 0, whatever they are given.
_ABOVE = frozenset({"exp", "exp2", "sigmoid", "softplus", "erfc", "cosh"})
_AT_LEAST = frozenset({"relu", "relu6", "bounded_relu", "hardsigmoid", "abs", "square", "softmax"})
#: Operations whose results are above 0, or at least 0, where all that they take is.
_KEEPING = frozenset(
    {"sqrt", "rsqrt", "reciprocal", "pow", "abs", "square", "sum", "mean", "cumsum", "amax"}
    | {"identity_population", "relay_population", RATIO}
)
#: Selections that put numbers of their own beside what they move.
_ADDING_ELEMENTS = frozenset({"pad", "constant_pad_nd", "tril", "triu", "diag_embed", "im2col"})
_KEEPING_POOLS = ("avg_pool", "adaptive_avg_pool", "max_pool", "adaptive_max_pool")


def quotients_as_ratios(graph: Graph, real_valued: Set[str] = frozenset()) -> Graph:
    """``x / g`` and ``x * rsqrt(g)``, of two signals that weights or populations depend on, as ratio populations.

    So are products with ``reciprocal(g)`` and with powers -1 and -1/2. The divisor must be known to be above 0 by what
    it is made of: exp, roots and means of squares with a number added, sums of such. A quotient that is one function of
    one signal stays, for a table; so does one that only the output depends on.
    """
    signals = graph.signals()
    needed, _ = before_stations(graph, signals, real_valued)
    functions = variables_of(graph)
    signs = _Signs(graph)
    made: dict[str, Ref] = {}

    def expand(node: Node) -> Iterable[Node]:
        if node.op not in ("div", "mul") or node.name not in needed & signals or node.name in functions:
            return [node]
        one, other = node.arguments["self"], node.arguments["other"]
        if not all(isinstance(each, Ref) and each.name in signals for each in (one, other)):
            return [node]
        if node.op == "div":
            above = node.arguments.get("rounding_mode") is None and signs.above(other)
            return [_ratio(node, one, other)] if above else [node]
        for values, factor in ((one, other), (other, one)):
            found = _Inverse(graph, signs, made).of(factor)
            if found is not None:
                divisor, nodes = found
                return [*nodes, _ratio(node, values, divisor)]
        return [node]

    return expanded(graph, expand).without_dead_nodes()


def _ratio(node: Node, values: Ref, divisor: Ref) -> Node:
    return replace(node, op=RATIO, arguments={"self": values, "divisor": divisor})


def tables_that_divide(graph: Graph) -> Graph:
    """Every table whose values do nothing but divide is marked as such: of these the relative error counts."""
    signals, users = graph.signals(), graph.consumers()

    def only_divides(name: str) -> bool:
        if not users[name]:
            return False
        for user in users[name]:
            node = graph.nodes.get(user)
            if node is None:
                return False
            if node.op == RATIO:
                if node.arguments["self"].name == name:
                    return False
            elif not _scales(node, signals) or not only_divides(user):
                return False
        return True

    def expand(node: Node) -> Iterable[Node]:
        if node.op != "tabulated" or not only_divides(node.name):
            return [node]
        return [replace(node, arguments={**node.arguments, "divides": True})]

    return expanded(graph, expand)


def _scales(node: Node, signals: Set[str]) -> bool:
    """Whether it moves a signal, or multiplies it by a constant."""
    if len([name for name in node.refs() if name in signals]) != 1:
        return False
    return isinstance(OPERATORS.get(node.op), SelectionOperator) or node.op in ("mul", "div")


class _Inverse:
    """Factors that are one over something: what that is, by the nodes that it takes."""

    def __init__(self, graph: Graph, signs: _Signs, made: dict[str, Ref]) -> None:
        self._graph, self._signs, self._made = graph, signs, made

    def of(self, factor: Ref) -> tuple[Ref, list[Node]] | None:
        """What ``factor`` divides by, and the nodes that were not made before; ``None`` where it is no inverse."""
        node = self._graph.nodes.get(factor.name)
        if node is None:
            return None
        known = self._made.get(factor.name)
        if known is not None:
            return known, []
        moves = isinstance(OPERATORS.get(node.op), SelectionOperator) and node.op not in _ADDING_ELEMENTS
        if moves and len([*node.refs()]) == 1:
            (inner,) = node.refs()
            found = self.of(Ref(inner))
            if found is None:
                return None
            divisor, nodes = found
            nodes.append(replace(node, name=f"{node.name}_inverse").mapped(lambda _: divisor))
        else:
            base, exponent = _power(node)
            if base is None or not self._signs.above(base):
                return None
            if exponent == -1.0:
                self._made[factor.name] = base
                return base, []
            nodes = [replace(node, name=f"{node.name}_inverse", op="sqrt", arguments={"self": base})]
        self._made[factor.name] = Ref(nodes[-1].name)
        return self._made[factor.name], nodes


def _power(node: Node) -> tuple[Ref | None, float]:
    """The base and the exponent, -1 or -1/2, of a power; no base for any other node."""
    if node.op == "reciprocal":
        return node.arguments["self"], -1.0
    if node.op == "rsqrt":
        return node.arguments["self"], -0.5
    if node.op == "pow" and isinstance(node.arguments["self"], Ref) and node.arguments["exponent"] in (-1, -0.5):
        return node.arguments["self"], float(node.arguments["exponent"])
    return None, 0.0


class _Signs:
    """Which results are above 0, or at least 0, by what they are made of alone."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._found: dict[tuple[str, bool], bool] = {}

    def above(self, value: Argument) -> bool:
        """Whether ``value`` is above 0 everywhere."""
        return self._holds(value, strictly=True)

    def at_least(self, value: Argument) -> bool:
        """Whether ``value`` is at least 0 everywhere."""
        return self._holds(value, strictly=False)

    def _holds(self, value: Argument, strictly: bool) -> bool:
        if not isinstance(value, Ref):
            return isinstance(value, (int, float)) and (value > 0 or (value == 0 and not strictly))
        tensor = self._graph.constants.get(value.name)
        if tensor is not None:
            return bool((tensor > 0).all() if strictly else (tensor >= 0).all())
        node = self._graph.nodes.get(value.name)
        if node is None:
            return False
        key = (value.name, strictly)
        if key not in self._found:
            self._found[key] = self._node_holds(node, strictly)
        return self._found[key]

    def _raised(self, values: Argument, added: Argument) -> bool:
        """Whether ``added``, a number, lifts a function that never falls as low as its bound above 0."""
        node = self._graph.nodes.get(values.name) if isinstance(values, Ref) else None
        bound = None if node is None else _bound(node)
        return bound is not None and isinstance(added, (int, float)) and added >= -bound

    def _node_holds(self, node: Node, strictly: bool) -> bool:
        given, op = node.arguments, node.op
        if op == "softplus" and given.get("beta", 1.0) < 0:  # which turns it upside down
            return False
        if op in _ABOVE or (not strictly and (op in _AT_LEAST or _is_square(node))):
            return True
        if op in ("ones", "full", "zeros"):
            return self._holds(given["fill_value"] if op == "full" else int(op == "ones"), strictly)
        bounded = op in ("clamp", "clip", "clamp_min") and given.get("min") is not None
        if bounded and self._holds(given["min"], strictly):
            return True
        if op == "add":
            parts = (given["self"], given["other"])
            if any(self._raised(*pair) for pair in (parts, parts[::-1])):
                return bool(given["alpha"] == 1)
            return (
                given["alpha"] > 0
                and all(self.at_least(part) for part in parts)
                and (not strictly or any(self.above(part) for part in parts))
            )
        if op == "slice" and not strictly and self._columns_of_product(node):
            return True
        taken = _taken(node)
        return bool(taken) and all(self._holds(value, strictly) for value in taken)

    def _columns_of_product(self, node: Node) -> bool:
        """Whether ``node`` picks columns of a product of matrices that are at least 0: sums of weights, for one."""
        product = self._graph.nodes.get(node.arguments["self"].name)
        if product is None or product.shape is None or node.arguments["dim"] % len(product.shape) != _last(product):
            return False
        picked = range(product.shape[-1])[node.arguments["start"] : node.arguments["end"]]
        return self._columns(product, picked)

    def _columns(self, node: Node | None, picked: range) -> bool:
        """Whether the columns ``picked`` of what ``node`` gives are at least 0."""
        if node is None or node.shape is None:
            return False
        given = node.arguments
        if isinstance(OPERATORS.get(node.op), MatrixProduct):
            left, right = given.values()
            if not self.at_least(left):
                return False
            return self.at_least(right) or self._columns(self._graph.nodes.get(right.name), picked)
        if node.op in ("pad", "constant_pad_nd") and given.get("mode", "constant") == "constant":
            first, behind = given["pad"][0], node.shape[-1] - given["pad"][1]
            return (given["value"] or 0.0) >= 0 and (picked.start >= behind or picked.stop <= first)
        if node.op == "cat" and given["dim"] % len(node.shape) == _last(node):
            return self._columns_of_cat(given["tensors"], picked)
        return False

    def _columns_of_cat(self, tensors: Sequence[Ref], picked: range) -> bool:
        place = 0
        for tensor in tensors:
            made = self._graph.constants.get(tensor.name, self._graph.nodes.get(tensor.name))
            if made is None or made.shape is None:
                return False
            within = range(place, place := place + made.shape[-1])
            if picked.start < within.stop and within.start < picked.stop and not self.at_least(tensor):
                return False
        return True


def _last(node: Node) -> int:
    return len(node.shape or ()) - 1


def _bound(node: Node) -> float | None:
    """A number below 0 that a function comes near and never reaches; ``None`` for other functions."""
    if node.op == "tanh":
        return -1.0
    if node.op in ("elu", "celu"):
        return -float(node.arguments["alpha"] * node.arguments.get("scale", 1))
    return None


def _taken(node: Node) -> list[Argument]:
    """What the result of ``node`` has its signs of, numbers that it multiplies by or fills in among them, if known."""
    given, op = node.arguments, node.op
    if op in ("mul", "div", "maximum", "matmul", "mm", "bmm"):
        return [] if given.get("rounding_mode") is not None else list(given.values())[:2]
    if op == "where":
        return [given["self"], given["other"]]
    if op == "masked_fill":
        return [given["self"], given["value"]]
    moves = isinstance(OPERATORS.get(op), SelectionOperator) and op not in _ADDING_ELEMENTS
    if moves or op in _KEEPING or op.startswith(_KEEPING_POOLS):
        return [value for value in given.values() if isinstance(value, Ref)]
    return []


def _is_square(node: Node) -> bool:
    given = node.arguments
    if node.op == "pow":
        return isinstance(given["exponent"], (int, float)) and given["exponent"] % 2 == 0
    return node.op == "mul" and given["self"] == given["other"]
