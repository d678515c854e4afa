"""The input code under which a ``SpikingNetwork`` takes the spikes that a network learned from."""

from __future__ import annotations

from coding import InputCode
from coding.registry import INPUT_CODES
from snnconv.errors import ConfigurationError
from snnconv.learning.encoders import Encoder, LatencyEncoder, RateEncoder
from snnconv.learning.samples import EncodedSamples, EventSamples, SpikeSamples


def input_code(source: InputCode | Encoder | SpikeSamples, steps: int | None) -> tuple[InputCode, int]:
    """The input code of ``source``, and the time steps it is for: its own, or ``steps`` where it is a code itself.

    Raises ``ConfigurationError`` for a source without such a code, for steps that are missing or others than those of
    the source, and for fewer than the code needs.
    """
    origin = source.encoder if isinstance(source, EncodedSamples) else source
    code, own = _code(origin)
    if own is not None and steps not in (None, own):
        raise ConfigurationError(
            f"the network learned from {own} steps of {type(origin).__name__}; leave steps out, got {steps!r}"
        )
    chosen = own if steps is None else steps
    if chosen is None:
        raise ConfigurationError(f"{code.name} input has no length of its own: say how many steps to simulate")
    if code.least_steps > chosen:
        raise ConfigurationError(
            f"{code.name} input fires up to step {code.least_steps - 1}, and steps={chosen!r} ends before: simulate at "
            f"least {code.least_steps} steps, or give the code an earlier last step"
        )
    return code, chosen


def _code(source: object) -> tuple[InputCode, int | None]:
    if isinstance(source, InputCode):
        if not source.spiking:
            raise ConfigurationError(f"{source.name} input has no spikes; use a code of spikes, such as LatencyInput")
        return source, None
    # An encoder that only inherits may fire otherwise.
    if type(source) is LatencyEncoder:
        return INPUT_CODES["latency"](source.last), source.steps  # type: ignore[call-arg]
    if type(source) is RateEncoder:
        last = None if source.last == source.steps else source.last
        return INPUT_CODES["bernoulli"](source.largest, last), source.steps  # type: ignore[call-arg]
    if isinstance(source, EventSamples):
        return INPUT_CODES["events"](), source.steps
    raise ConfigurationError(
        f"{type(source).__name__} has no input code that fires its spikes; give coding.EventInput() and the steps, and "
        "the network the encoded spikes, samples first [N, T, inputs]"
    )
