"""bit_sweep(): what a network keeps as integers of fewer bits, for weights and inputs, per channel and population."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hw_export.integers.bit_picture import draw
from hw_export.integers.fidelity import Outputs, chunks_of, decisions, fidelity, original_outputs, outputs_of
from hw_export.integers.network import FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS, Per
from hw_export.integers.quantization import check_input_bits, check_per, check_weight_bits, written_out
from hw_export.integers.ranges import NeuronLimits
from hw_export.integers.rounding import rounded
from hw_export.integers.simulation import integer_simulation
from snnconv.errors import ConfigurationError, InputError
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.surroundings import own_surroundings
from snnconv.text import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class BitResult:
    """A network as integers of so many bits: shares of ``accuracy`` and ``agreement`` in percent.

    Either is ``None`` for outputs that are no class scores, accuracy without targets too. ``error`` is the root mean
    square error of the outputs, in units of their standard deviation. ``refused`` says why there are no such integers.
    """

    per: Per
    weight_bits: int
    input_bits: int
    accuracy: float | None = None
    agreement: float | None = None
    error: float | None = None
    refused: str | None = None

    @property
    def quality(self) -> float | None:
        """The accuracy where it is known, else the agreement."""
        return self.agreement if self.accuracy is None else self.accuracy


@dataclass(frozen=True)
class BitSweep:
    """Results by bits, measured on ``samples`` samples, and the accuracy of the original where targets are known."""

    results: tuple[BitResult, ...]
    samples: int
    original: float | None

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {**asdict(self), "results": [asdict(each) for each in self.results]}

    def __str__(self) -> str:
        head = ["step per", "weight bits", "input bits", "accuracy", "as the original", "output error"]
        rows = [
            [
                each.per,
                str(each.weight_bits),
                str(each.input_bits),
                _percent(each.accuracy),
                _percent(each.agreement),
                each.refused or _percent(None if each.error is None else 100.0 * each.error),
            ]
            for each in self.results
        ]
        known = "" if self.original is None else f"; the original decides {self.original:.1f} % right"
        return f"{table(head, rows)}\nmeasured on {self.samples} samples{known}"

    def plot(self, target: str | os.PathLike[str] | None = None) -> Sequence[Axes]:
        """Draw what is kept against the bits of weights, a line for those of inputs, and write it to ``target``.

        Raises ``ConfigurationError`` without matplotlib or results that could be drawn, ``StorageError``.
        """
        return draw(self.results, self.original, None if target is None else os.fspath(target))


@own_surroundings()
def bit_sweep(
    network: SpikingNetwork,
    samples: Tensor | Sequence[Tensor] | None = None,
    targets: Tensor | None = None,
    *,
    weight_bits: Sequence[int] = tuple(range(FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS + 1)),
    input_bits: Sequence[int] = (2, 4, 6, 8),
    per: Sequence[Per] = ("channel", "population"),
    progress: ProgressCallback | None = None,
) -> BitSweep:
    """What ``network`` decides as integers with every choice of ``per``, ``weight_bits`` and ``input_bits``.

    Each is ``quantize`` with these options. ``samples``, a batch, are those that the calibration held out if not
    given. ``targets`` are their classes, ``[N]``. Integers that could overflow are a result with the reason.
    ``progress`` is told of the results. Raises ``ConfigurationError`` for bits that there are not and for what integers
    cannot represent at all, ``InputError`` for targets that do not fit.
    """
    for name, chosen in (("weight_bits", weight_bits), ("input_bits", input_bits), ("per", per)):
        if not chosen or len(set(chosen)) < len(chosen):
            raise ConfigurationError(f"{name} must name each value once, and at least one, got {list(chosen)}")
    for bits in weight_bits:
        check_weight_bits(bits)
    for bits in input_bits:
        check_input_bits(bits)
    for one in per:
        check_per(one)
    chunks = chunks_of(network, samples)
    if not chunks:
        raise ConfigurationError("a network that was loaded has no samples to measure on: give some (samples=, --data)")
    exact = original_outputs(network, chunks)
    if targets is not None:
        _check_targets(targets, exact, given=samples is not None)
    found = written_out(network)
    choices = [(one, weight, taken) for one in per for weight in weight_bits for taken in input_bits]
    done, results = PartsDone(progress, "measuring bits", len(choices)), []
    for one, weight, taken in choices:
        try:
            integers = rounded(found, one, taken, NeuronLimits(), weight)
        except ConfigurationError as error:
            results.append(BitResult(one, weight, taken, refused=str(error)))
        else:
            outputs = outputs_of(integer_simulation(integers), chunks)
            near = fidelity(outputs, exact)
            results.append(BitResult(one, weight, taken, _accuracy(outputs, targets), near.agreement, near.error))
        done.more()
    return BitSweep(tuple(results), len(exact[0]), _accuracy(exact, targets))


def _check_targets(targets: Tensor, exact: Outputs, given: bool) -> None:
    if not given:
        raise InputError("targets belong to samples: give both")
    if decisions(exact) is None:
        raise InputError("targets are classes, and the network has no class scores [N, classes]: leave them out")
    if targets.shape != (len(exact[0]),) or targets.is_floating_point() or targets.dtype == torch.bool:
        raise InputError(
            f"targets must be {len(exact[0])} classes, one a sample, got {list(targets.shape)} of {targets.dtype}"
        )


def _accuracy(outputs: Outputs, targets: Tensor | None) -> float | None:
    decided = decisions(outputs)
    if targets is None or decided is None:
        return None
    return 100.0 * float((decided == targets.cpu()).double().mean())


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} %"
