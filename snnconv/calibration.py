"""Calibration: scales of populations from the activations of sample data, exact and independent of batching."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from coding import Code
from coding.fit import fit
from snnconv.data.batches import Inputs, batches, number_of_batches
from snnconv.errors import ConfigurationError, InputError
from snnconv.graph import Graph
from snnconv.interpreter import evaluate_graph
from snnconv.observed import Observed
from snnconv.progress import ProgressCallback, told

#: Samples that one pass of the original network sees at once; fixed, so results never depend on the user's batches.
CHUNK = 32
HELD_OUT_EVERY = 5
#: Share of the mean square of a population's values that a code may silence before it is worth a warning.
SILENCED_SHARE = 0.01

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """Sample inputs in chunks, in an order that depends on their content alone; some are held out for verification."""

    fitted: tuple[Inputs, ...]
    held_out: tuple[Inputs, ...]


def collect(data: Any, progress: ProgressCallback | None = None) -> list[Inputs]:
    """The inputs of all batches of ``data``, checked.

    Raises ``InputError`` for data that is empty, mis-shaped, or holds NaN or infinite values.
    """
    found = told(progress, "reading calibration samples", batches(data, "calibration"), number_of_batches(data))
    parts = [inputs for inputs, _ in found]
    first = parts[0]
    if all(tensor.dim() == 1 for tensor in first):
        raise InputError(
            f"calibration: input 0 has shape {list(first[0].shape)}; the first axis counts samples, so it needs another"
        )
    for part in parts:
        if len(part) != len(first):
            raise InputError(f"calibration: batches differ: {len(first)} inputs in one and {len(part)} in another")
        for position, (tensor, like) in enumerate(zip(part, first, strict=True)):
            one, other = ((t.shape[1:], t.dtype, t.device) for t in (tensor, like))
            if one != other:
                raise InputError(
                    f"calibration: batches differ: input {position} is {list(one[0])} {one[1]} on {one[2]} in one and "
                    f"{list(other[0])} {other[1]} on {other[2]} in another, batch axis aside"
                )
            if not tensor.is_floating_point():
                raise InputError(f"calibration: input {position} is {tensor.dtype}; the network takes floating point")
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"calibration: input {position} holds NaN or infinite values")
    return parts


def arrange(parts: Sequence[Inputs], batch_axis: int | None) -> Calibration:
    """Samples of all ``parts`` in the order of their digests, cut into chunks; every fifth sample is held out.

    Without a batch axis every part is one sample.
    """
    if batch_axis is None:
        shapes = {tuple(tensor.shape for tensor in part) for part in parts}
        if len(shapes) > 1:
            listed = " and ".join(str([list(shape) for shape in part]) for part in sorted(shapes))
            raise InputError(f"calibration: the model fixes its first axis, and samples have the shapes {listed}")
        samples = sorted((tuple(tensor.detach() for tensor in part) for part in parts), key=_digest)
    else:
        for part in parts:
            lengths = {tensor.shape[0] for tensor in part}
            if len(lengths) > 1:
                raise InputError(f"calibration: the inputs of one batch differ in length: {sorted(lengths)}")
        singles = (
            tuple(tensor[sample : sample + 1].detach() for tensor in part)
            for part in parts
            for sample in range(part[0].shape[0])
        )
        samples = sorted(singles, key=_digest)
    held_out = samples[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    fitted = [sample for position, sample in enumerate(samples, start=1) if position % HELD_OUT_EVERY]
    size = 1 if batch_axis is None else CHUNK
    return Calibration(_chunks(fitted, size), _chunks(held_out, size))


def _chunks(samples: Sequence[Inputs], size: int) -> tuple[Inputs, ...]:
    groups = (samples[start : start + size] for start in range(0, len(samples), size))
    return tuple(
        group[0] if size == 1 else tuple(torch.cat(column) for column in zip(*group, strict=True)) for group in groups
    )


def _digest(sample: Inputs) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in sample:
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.digest()


@dataclass(frozen=True)
class Scaling:
    """How scales are chosen: a percentile of the activations (100: the maximum) or least squares ("mse")."""

    percentile: float | Literal["mse"] = 99.9

    def __post_init__(self) -> None:
        number = isinstance(self.percentile, (int, float)) and not isinstance(self.percentile, bool)
        if self.percentile != "mse" and not (number and 0.0 < float(self.percentile) <= 100.0):
            raise ConfigurationError(f"percentile must be 'mse' or lie in (0, 100], got {self.percentile!r}")


def observe(
    graph: Graph, found: Mapping[str, Observed], chunks: Iterable[Inputs], progress: ProgressCallback | None = None
) -> None:
    """Gather the statistics of the results that ``found`` names, when ``graph`` runs on ``chunks``.

    Two passes: maxima first, then histograms over the ranges found. Raises ``InputError`` for a result that is NaN or
    infinite.
    """
    passes = [(Observed.observe_maximum, chunk) for chunk in chunks]
    passes += [(Observed.observe_histogram, chunk) for _, chunk in passes]
    with torch.no_grad():
        for method, chunk in told(progress, "observing activations", passes, len(passes)):
            _, values = evaluate_graph(graph, chunk, keep=found)
            for name, observed in found.items():
                if not bool(torch.isfinite(values[name]).all()):
                    raise InputError(f"calibration: the activation {name} is NaN or infinite for some sample")
                method(observed, values[name])


def largest_of(observed: Observed, scaling: Scaling, code: Code) -> Tensor:
    """The largest value that ``code`` is to carry for every channel, ``[channels]``; 0 where nothing was active."""
    if scaling.percentile == "mse":
        return observed.least_squares(code)
    return observed.percentile(scaling.percentile)


def fitted_code(code: Code, observed: Observed, scaling: Scaling) -> Code:
    """``code`` with its free parameter fitted to what was observed, all channels together, each by its own range.

    With least-squares scales the range depends on the code and the code on the range, so both are fitted in turn.
    """
    if code.free_parameter is None:
        return code
    if not bool((observed.maximum > 0).any()):  # nothing is known of the values, so all are taken to be as likely
        centres = observed.centres()
        return fit(code, centres, torch.ones_like(centres))
    first = Scaling(99.9) if scaling.percentile == "mse" else scaling
    fitted = fit(code, *_relative_to(observed, largest_of(observed, first, code)))
    if scaling.percentile == "mse":
        for _ in range(2):
            fitted = fit(code, *_relative_to(observed, largest_of(observed, scaling, fitted)))
    return fitted


def _relative_to(observed: Observed, largest: Tensor) -> tuple[Tensor, Tensor]:
    """Values ``[channels, bins]`` in units of the largest to carry, and the weight of their squared errors."""
    active = observed.maximum > 0
    unit = largest[active][:, None]
    values = observed.maximum[active][:, None] * observed.centres()[None] / unit
    weights = observed.histogram[active].double() * unit.double() ** 2
    weights[:, 0] = 0.0
    return values, weights


def scale_of(observed: Observed, scaling: Scaling, code: Code) -> tuple[Tensor, tuple[int, ...]]:
    """Scale ``[channels]`` of a population (``[1]`` for one scale), and the channels that were silent throughout.

    A silent channel takes the largest scale of the layer: it neither divides by zero nor saturates if it fires later.
    """
    found = largest_of(observed, scaling, code)
    silent = observed.maximum <= 0
    largest = found.max()
    fallback = largest if bool(largest > 0) else torch.ones_like(largest)
    found = torch.where(found > 0, found, fallback)
    if observed.activation.bound is not None:
        found = found.clamp(max=observed.activation.bound)
    return found / code.maximum, tuple(int(channel) for channel in torch.nonzero(silent).flatten())


def silenced(observed: Observed, scale: Tensor, code: Code) -> tuple[int, float]:
    """Active calibration values that ``code`` makes silent, and their share of the mean square of all values."""
    active = observed.maximum > 0
    values = observed.maximum[active][:, None] * observed.centres()[None]
    counts = observed.histogram[active].clone()
    counts[:, 0] = 0  # mostly zeros
    lost = code.quantize(values / scale.expand(len(active))[active][:, None], counted=False).values == 0
    squares = counts * values.double().square()
    return int(counts[lost].sum()), float(squares[lost].sum() / squares.sum().clamp(min=1e-300))


def warn_of_silence(name: str, observed: Observed, scaling: Scaling, code: Code) -> None:
    """Log a warning where the window is too short for the range of the values, with a length that would do."""

    def found(steps: int) -> tuple[int, float]:
        longer = replace(code, steps=steps)
        return silenced(observed, scale_of(observed, scaling, longer)[0], longer)

    count, share = found(code.steps)
    if share <= SILENCED_SHARE:
        return
    remedy = "give it more steps, or a code of a wider range"
    try:
        short, enough = code.steps, 2 * code.steps
        while enough <= 16 * code.steps and found(enough)[1] > SILENCED_SHARE:
            short, enough = enough, 2 * enough
        while enough <= 16 * code.steps and enough - short > 1:
            middle = (short + enough) // 2
            short, enough = (short, middle) if found(middle)[1] <= SILENCED_SHARE else (middle, enough)
        if enough <= 16 * code.steps:
            remedy = f"{enough} steps would do"
    except ConfigurationError:  # a code whose other parameters do not fit another number of steps
        pass
    _logger.warning(
        "%s: a window of %d steps is too short for the range of its values: %d activations of the calibration data "
        "(%.1f %% of the mean square) are silenced; %s",
        name,
        code.steps,
        count,
        100.0 * share,
        remedy,
    )
