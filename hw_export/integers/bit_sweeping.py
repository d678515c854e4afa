"""bit_sweep(): what a network keeps as integers of fewer bits, for weights and inputs, the same everywhere or mixed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hw_export.integers.assessment import check_allowed
from hw_export.integers.bit_picture import draw
from hw_export.integers.fidelity import Outputs, chunks_of, decisions, fidelity, original_outputs, outputs_of
from hw_export.integers.mean_errors import corrected
from hw_export.integers.mixed_bits import mixed_bits, sensitivities, weights_of
from hw_export.integers.network import FEWEST_WEIGHT_BITS, MOST_WEIGHT_BITS, IntegerNetwork, Per
from hw_export.integers.quantization import check_input_bits, check_per, check_weight_bits, weight_bits_of, written_out
from hw_export.integers.ranges import NeuronLimits
from hw_export.integers.rounding import rounded
from hw_export.integers.simulation import integer_simulation
from snnconv.errors import ConfigurationError, InputError
from snnconv.network import SpikingNetwork
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.surroundings import own_surroundings
from snnconv.tables import Cell, Column, ResultTable, Tabular
from snnconv.text import told_from

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class BitResult:
    """A network as integers of so many bits: shares of ``accuracy`` and ``agreement`` in percent.

    Either is ``None`` for outputs that are no class scores, accuracy without targets too. ``lost`` are the decisions as
    the original's that integers change, in percent, less those that they mend. ``error`` is the root mean square error
    of the outputs, in units of their standard deviation. ``mixed`` are the bits by population and output where they
    differ, at most ``weight_bits`` in the mean over weights; ``quantize`` takes them. ``memory`` is the bytes of all
    weights, a kernel once, synapses in parallel as one. ``refused`` says why there are no such integers.
    """

    per: Per
    weight_bits: int
    input_bits: int
    memory: int
    mixed: Mapping[str, int] | None = None
    accuracy: float | None = None
    agreement: float | None = None
    lost: float | None = None
    error: float | None = None
    refused: str | None = None

    @property
    def quality(self) -> float | None:
        """The accuracy where it is known, else the agreement."""
        return self.agreement if self.accuracy is None else self.accuracy


@dataclass(frozen=True)
class BitSweep(Tabular):
    """Results by bits, measured on ``samples`` samples, and the accuracy of the original where targets are known.

    ``allow_loss`` is what ``smallest`` may lose in percent of the decisions; ``chosen_on`` the samples, first ones of
    these, that mixed bits were chosen on.
    """

    results: tuple[BitResult, ...]
    samples: int
    original: float | None
    allow_loss: float
    chosen_on: int

    @property
    def smallest(self) -> BitResult | None:
        """The result with the fewest bytes of weights, then bits of inputs, that loses at most ``allow_loss``."""
        kept = [each for each in self.results if each.lost is not None and each.lost <= self.allow_loss]
        return min(kept, key=lambda each: (each.memory, each.input_bits, each.lost), default=None)

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {**asdict(self), "results": [asdict(each) for each in self.results]}

    def to_table(self) -> ResultTable:
        """What is kept with every choice of bits; integers that there are not have the reason in the last column."""
        lost = [told_from(each.lost, self.allow_loss) for each in self.results if each.lost is not None]
        digits = max((len(told.partition(".")[2]) for told in lost), default=1)
        columns = (
            *(Column(name) for name in ("step per", "weight bits", "input bits")),
            Column("memory", "KiB", ".1f"),
            *(Column(name, "%", ".1f") for name in ("accuracy", "as the original")),
            Column("lost", "%", f".{digits}f"),
            Column("output error", "%", ".1f"),
        )
        rows: list[tuple[Cell, ...]] = [
            (
                each.per,
                f"{each.weight_bits}, mixed" if each.mixed else each.weight_bits,
                each.input_bits,
                each.memory / 1024,
                *(each.accuracy, each.agreement, each.lost),
                each.refused or (None if each.error is None else 100.0 * each.error),
            )
            for each in self.results
        ]
        return ResultTable(columns, tuple(rows))

    def __str__(self) -> str:
        known = "" if self.original is None else f"; the original decides {self.original:.1f} % right"
        lines = [str(self.to_table()), f"measured on {self.samples} samples{known}"]
        if any(each.mixed for each in self.results):
            lines.append(f"mixed: no more bits in the mean over weights; chosen on the first {self.chosen_on} samples")
        if any(each.lost is not None for each in self.results):
            lines.append(self._smallest_text())
        return "\n".join(lines)

    def _smallest_text(self) -> str:
        found, allowed = self.smallest, f"at most {self.allow_loss:g} % of the decisions"
        if found is None:
            return f"no choice loses {allowed}"
        bits = str(found.weight_bits)
        if found.mixed:
            bits = ",".join(f"{name}={bits}" for name, bits in found.mixed.items())
        options = f"--per {found.per} --input-bits {found.input_bits} --weight-bits {bits}"
        return f"the fewest bytes that lose {allowed}, {found.memory / 1024:.1f} KiB, to export with: {options}"

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
    allow_loss: float = 1.0,
    progress: ProgressCallback | None = None,
) -> BitSweep:
    """What ``network`` decides as integers with every choice of ``per``, ``weight_bits`` and ``input_bits``.

    Each is ``quantize`` with these options. With the most bits for inputs, weights have mixed bits too: for every mean
    in ``weight_bits`` but the most, those by population and output that move the outputs of some samples least.
    ``samples``, a batch, are those that the calibration held out if not given. ``targets`` are their classes, ``[N]``.
    ``allow_loss`` is the percentage of its decisions that ``BitSweep.smallest`` may lose. Integers that could overflow
    are a result with the reason. ``progress`` is told of all that is measured. Raises ``ConfigurationError`` for bits
    that there are not and for what integers cannot represent at all, ``InputError`` for targets that do not fit.
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
    check_allowed(allow_loss)
    exact = original_outputs(network, chunks)
    if targets is not None:
        _check_targets(targets, exact, given=samples is not None)
    found = written_out(network)
    weights, most = weights_of(found), max(weight_bits)
    fewer = sorted({*weight_bits} - {most}) if len(weights) > 1 else []
    choices = list(product(per, weight_bits, input_bits))
    done = PartsDone(progress, "measuring bits", len(choices) + len(per) * len(fewer) * (len(weights) + 1))
    kept = fidelity(outputs_of(network, chunks), exact).agreement

    def measured(one: Per, weight: int, taken: int, mixed: Mapping[str, int] | None = None) -> BitResult:
        widths = mixed or dict.fromkeys(weights, weight)
        result = BitResult(
            one, weight, taken, -(-sum(bits * weights[name] for name, bits in widths.items()) // 8), mixed
        )
        try:
            whole = rounded(found, one, taken, NeuronLimits(), weight_bits_of(found, widths))
            integers = corrected(whole, network.held_out or chunks)
        except ConfigurationError as error:
            return replace(result, refused=str(error))
        finally:
            done.more()
        outputs = outputs_of(integer_simulation(integers), chunks)
        near = fidelity(outputs, exact)
        lost = 100.0 * (1.0 - near.agreement / kept) if kept and near.agreement is not None else None
        return replace(
            result, accuracy=_accuracy(outputs, targets), agreement=near.agreement, lost=lost, error=near.error
        )

    def mixed_for(one: Per, taken: int) -> list[BitResult]:
        def integers_of(widths: Mapping[str, int]) -> IntegerNetwork:
            return rounded(found, one, taken, NeuronLimits(), weight_bits_of(found, widths))

        def few_outputs(integers: IntegerNetwork) -> Outputs:
            return outputs_of(integer_simulation(integers), chunks[:1])

        try:
            errors = sensitivities([*weights], weight_bits, integers_of, few_outputs, done.more)
        except ConfigurationError:  # the rows of the same bits everywhere say why
            return []
        return [measured(one, mean, taken, mixed_bits(errors, weights, mean)) for mean in fewer]

    results = [measured(*choice) for choice in choices]
    if fewer:
        results += [each for one in per for each in mixed_for(one, max(input_bits))]
    done.end()
    return BitSweep(tuple(results), len(exact[0]), _accuracy(exact, targets), allow_loss, len(chunks[0][0]))


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
