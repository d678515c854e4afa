"""Integer firing rules: what a machine needs of a neuron and its code besides thresholds and biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from coding.burst import Burst
from coding.errors import ConfigurationError
from coding.rate import Rate
from coding.window.integer_table import IntegerTable
from coding.window.window_code import WindowCode
from neurons.integer_lookup import LookupRule
from neurons.integrate_fire import IntegrateFire
from neurons.neuron import Neuron
from neurons.signed_stream import SignedIntegrateFire
from neurons.signed_window import SignedWindow
from neurons.table_lookup import TableLookup

#: Most by which a slope below zero may miss the reciprocal of an integer.
_SLOPE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class StreamRule:
    """Integrate and fire at every step: rate code (``gain`` 1) or bursts whose payload grows by ``gain``.

    ``negative`` says how the neuron fires below zero, where its slope is 1 / ``reciprocal_slope``. ``halved``: the
    potential stands half a unit above the number that is stored, so that it never meets a threshold exactly.
    """

    reset: Literal["subtract", "zero"]
    gain: int
    largest_gain: int | None
    negative: Literal["graded", "imbalanced"] | None
    reciprocal_slope: int
    halved: bool
    #: The threshold before the first spike, in units of the population's scale.
    fraction: float

    @property
    def unit(self) -> float:
        """What a payload of 1 stands for, in units of the population's scale."""
        return self.fraction / self.positive

    @property
    def widest(self) -> int:
        """The most that a threshold is multiplied by, on either side."""
        return (self.largest_gain or 1) * (self.reciprocal_slope if self.negative == "imbalanced" else 1)

    @property
    def positive(self) -> int:
        """Payload of a positive spike of gain 1: fractions of it are left for graded negative ones."""
        return self.reciprocal_slope if self.negative == "graded" else 1


@dataclass(frozen=True)
class TableRule:
    """A window: payload and threshold of every step in integers, of which ``resolution`` make the scale.

    ``thresholds[fired][step]`` holds after ``fired`` spikes, the last row ever after; ``limit`` is the most spikes.
    With a ``reciprocal_slope`` the window holds spikes of the potential's sign, and thresholds below zero are as many
    times larger.
    """

    payloads: tuple[int, ...]
    thresholds: tuple[tuple[int, ...], ...]
    limit: int | None
    reciprocal_slope: int | None
    resolution: int

    @property
    def code(self) -> IntegerTable:
        """The window code that is this table."""
        return IntegerTable(len(self.payloads), self.payloads, self.thresholds, self.limit, self.resolution)

    @property
    def unit(self) -> float:
        """What a payload of 1 stands for, in units of the population's scale."""
        return 1.0 / self.resolution


#: Rules of windows of a pipeline; every other rule fires at all steps of a stream.
WindowRule = TableRule | LookupRule
Rule = StreamRule | WindowRule


def integer_rule(neuron: Neuron, windowed: bool, resolution: int, tables: Tensor | None = None) -> Rule:
    """The rule of ``neuron``, in a stream or in a window of its own, whose payloads count 1 / ``resolution``.

    ``tables`` are those of a population that looks its spikes up, a stack ``[5, channels, cells]``. Raises
    ``ConfigurationError`` for neurons and codes that integers cannot represent.
    """
    if tables is not None and isinstance(neuron, TableLookup):
        return LookupRule.of(tables, neuron.code.steps, resolution)
    if windowed and isinstance(neuron, (IntegrateFire, SignedWindow)) and isinstance(neuron.code, WindowCode):
        return _table(neuron, neuron.code, resolution)
    if not windowed and isinstance(neuron, (IntegrateFire, SignedIntegrateFire)):
        return _stream(neuron)
    computed = getattr(getattr(neuron, "code", None), "computes", None)
    if computed is not None:
        raise ConfigurationError(
            f"few-spike neurons that compute {computed} cannot be exported: a spike takes off another amount than it "
            "is worth; give the population a window code instead, and it is looked up in a table"
        )
    schedule = "in a pipeline" if windowed else "under a concurrent schedule"
    raise ConfigurationError(
        f"{type(neuron).__name__} neurons with {getattr(neuron, 'code', None)!r} {schedule} cannot be exported; export "
        "knows integrate-and-fire neurons, signed ones too, with rate or burst code under Concurrent(steps), and with "
        "window codes (few-spike, one-spike, table-spike, TTFS, phase) in a pipeline"
    )


def _table(neuron: IntegrateFire | SignedWindow, code: WindowCode, resolution: int) -> TableRule:
    reciprocal = None
    if isinstance(neuron, SignedWindow):
        reciprocal = _reciprocal(neuron.negative_slope)
        if neuron.negative == "graded" and reciprocal != 1:
            raise ConfigurationError(
                "graded negative spikes in a window cannot be exported; "
                'convert with negative="imbalanced", the default of a pipeline'
            )
    elif neuron.initial_potential not in (None, 0.0) or neuron.reset != "subtract":
        raise ConfigurationError("an exported window starts from a potential of 0 and resets by subtraction")
    table = code.table()
    payloads = tuple(round(payload * resolution) for payload in table.payloads)
    rows = tuple(tuple(max(1, round(threshold * resolution)) for threshold in row) for row in table.thresholds)
    if min(payloads) < 1:
        raise ConfigurationError(
            f"the smallest payload of {code!r} is less than 1 / {resolution} of the largest, which "
            "integers of this size cannot represent; use fewer steps or a smaller base"
        )
    return TableRule(payloads, rows, table.limit, reciprocal, resolution)


def _stream(neuron: IntegrateFire | SignedIntegrateFire) -> StreamRule:
    code = neuron.code
    fraction, gain, largest = 1.0, 1, None
    if isinstance(code, Burst):
        fraction = code.threshold
        if code.gain != 2.0 or (code.largest_gain is not None and not float(code.largest_gain).is_integer()):
            raise ConfigurationError(f"bursts are exported with gain 2 and an integer largest_gain, got {code!r}")
        gain, largest = 2, None if code.largest_gain is None else int(code.largest_gain)
    elif not isinstance(code, Rate):
        raise ConfigurationError(
            f"{code.name} code under a concurrent schedule cannot be exported; use rate or burst code, or "
            "few-spike, one-spike or phase code in a pipeline"
        )
    start = code.initial_potential if neuron.initial_potential is None else neuron.initial_potential
    if start not in (0.0, fraction / 2):
        raise ConfigurationError(f"an initial potential of {start} cannot be exported; use 0 or half a threshold")
    if isinstance(neuron, IntegrateFire):
        return StreamRule(neuron.reset, gain, largest, None, 1, start > 0.0, fraction)
    reciprocal = _reciprocal(neuron.negative_slope)
    return StreamRule("subtract", gain, largest, neuron.negative, reciprocal, start > 0.0, fraction)


def _reciprocal(slope: float) -> int:
    found = round(1.0 / slope)
    if abs(1.0 / found - slope) > _SLOPE_TOLERANCE:
        raise ConfigurationError(
            f"a slope of {slope} below zero cannot be exported: it is not the reciprocal of an integer"
        )
    return found
