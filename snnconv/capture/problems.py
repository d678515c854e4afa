"""What a report on a model holds: the role of every operation, and every reason why one cannot be converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from snnconv.errors import SnnconvError
from snnconv.graph.front import MASKS_ARE_STRUCTURE
from snnconv.graph.graph import Source
from snnconv.graph.operators import Role
from snnconv.graph.real_valued import listed, share_text

#: Places, and modules of one place, that a text lists of what is refused many times.
_PLACES = 3


@dataclass(frozen=True)
class Problem:
    """One operation that cannot be converted: what, where in the user's code, why, and what to do.

    ``analog`` names the weighted operations that it would keep from becoming synapses.
    """

    op: str
    source: Source
    reason: str
    remedy: str
    analog: tuple[str, ...] = ()

    def __str__(self) -> str:
        code = f"\n      {self.source.text}" if self.source.text else ""
        first = f"  {self.op} at {self.source}: {self.reason}{code}"
        return "\n".join([first, *_made_real_valued([self]), f"      {self.remedy}"])


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
        macs: Multiply-accumulates of one sample by operation, where the model can be converted.
    """

    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    macs: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the model can be converted."""
        return not self.problems

    @property
    def analog_macs(self) -> int:
        """Multiply-accumulates of one sample that stay real-valued."""
        analog = {line.name for line in self.lines if line.role is Role.ANALOG}
        return sum(count for name, count in self.macs.items() if name in analog)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return {
            "ok": self.ok,
            "operations": [
                {"name": line.name, "op": line.op, "role": line.role.value, "source": str(line.source)}
                for line in self.lines
            ],
            "problems": [
                {
                    "op": p.op,
                    "source": str(p.source),
                    "code": p.source.text,
                    "reason": p.reason,
                    "remedy": p.remedy,
                    "analog": list(p.analog),
                }
                for p in self.problems
            ],
            "macs": dict(self.macs),
            "analog_macs": self.analog_macs,
        }

    def __str__(self) -> str:
        counts = Counter(line.role for line in self.lines)
        roles = ", ".join(f"{counts[role]} {role.value}" for role in Role if counts[role])
        if self.ok:
            operators = Counter((line.role.value, line.op) for line in self.lines)
            rows = [f"  {role:<10}  {op:<28} {count:>4}" for (role, op), count in sorted(operators.items())]
            if front := [f"{line.op} at {line.source}" for line in self.lines if line.role is Role.FRONT]:
                rows.append(
                    f"  in front, in real numbers and once a sample: {listed(front)}; the first weights multiply what "
                    "it makes of whole numbers, as they do any real input"
                )
            if any(line.role is Role.MASK for line in self.lines):
                rows.append(f"  {MASKS_ARE_STRUCTURE}")
            if self.analog_macs:
                analog = [f"{line.name} at {line.source}" for line in self.lines if line.role is Role.ANALOG]
                whole = sum(self.macs.values())
                rows.append(f"  {share_text(self.analog_macs, whole)}: {listed(analog)}")
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
            named = ", ".join(modules[:_PLACES]) + (f" and {len(modules) - _PLACES} more" * (len(modules) > _PLACES))
            source = replace(source, module=named)
        text = f": {source.text}" if source.text else ""
        rows.append(f"      at {source}{f', {count} times' if count > 1 else ''}{text}")
    if len(places) > _PLACES:
        rows.append(f"      and at {len(places) - _PLACES} more places")
    return "\n".join([*rows, *_made_real_valued(alike), f"      {first.remedy}"])


def _made_real_valued(problems: Sequence[Problem]) -> list[str]:
    """A row on the weighted operations that one of ``problems`` keeps from becoming synapses; none without any."""
    operations = [*dict.fromkeys(name for problem in problems for name in problem.analog)]
    return [f"      weighted operations that it makes real-valued: {listed(operations)}"] if operations else []


class UnsupportedModelError(SnnconvError):
    """The model cannot be converted; ``preflight`` holds every reason with the user's own source line."""

    def __init__(self, preflight: Preflight) -> None:
        super().__init__(f"the model cannot be converted\n{preflight}")
        self.preflight = preflight
