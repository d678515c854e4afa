"""What a network loses as integers, measured before it is exported; too much is refused."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hw_export.integers.fidelity import Fidelity, Outputs, decisions, fidelity, original_outputs, outputs_of
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.simulation import integer_simulation
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.network import SpikingNetwork
from snnconv.progress import Inner, ProgressCallback
from snnconv.text import told_from

#: Standard deviations of a count of changed decisions beyond which a loss is no chance (95 %, one side).
_BEYOND_CHANCE = 1.645
#: By how much of their standard deviation integers may move values that are no class scores before it is said.
_WORTH_A_WARNING = 0.1
#: What a report says where nothing was measured.
UNMEASURED = "what the network loses was not measured, nor were bits of inputs chosen by it: give samples (--data)"
#: Why neurons of machines that reset to zero lose decisions.
_DROPPED = (
    "such neurons drop what exceeds their thresholds, so a rate is one over a whole number of steps, and more steps do "
    "not help: if that is too much, export to Lava without reset='zero', or as a program in C, whose neurons subtract"
)
#: What the integers are called beside the networks that they come from.
INTEGERS = "as integers"

_logger = logging.getLogger(__name__)


def assessed(
    integers: IntegerNetwork,
    networks: Mapping[str, SpikingNetwork],
    samples: Sequence[Inputs],
    allow_loss: float,
    progress: ProgressCallback | None = None,
) -> Mapping[str, Fidelity]:
    """The fidelity to the original of ``networks``, by label, and of the integers that the last of them became.

    Without ``samples`` it is empty. Raises ``ConfigurationError`` where the integers lose more than ``allow_loss``
    percent of the decisions that the last network takes as the original does, beyond what chance changes of so few
    samples; what may be chance is logged as a warning, and so are values that integers move far. What the last network
    loses against the first, because its neurons were exchanged, is logged where it is as much.
    """
    check_allowed(allow_loss)
    if not samples:
        return {}
    exact = original_outputs(next(iter(networks.values())), samples)
    found: dict[str, Outputs] = {}
    for label, network in {**networks, INTEGERS: integer_simulation(integers)}.items():
        found[label] = outputs_of(network, samples, None if progress is None else Inner(progress, label))
    (first, *_), (*_, before), after = networks, networks, found[INTEGERS]
    if before != first:
        _warn_of_exchange(before, exact, found[first], found[before], allow_loss)
    check_loss(integers, exact, found[before], after, allow_loss)
    return {label: fidelity(outputs, exact) for label, outputs in found.items()}


def check_allowed(allow_loss: float) -> None:
    """Raise ``ConfigurationError`` unless so much may be lost."""
    if not 0.0 <= allow_loss <= 100.0:
        raise ConfigurationError(f"allow_loss is in percent and must lie in [0, 100], got {allow_loss!r}")


def check_loss(integers: IntegerNetwork, exact: Outputs, before: Outputs, after: Outputs, allow_loss: float) -> None:
    """Refuse, or warn of, what outputs lose from ``before`` to ``after`` they are integers; see ``assessed``."""
    lost = _losses(exact, before, after)
    if lost is None:
        moved = fidelity(after, before).error
        if moved > _WORTH_A_WARNING:
            _logger.warning(
                "as integers the outputs move by %.1f %% of their standard deviation; %s", 100 * moved, _help(integers)
            )
        return
    if lost.share <= allow_loss:
        return
    numbers = (
        f"of {lost.samples} samples {lost.had} are decided as by the original before rounding, {lost.kept} as "
        f"integers: {told_from(lost.share, allow_loss)} % of these decisions are lost, {allow_loss:g} % are allowed"
    )
    if lost.may_be_chance:
        _logger.warning("%s; so few samples may differ by chance: give more of them (samples=)", numbers)
        return
    raise ConfigurationError(
        f"{numbers}; {_help(integers)}; allow_loss={_above(lost.share):g} or more exports it all the same"
    )


@dataclass(frozen=True)
class DecisionLoss:
    """Of ``samples`` decisions those that were the original's (``had``), are so no more, and have become so."""

    samples: int
    had: int
    lost: int
    won: int

    @property
    def kept(self) -> int:
        """Decisions that are the original's afterwards."""
        return self.had - self.lost + self.won

    @property
    def share(self) -> float:
        """Percent of the decisions before that are lost, less those that are won."""
        return 100.0 * (self.lost - self.won) / max(1, self.had)

    @property
    def may_be_chance(self) -> bool:
        """Whether as many changes come to such a loss by chance."""
        return self.lost - self.won <= _BEYOND_CHANCE * math.sqrt(self.lost + self.won)


def _losses(exact: Outputs, before: Outputs, after: Outputs) -> DecisionLoss | None:
    """What is lost from ``before`` to ``after``; ``None`` for outputs that are no class scores."""
    true, own, whole = (decisions(outputs) for outputs in (exact, before, after))
    if true is None or own is None or whole is None:
        return None
    right, kept = own == true, whole == true
    counts = (int(each.sum()) for each in (right, right & ~kept, kept & ~right))
    return DecisionLoss(len(true), *counts)


def _warn_of_exchange(label: str, exact: Outputs, before: Outputs, after: Outputs, allow_loss: float) -> None:
    """Log what is lost because neurons are others, which ``label`` says, where integers may not lose as much."""
    lost = _losses(exact, before, after)
    if lost is None:
        moved = fidelity(after, before).error
        if moved > _WORTH_A_WARNING:
            _logger.warning("%s: outputs move by %.1f %% of their standard deviation; %s", label, 100 * moved, _DROPPED)
        return
    if lost.share > allow_loss:
        _logger.warning(
            "%s: of %d samples %d are decided as by the original before, %d then: %s %% of these decisions are lost; "
            "%s%s",
            label,
            lost.samples,
            lost.had,
            lost.kept,
            told_from(lost.share, allow_loss),
            _DROPPED,
            "; so few samples may differ by chance: give more of them (samples=)" if lost.may_be_chance else "",
        )


def _above(share: float) -> float:
    """``share`` in percent, rounded up to a tenth, so that it is allowed."""
    return math.ceil(10.0 * share) / 10.0


def _help(integers: IntegerNetwork) -> str:
    """What may bring integers nearer to their network."""
    bits = max((taken.bits for taken in integers.inputs.values()), default=0)
    found = [f"leave input_bits out (now {bits}), so that the best are chosen"]
    if integers.per == "population":
        found.append('take per="channel"')
    found.append("bring the features of an input to one range")
    if integers.network.timing is None:
        found.append("take fewer steps, or another code")
    return "what may help: " + ", ".join(found)
