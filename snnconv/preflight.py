"""Preflight: what every operation of a model will be in the spiking network, and every reason why one cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from snnconv.graph import Graph, Node, Source
from snnconv.operators import OPERATORS, Classification, Role, carried
from snnconv.sparse import misplaced

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram


_SPARSE = Classification(
    Role.REFUSED,
    "it takes a sparse constant, and only products do",
    "multiply with the constant (adj @ h), or make it dense outside the model: adj.to_dense()",
)


@dataclass(frozen=True)
class Problem:
    """One operation that cannot be converted: what, where in the user's code, why, and what to do."""

    op: str
    source: Source
    reason: str
    remedy: str

    def __str__(self) -> str:
        code = f"\n      {self.source.text}" if self.source.text else ""
        return f"  {self.op} at {self.source}: {self.reason}{code}\n      {self.remedy}"


@dataclass(frozen=True)
class Line:
    """One operation of the model with its role."""

    name: str
    op: str
    role: Role
    source: Source


@dataclass(frozen=True)
class Preflight:
    """Report on a model: the role of every operation, and all problems at once. Prints as a table."""

    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether the model can be converted."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return {
            "ok": self.ok,
            "operations": [
                {"name": line.name, "op": line.op, "role": line.role.value, "source": str(line.source)}
                for line in self.lines
            ],
            "problems": [
                {"op": p.op, "source": str(p.source), "code": p.source.text, "reason": p.reason, "remedy": p.remedy}
                for p in self.problems
            ],
        }

    def __str__(self) -> str:
        counts = Counter(line.role for line in self.lines)
        roles = ", ".join(f"{counts[role]} {role.value}" for role in Role if counts[role])
        if self.ok:
            operators = Counter((line.role.value, line.op) for line in self.lines)
            rows = [f"  {role:<10}  {op:<28} {count:>4}" for (role, op), count in sorted(operators.items())]
            return "\n".join([f"convertible: {len(self.lines)} operations ({roles})", *rows])
        head = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        return "\n".join(
            [f"{head} in {len(self.lines)} operations" + (f" ({roles})" if roles else "")]
            + [str(p) for p in self.problems]
        )


def preflight(
    model: nn.Module | ExportedProgram,
    example: Tensor | Sequence[Tensor],
    *,
    constants: Mapping[str, Tensor] | None = None,
) -> Preflight:
    """Say what each operation of ``model`` will be in a spiking network; nothing is converted.

    Args:
        model: The network, which is not changed, or an exported program.
        example: One batch of input, or a tuple of them where the model takes several.
        constants: Arguments of forward that are part of the network, as for ``convert``.

    Returns:
        The role of every operation, and for those that stand in the way the reason and a remedy.

    Raises:
        ModelError: The weights cannot be used.
        InputError: The example cannot be used.
        ConfigurationError: The constants cannot be used.
    """
    from snnconv.capture import capture
    from snnconv.data.batches import as_inputs
    from snnconv.errors import UnsupportedModelError
    from snnconv.probing import prepared

    inputs = as_inputs(example, "example")
    try:
        graph = capture(model, inputs, constants=constants)
    except UnsupportedModelError as error:
        return error.preflight
    report = inspect(graph)
    if report.ok:
        try:
            prepared(graph, inputs)
        except UnsupportedModelError as error:
            return Preflight(report.lines, error.preflight.problems)
    return report


def inspect(graph: Graph) -> Preflight:
    """The report on a captured graph."""
    signals = graph.signals()
    classes = {node.name: classify(node, signals) for node in graph.nodes.values()}
    spiking = _followed_by_population(graph, classes)
    sparse = {node.name for node in misplaced(graph)}
    lines, problems = [], []
    for node in graph.nodes.values():
        found = _SPARSE if node.name in sparse else classes[node.name]
        role = found.role
        if role is Role.READOUT and node.name in spiking:
            role = Role.REFUSED
        if role is Role.REFUSED:
            remedy = found.remedy + _binding(node, graph)
            problems.append(Problem(node.op, node.source, found.reason, remedy))
        lines.append(Line(node.name, node.op, role, node.source))
    if not problems and not any(line.role is Role.ACTIVATION for line in lines):
        problems.append(
            Problem(
                "model",
                Source(),
                "it has no activation that could become a population of neurons",
                "convert a model with relu, leaky_relu, relu6, hardtanh or clamp between its layers",
            )
        )
    return Preflight(tuple(lines), tuple(problems))


def _binding(node: Node, graph: Graph) -> str:
    """What to add to the remedy of a node that directly takes one of several inputs: it may be meant as a constant."""
    taken = [name for name in graph.inputs if name in set(node.refs())]
    if len(graph.inputs) < 2 or not taken:
        return ""
    return f'; if {taken[-1]} belongs to the network, name it: constants={{"{taken[-1]}": {taken[-1]}}}'


def classify(node: Node, signals: set[str]) -> Classification:
    """Role of one node; nodes that no signal reaches are constants."""
    operator = OPERATORS.get(node.op)
    if operator is None:
        return Classification(
            Role.REFUSED,
            "the operator is not in the vocabulary",
            "write it with supported operators, or move it out of the model",
        )
    if node.name not in signals:
        return Classification(Role.CONSTANT)
    return operator.classify(node, carried(node, signals))


def _followed_by_population(graph: Graph, classes: dict[str, Classification]) -> set[str]:
    """Names of the nodes on whose result a population or a gate depends."""
    found: set[str] = set()
    for node in reversed(graph.nodes.values()):
        if node.name in found or classes[node.name].role in (Role.ACTIVATION, Role.POOL):
            found.update(node.refs())
    return found
