"""What a report on a model holds: the role of every operation, and every reason why one cannot be converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from snnconv.errors import SnnconvError
from snnconv.graph.graph import Source
from snnconv.graph.operators import Role

#: Places, and modules of one place, that a text lists of what is refused many times.
_PLACES = 3


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
    """Report on a model: the role of every operation, and all problems at once.

    It prints as a table, in which an operator that is refused many times for one reason is one entry with its number
    and the first places.

    Attributes:
        lines: What every operation is to the spiking network, in order of execution.
        problems: What stands in the way of a conversion, with what to do about it: every single operation.
    """

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
        kinds: dict[tuple[str, str, str], list[Problem]] = {}
        for problem in self.problems:
            kinds.setdefault((problem.op, problem.reason, problem.remedy), []).append(problem)
        return "\n".join(
            [f"{head} in {len(self.lines)} operations" + (f" ({roles})" if roles else "")]
            + [_entry(alike) for alike in kinds.values()]
        )


def _entry(alike: Sequence[Problem]) -> str:
    """What is refused for one reason, however often: how often, the first places, and what to do."""
    first = alike[0]
    if len(alike) == 1:
        return str(first)
    places: dict[tuple[str, int], list[Problem]] = {}
    for problem in alike:
        places.setdefault((problem.source.file, problem.source.line), []).append(problem)
    rows = [f"  {first.op}, {len(alike)} times: {first.reason}"]
    for shown in [*places.values()][:_PLACES]:
        source, count = shown[0].source, len(shown)
        modules = [problem.source.module for problem in shown if problem.source.module]
        if modules and count > 1:
            listed = ", ".join(modules[:_PLACES]) + (f" and {len(modules) - _PLACES} more" * (len(modules) > _PLACES))
            source = replace(source, module=listed)
        text = f": {source.text}" if source.text else ""
        rows.append(f"      at {source}{f', {count} times' if count > 1 else ''}{text}")
    if len(places) > _PLACES:
        rows.append(f"      and at {len(places) - _PLACES} more places")
    return "\n".join([*rows, f"      {first.remedy}"])


class UnsupportedModelError(SnnconvError):
    """The model cannot be converted; ``preflight`` holds every reason with the user's own source line."""

    def __init__(self, preflight: Preflight) -> None:
        super().__init__(f"the model cannot be converted\n{preflight}")
        self.preflight = preflight
