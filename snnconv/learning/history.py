"""What every epoch of learning leaves behind."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from snnconv.learning.spike_metrics import Change, Measures
from snnconv.training.checkpoint import Checkpoint, Records, is_number
from snnconv.training.loop import Epoch

_ACCURACIES = ("by_first", "by_count")


@dataclass(frozen=True)
class EpochRecord(Epoch):
    """One epoch, counted from 0.

    ``loss`` is the mean over samples, ``training`` what batches were before their step, ``validation`` what the
    validation samples are after the epoch, if there are any. ``clamped`` is the share of spikes at which the rise of
    the potential is clamped, and ``change`` what the epoch did to trains, both on the probe. ``dead_batches`` had no
    output spike. ``learning_rates`` are those of the optimiser's groups.
    """

    epoch: int
    training: Measures
    validation: Measures | None
    clamped: float
    change: Change
    dead_batches: int
    learning_rates: tuple[float, ...]


@dataclass(frozen=True)
class LearningLog:
    """The records of all epochs, and how many of these were read from a checkpoint."""

    epochs: tuple[EpochRecord, ...]
    resumed: int


def records_from(found: Records, file: Checkpoint) -> list[EpochRecord]:
    """The records of a checkpoint; raises ``StorageError`` for what are none."""
    return [_record(record, number, file) for number, record in enumerate(found)]


def _record(found: dict[str, Any], number: int, file: Checkpoint) -> EpochRecord:
    try:
        judged = found["validation"]
        rates = found["learning_rates"]
        record = EpochRecord(
            **{
                **found,
                "training": _numbers(Measures, found["training"]),
                "validation": None if judged is None else _numbers(Measures, judged),
                "change": _numbers(Change, found["change"]),
                "learning_rates": tuple(rates),
            }
        )
        plain = (record.epoch, record.loss, record.clamped, record.dead_batches, *rates)
        if record.epoch != number or not all(map(is_number, plain)):
            raise ValueError("a number is missing")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise file.broken(f"the record of epoch {number + 1} is damaged ({error})") from error
    return record


def _numbers(kind: type[Any], values: dict[str, Any]) -> Any:
    # Accuracies without labels are not a number; all are the same object, so that equal records compare equal.
    values = {name: math.nan if name in _ACCURACIES and value != value else value for name, value in values.items()}
    finite = all(is_number(value) or value is math.nan for value in values.values())
    if set(values) != {field.name for field in fields(kind)} or not finite:
        raise ValueError(f"{kind.__name__} has other or no numbers")
    return kind(**values)
