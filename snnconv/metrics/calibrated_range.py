"""Warning where data leave the range that a network was calibrated on, or fill next to nothing of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.graph.interpreter import Environment, Program
from snnconv.graph.operators.sample_masks import presence_of
from snnconv.simulators.observers import Observer, Samples
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.input_range import Filling, Leaving

#: Share of values outside that is worth a warning, and widths of the range that one value may lie outside: the largest
#: of more samples of the same kind leaves it now and then, and by little.
_SHARE, _WIDTHS = 0.01, 1.0
#: Widths by which currents may leave the range of those that tables were fitted to: tables go on for samples to come.
_BEYOND = 0.05
#: What share of the range so many samples fill at least, if they are of the kind of those of calibration: the largest
#: of few samples, or of values with heavy tails, is often much smaller than that of others.
_FILLED, _SAMPLES = 0.02, 256

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftRanges:
    """How far values left the ranges of calibration: of inputs in order, and of currents by population with tables.

    ``fillings`` say how much of their ranges inputs take up, those that are spikes, too.
    """

    inputs: tuple[Leaving, ...]
    looked_up: Mapping[str, Leaving]
    fillings: tuple[Filling, ...]

    def merge(self, other: LeftRanges) -> LeftRanges:
        """Both together."""
        names = dict.fromkeys((*self.looked_up, *other.looked_up))
        found = {name: [each.looked_up[name] for each in (self, other) if name in each.looked_up] for name in names}
        return LeftRanges(
            tuple(a.merge(b) for a, b in zip(self.inputs, other.inputs, strict=True)),
            {name: reduce(Leaving.merge, each) for name, each in found.items()},
            tuple(a.merge(b) for a, b in zip(self.fillings, other.fillings, strict=True)),
        )

    def warn(self) -> None:
        """Log what ``warnings`` says."""
        for told in self.warnings():
            _logger.warning("%s", told)

    def warnings(self) -> list[str]:
        """What is to be said of inputs, and of populations with tables, that left their range or hardly fill it."""
        inputs = [
            f"{leaving.text(f'input {position}')}; activations may then be larger than the codes carry, and all "
            "figures of the spiking network suffer: prepare the data as the calibration samples were, or convert with "
            "samples like them"
            for position, leaving in enumerate(self.inputs)
            if _far(leaving)
        ]
        tables = [
            f"{leaving.text(f'population {name}')}; its tables end there, and all figures of the spiking network "
            "suffer: convert with more calibration samples, or with samples like these"
            for name, leaving in self.looked_up.items()
            if _far(leaving)
        ]
        narrow = [
            f"input {position} fills {filling.share:.2%} of the range seen in calibration; scales may be those of "
            "values so much larger, and spikes too few to tell these apart: prepare the calibration samples as the "
            "data are, and convert again"
            for position, filling in enumerate(self.fillings)
            if filling.samples >= _SAMPLES and 0.0 < filling.share < _FILLED
        ]
        return inputs + tables + narrow


class CalibratedRange(Observer):
    """Watches inputs of ``network`` as they come, and currents of populations with tables, which clip them.

    Where inputs are spikes, the simulator says itself that it clips.
    """

    wants_potentials = True

    def __init__(self, network: NetworkBase) -> None:
        self._network = network
        graph = network.graph
        names = {node: presence_of(graph, graph.nodes[node]) for node in network.populations}
        #: By population with tables: the name of what says where its neurons are needed.
        self._presence = {node: name for node, name in names.items() if name is not None}
        wanted = {*self._presence.values()}
        nodes = []
        for each in reversed([*graph.nodes.values()]):
            if each.name in wanted:
                nodes.append(each)
                wanted.update(each.refs())
        self._masks = Program(nodes[::-1], keep=[*self._presence.values()])
        self._present: Environment = {}
        self._ranges = [] if network.plan.input.spiking else network.input_ranges
        self._found: list[Leaving] = []
        self._fillings: list[Filling] = []
        self._looked_up: dict[str, Leaving] = {}

    def see(self, inputs: Inputs) -> None:
        """Take a batch in."""
        given = dict(zip(self._network.graph.taken, inputs, strict=True))
        self._present = {**self._network.constants, **given}
        self._masks.run(self._present)
        found = [seen.leaving(values) for seen, values in zip(self._ranges, inputs, strict=False)]
        self._found = [a.merge(b) for a, b in zip(self._found, found, strict=True)] if self._found else found
        count = 1 if self._network.batch_axis is None else len(inputs[0])
        ranges = self._network.input_ranges
        filled = [seen.filling(values, count) for seen, values in zip(ranges, inputs, strict=False)]
        pairs = zip(self._fillings, filled, strict=True)
        self._fillings = [a.merge(b) for a, b in pairs] if self._fillings else filled

    def looked_up(self, node: str, potentials: Tensor, samples: Samples) -> None:
        population = self._network.populations[node]
        currents = potentials * population.broadcast_scale(potentials.dim())
        sizes = population.sizes(currents, population.activation(currents))
        excess = (sizes / population.broadcast_scale(potentials.dim()) - population.largest) / (2 * population.largest)
        if node in self._presence:  # tables were not fitted to pairs that a mask forbids
            name = self._presence[node]
            present = self._present[name]
            present = present[samples] if name in self._network.graph.nodes else present  # or a constant
            excess = excess[present.expand_as(excess)]
        farthest = max(0.0, float(excess.max())) if excess.numel() else 0.0
        found = Leaving((int((excess > _BEYOND).sum()),), excess.numel(), farthest)
        before = self._looked_up.get(node)
        self._looked_up[node] = found if before is None else before.merge(found)

    @property
    def left(self) -> LeftRanges:
        """What was seen so far."""
        names = self._network.populations
        looked_up = {names[node].name: each for node, each in self._looked_up.items()}
        return LeftRanges(tuple(self._found), looked_up, tuple(self._fillings))


def _far(leaving: Leaving) -> bool:
    return leaving.share > _SHARE or leaving.farthest > _WIDTHS
