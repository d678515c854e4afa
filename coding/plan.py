"""Coding plans: which code the input and every hidden population use, and under which schedule they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from coding.errors import ConfigurationError
from coding.input_codes import InputCode, RealInput
from coding.neural_code import Code
from coding.registry import as_code, as_input
from coding.schedule import Concurrent, Pipeline, Schedule
from coding.window.few_spike import FewSpike


@dataclass(frozen=True)
class CodingPlan:
    """The code of the input, the codes of the hidden populations and the schedule of the network.

    Args:
        hidden: A code or its name.
        input: An input code, a code, or the name of either.
        overrides: Codes by patterns of population names, as a shell matches them; the first that matches wins.
        schedule: When populations run. Without one, codes that have a stream form of every step run concurrently, all
            others as a pipeline.

    Raises:
        ConfigurationError: Something is no code, or the codes cannot run together.
    """

    hidden: Code = field(default_factory=FewSpike)
    input: InputCode = field(default_factory=RealInput)
    overrides: Mapping[str, Code] = field(default_factory=dict, hash=False)
    schedule: Schedule = None  # type: ignore[assignment] # chosen below

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", as_code(self.hidden))
        object.__setattr__(self, "input", as_input(self.input))
        object.__setattr__(self, "overrides", {str(key): as_code(code) for key, code in self.overrides.items()})
        if self.schedule is None:
            object.__setattr__(self, "schedule", self._default_schedule())
        if not isinstance(self.schedule, (Concurrent, Pipeline)):
            raise ConfigurationError(f"schedule must be Concurrent(steps) or Pipeline(), got {self.schedule!r}")
        check_codes([self.hidden, *self.overrides.values()], self.input, self.schedule)

    def _default_schedule(self) -> Schedule:
        codes = [self.hidden, *self.overrides.values()]
        fed_by_a_stream = self.input.spiking and (self.input.code is None or not self.input.code.windows)
        if all(code.streams for code in codes) and (
            fed_by_a_stream or any(code.period == 1 or not code.windows for code in codes)
        ):
            return Concurrent(max(code.steps for code in codes))
        return Pipeline()

    def code_for(self, *names: str) -> Code:
        """The code of the population that goes by any of ``names``."""
        for pattern, code in self.overrides.items():
            if any(fnmatchcase(name, pattern) for name in names):
                return code
        return self.hidden

    def check_names(self, populations: Iterable[tuple[str, ...]]) -> None:
        """Raise ``ConfigurationError`` for a pattern that matches none of ``populations``, each with all its names."""
        known = list(populations)
        for pattern in self.overrides:
            if not any(fnmatchcase(name, pattern) for names in known for name in names):
                raise ConfigurationError(
                    f"no population is called {pattern!r}; populations: {', '.join(names[0] for names in known)}"
                )


def check_codes(codes: Iterable[Code], input: InputCode, schedule: Schedule) -> None:
    """Raise ``ConfigurationError`` unless all codes can run under ``schedule``."""
    codes = list(codes)
    if input.code is not None and input.code.computes is not None:
        raise ConfigurationError(
            f"{input.code.name} code with the coefficients of {input.code.computes} would present that function of the "
            "input, not the input; use real input, or a code without a function of its own"
        )
    placed = [(code, "") for code in codes] + ([(input.code, " as input")] if input.code else [])
    if isinstance(schedule, Pipeline):
        for code, end in placed:
            if not code.windows:
                raise ConfigurationError(
                    f"{type(code).__name__}{end} has no window form, so it cannot run in a pipeline; "
                    "use schedule=Concurrent(steps) for all codes, or rate or phase code here"
                )
        if input.spiking and input.code is None:
            raise ConfigurationError(
                f"{input.name} input is a stream and cannot fill the window of a pipeline; "
                "use real input, a window code as input, or schedule=Concurrent(steps)"
            )
        if input.code is not None and input.period != input.code.presentation:
            raise ConfigurationError(
                f"every={input.period} is not supported under Pipeline: an input fills one window; leave it out"
            )
        return
    for code, end in placed:
        if not code.streams:
            raise ConfigurationError(
                f"{type(code).__name__}{end} is a window code: its populations fire one after the other, so it cannot "
                f"run under {schedule}; use schedule=Pipeline(), or rate, phase or burst code"
            )
    period_of(codes, input)


def period_of(codes: Iterable[Code], input: InputCode) -> int:
    """Steps over which a network of concurrent populations presents every value once.

    Raises ``ConfigurationError`` where codes disagree.
    """
    periods = {code.period for code in codes} | {input.period}
    if len(periods - {1}) > 1:
        raise ConfigurationError(
            f"codes with periods of {', '.join(map(str, sorted(periods - {1})))} steps cannot run concurrently: values "
            "would arrive at different cadences; give input and hidden codes the same period, an input by "
            "SpikeInput(code, every=steps)"
        )
    return max(periods)


def as_plan(coding: object, input: object = None, schedule: Schedule | None = None) -> CodingPlan:
    """The plan that a user means by a code's name, a code, a mapping of name patterns to codes, or a plan.

    ``input`` and ``schedule`` replace what a plan says of them, or its defaults. Raises ``ConfigurationError`` for
    anything else.
    """
    if isinstance(coding, CodingPlan):
        if input is None and schedule is None:
            return coding
        chosen = coding.input if input is None else as_input(input)
        if schedule is None and coding.schedule != coding._default_schedule():
            schedule = coding.schedule  # asked for, so another input does not change it
        return CodingPlan(coding.hidden, chosen, coding.overrides, schedule)  # type: ignore[arg-type]
    codes: dict[str, Code] = {}
    if isinstance(coding, Mapping):
        codes = {str(pattern): as_code(code) for pattern, code in coding.items()}
    hidden = codes.pop("*", None) if codes else as_code(coding)
    read = RealInput() if input is None else as_input(input)
    return CodingPlan(FewSpike() if hidden is None else hidden, read, codes, schedule)  # type: ignore[arg-type]
