"""What a user may say of a conversion beside the codes, and how scales follow from it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from coding import Code
from neurons import NEURONS, Negative, Neuron
from neurons.registry import named_neurons
from snnconv.calibration.scales import Scaling
from snnconv.errors import ConfigurationError

#: What the output is decoded from.
Decoding = Literal["potential", "spike-count"]
#: Share of what a maximum picks that a percentile of the values in front of it may cut off.
_PICKED_SHARE = 0.05

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a user may say of the assembly beside the codes; ``None`` is the schedule's own default."""

    percentile: float | Literal["mse"] | None = None
    neuron: str | Neuron | Callable[[Code], Neuron] = "integrate-fire"
    bias_correction: bool = True
    normalization: Literal["channel", "layer"] = "channel"
    negative: Negative | None = None
    initial_potential: float | None = None
    decoding: Decoding = "potential"

    def check(self) -> None:
        """Raise ``ConfigurationError`` for what cannot work, whatever the codes are, before anything is computed."""
        self.scaling(windowed=True)
        if self.normalization not in ("channel", "layer"):
            raise ConfigurationError(f"normalization must be 'channel' or 'layer', got {self.normalization!r}")
        if self.negative not in (None, *get_args(Negative)):
            raise ConfigurationError(f"negative must be one of {', '.join(get_args(Negative))}, got {self.negative!r}")
        if isinstance(self.neuron, str) and self.neuron not in named_neurons():
            what = "cannot be made from a code alone" if self.neuron in NEURONS else "is unknown"
            raise ConfigurationError(
                f"neuron {self.neuron!r} {what}; give one of {', '.join(named_neurons())}, or a function that makes a "
                "neuron from a code"
            )
        if self.initial_potential is not None and not 0.0 <= self.initial_potential < 1.0:
            raise ConfigurationError(f"initial_potential must lie in [0, 1), got {self.initial_potential!r}")
        if self.decoding not in get_args(Decoding):
            raise ConfigurationError(f"decoding must be one of {', '.join(get_args(Decoding))}, got {self.decoding!r}")

    def scaling(self, windowed: bool) -> Scaling:
        """How scales are chosen: by least squares for windows, by a high percentile for streams."""
        return Scaling(self.percentile if self.percentile is not None else "mse" if windowed else 99.9)

    def scaling_before(self, picked_from: int, windowed: bool, name: str) -> Scaling:
        """The same for the population ``name``, of whose values a maximum behind it picks one of ``picked_from``.

        The maximum picks just what a percentile cuts off: where that is many, 100 is the default, and another
        percentile is worth a warning.
        """
        scaling = self.scaling(windowed)
        if scaling.percentile == "mse" or (cut := picked_from * (1.0 - scaling.percentile / 100.0)) <= _PICKED_SHARE:
            return scaling
        if self.percentile is None:
            return Scaling(100.0)
        _logger.warning(
            "%s: percentile=%g cuts about %.0f %% of what the maximum over %d values behind it picks: convert with "
            "percentile=100",
            name,
            scaling.percentile,
            min(100.0, 100.0 * cut),
            picked_from,
        )
        return scaling
