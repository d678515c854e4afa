"""Warning where data leave the range that a network was calibrated on."""

from __future__ import annotations

import logging

from snnconv.data.batches import Inputs
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.input_range import Leaving

#: Share of values outside that is worth a warning, and widths of the range that one value may lie outside: the largest
#: of more samples of the same kind leaves it now and then, and by little.
_SHARE, _WIDTHS = 0.01, 1.0

_logger = logging.getLogger(__name__)


class CalibratedRange:
    """Watches inputs of ``network`` as they come; where they are spikes, the simulator says itself that it clips."""

    def __init__(self, network: NetworkBase) -> None:
        self._ranges = [] if network.plan.input.spiking else network.input_ranges
        self._found: list[Leaving] = []

    def see(self, inputs: Inputs) -> None:
        """Take a batch in."""
        found = [seen.leaving(values) for seen, values in zip(self._ranges, inputs, strict=False)]
        self._found = [a.merge(b) for a, b in zip(self._found, found, strict=True)] if self._found else found

    def warn(self) -> None:
        """Log a warning for every input that left its range."""
        for position, leaving in enumerate(self._found):
            if leaving.share > _SHARE or leaving.farthest > _WIDTHS:
                _logger.warning(
                    "%s; activations may then be larger than the codes carry, and all figures of the spiking network "
                    "suffer: prepare the data as the calibration samples were, or convert with samples like them",
                    leaving.text(str(position)),
                )
