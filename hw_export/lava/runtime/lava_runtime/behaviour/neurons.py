"""How neurons integrate and fire: the rules of the bundle, in integers or in floats that hold integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_runtime.behaviour.base import LARGEST_POTENTIAL, Arriving, Sending, SendingModel
from lava_runtime.network import BundleLookupRule, BundleStreamRule, BundleTableRule
from lava_runtime.processes.neurons import LookupNeurons, SignedStreamNeurons, StreamNeurons, TableNeurons

#: Widths of places are counted in parts of a membrane's unit.
_PARTS_OF_A_UNIT = 16


class _FixedNeurons(Arriving.Fixed, Sending.Fixed):
    potential: Any = LavaPyType(np.ndarray, np.int32, precision=24)
    threshold: Any = LavaPyType(np.ndarray, np.int32)
    initial: Any = LavaPyType(np.ndarray, np.int32)
    bias: Any = LavaPyType(np.ndarray, np.int32)


class _FloatNeurons(Arriving.Float, Sending.Float):
    potential: Any = LavaPyType(np.ndarray, float)
    threshold: Any = LavaPyType(np.ndarray, float)
    initial: Any = LavaPyType(np.ndarray, float)
    bias: Any = LavaPyType(np.ndarray, float)


class _NeuronModel(SendingModel):
    potential: Any
    threshold: Any
    initial: Any
    bias: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rule: Any = proc_params["rule"]
        self.bias_every_step: bool = proc_params["bias_every_step"]

    def respond(self, arriving: np.ndarray, step: int) -> np.ndarray | None:
        if step == 0:
            self.potential[...] = self.initial
            self.reset()
        self.potential += arriving
        if step == 0 or self.bias_every_step:
            self.potential += self.bias
        self._clip()
        return self.fire(step)

    def _clip(self) -> None:
        if self.fixed:
            np.clip(self.potential, -LARGEST_POTENTIAL, LARGEST_POTENTIAL, out=self.potential)

    def _move(self, amount: np.ndarray) -> None:
        """Add ``amount``, which may have more bits than the potential."""
        if self.fixed:
            amount = np.clip(self.potential + amount, -LARGEST_POTENTIAL, LARGEST_POTENTIAL)
            self.potential[...] = amount
        else:
            self.potential += amount

    def reset(self) -> None:
        """Forget the sample before."""

    def fire(self, step: int) -> np.ndarray | None:
        """The payloads of local ``step``, after integration; None for silence."""
        raise NotImplementedError  # a hook: every model that runs has its own


class _StreamModel(_NeuronModel):
    rule: BundleStreamRule

    def reset(self) -> None:
        self.gains = np.ones(self.potential.shape, self.exact)

    def fire(self, step: int) -> np.ndarray | None:
        if self.rule.gain == 1:
            fired = self.potential >= self.threshold
            if self.rule.reset == "zero":
                self.potential[fired] = 0
            else:
                np.subtract(self.potential, self.threshold, out=self.potential, where=fired)
            return np.asarray(fired)
        charge = self.gains * self.threshold.astype(self.exact)
        fired = self.potential >= charge
        payload = np.where(fired, self.gains, 0)
        if self.rule.reset == "zero":
            self.potential[fired] = 0
        else:
            self._move(np.where(fired, -charge, 0))
        self.gains = grown(self.gains, fired, self.rule)
        return payload


def grown(gains: np.ndarray, fired: np.ndarray, rule: BundleStreamRule) -> np.ndarray:
    """Gains for the next step: larger after a spike, up to a limit, else one."""
    larger = gains * rule.gain
    if rule.largest_gain is not None:
        larger = np.minimum(larger, rule.largest_gain)
    return np.where(fired, larger, np.ones_like(gains))


class _SignedStreamModel(_NeuronModel):
    rule: BundleStreamRule

    def reset(self) -> None:
        self.gains = np.ones(self.potential.shape, self.exact)
        self.negative_gains = self.gains.copy()
        self.emitted = np.zeros_like(self.gains)

    def fire(self, step: int) -> np.ndarray | None:
        rule, negative = self.rule, self.rule.negative
        assert negative is not None
        threshold = self.threshold.astype(self.exact)
        charge = self.gains * threshold
        debt = self.negative_gains * threshold * negative.charge
        below = -self.potential - 1 if negative.halved else -self.potential
        fired, recalled = self.potential >= charge, below >= debt
        sent = np.where(fired, self.gains, 0) - np.where(recalled, self.negative_gains, 0)
        if rule.reset == "zero":
            self.potential[fired] = 0
            charge = np.zeros_like(charge)
        self._move(np.where(recalled, debt, 0) - np.where(fired, charge, 0))
        self.gains = grown(self.gains, fired, rule)
        self.negative_gains = grown(self.negative_gains, recalled, rule)
        if negative.kind == "imbalanced":
            return sent
        after = self.emitted + sent
        above = np.maximum(after, 0) - np.maximum(self.emitted, 0)
        payload = negative.reciprocal_slope * above + (sent - above)
        self.emitted = after
        return np.asarray(payload)


class _TableModel(_NeuronModel):
    rule: BundleTableRule

    def reset(self) -> None:
        self.spikes = np.zeros(self.potential.shape, np.int32)

    def fire(self, step: int) -> np.ndarray | None:
        rule = self.rule
        column = step - rule.fire_from
        if not 0 <= column < rule.payloads.size:
            return None
        charge = self.threshold.astype(self.exact)
        sign: np.ndarray | int = 1
        reached = self.potential
        if rule.reciprocal_slope is not None:
            if column == 0:
                self.negative = self.potential < 0
            else:  # the sign is settled by the first spike
                self.negative = np.where(self.spikes == 0, self.potential < 0, self.negative)
            charge = np.where(self.negative, rule.reciprocal_slope, 1) * charge
            sign = np.where(self.negative, -1, 1)
            reached = np.where(self.negative, -self.potential - 1, self.potential)
        levels = rule.thresholds[:, column].astype(self.exact)
        level = levels[0] if levels.size == 1 else levels[np.minimum(self.spikes, levels.size - 1)]
        fired = reached >= charge * level
        if rule.limit is not None:
            fired &= self.spikes < rule.limit
        self.spikes += fired
        payload = np.where(fired, sign * self.exact(rule.payloads[column]), 0)
        self._move(-charge * payload)
        return payload


class _LookupModel(_NeuronModel):
    rule: BundleLookupRule

    def reset(self) -> None:
        self.silent = np.ones(self.potential.shape, bool)
        self.rest, self.width, self.slope = (np.zeros(self.potential.shape, self.exact) for _ in range(3))

    def fire(self, step: int) -> np.ndarray | None:
        column, cells = step - self.rule.fire_from, self.rule.payloads.shape[1]
        if not 0 <= column < self.rule.window:
            return None
        return self._cell(column) if column < cells else self._place(self.rule.window - column)

    def _cell(self, column: int) -> np.ndarray:
        rule = self.rule  # channels are the last axis in Lava's order
        fired = self.silent & (self.potential >= rule.thresholds[:, column])
        self.silent &= ~fired
        self.rest += np.where(fired, self.potential - rule.origins[:, column], 0)
        self.width += np.where(fired, rule.widths[:, column], 0)
        self.slope += np.where(fired, rule.slopes[:, column], 0)
        return np.where(fired, self.exact(1) * rule.payloads[:, column], 0)

    def _place(self, number: int) -> np.ndarray:
        fired = self.rest * _PARTS_OF_A_UNIT >= number * self.width
        payload = np.where(fired, number * self.slope, 0)
        self.slope[fired] = 0  # it was the last
        return payload


@implements(proc=StreamNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class StreamFixed(_FixedNeurons, _StreamModel):
    """Stream neurons in fixed point."""


@implements(proc=StreamNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class StreamFloat(_FloatNeurons, _StreamModel):
    """Stream neurons in floating point."""


@implements(proc=SignedStreamNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SignedStreamFixed(_FixedNeurons, _SignedStreamModel):
    """Signed stream neurons in fixed point."""


@implements(proc=SignedStreamNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SignedStreamFloat(_FloatNeurons, _SignedStreamModel):
    """Signed stream neurons in floating point."""


@implements(proc=TableNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class TableFixed(_FixedNeurons, _TableModel):
    """Table neurons in fixed point."""


@implements(proc=TableNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class TableFloat(_FloatNeurons, _TableModel):
    """Table neurons in floating point."""


@implements(proc=LookupNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LookupFixed(_FixedNeurons, _LookupModel):
    """Lookup neurons in fixed point."""


@implements(proc=LookupNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class LookupFloat(_FloatNeurons, _LookupModel):
    """Lookup neurons in floating point."""
