"""The report of an export to netx: its layers, how to run them, what was rewritten, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hw_export.integers.assessment import UNMEASURED
from hw_export.integers.fidelity import Fidelity
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.rewriting import rewritten
from hw_export.netx.chain import ChainLayer, LayerChain
from hw_export.netx.layout import MESSAGE_BITS, READ_EVERY_STEP, READ_ONCE
from snnconv.tables import Column, ResultTable, Tabular

#: What an output needs whose sums do not fit a membrane.
_FORGETS = (
    "sums of the output do not fit its membranes, so these lose all at every step, by a vDecay of 4096, which the 12 "
    "bits that Lava declares do not hold: that is exact in its simulation, and a chip may not do it; fewer steps, "
    "input_bits or sources of the last layer may bring the sums within membranes"
)


@dataclass(frozen=True)
class NetxLayer:
    """A layer as it was written; ``threshold`` is ``None`` for an output, whose neurons never fire."""

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    largest_weight: int
    largest_bias: int
    threshold: int | None


@dataclass(frozen=True)
class NetxReport(Tabular):
    """Layers in order, how inputs are given and outputs read, what was rewritten, and the fidelity before and after."""

    layers: tuple[NetxLayer, ...]
    steps: int
    input_shape: tuple[int, ...]
    output_read: str
    notes: tuple[str, ...]
    fidelity: Mapping[str, Fidelity]

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return asdict(self) | {"fidelity": {label: asdict(found) for label, found in self.fidelity.items()}}

    def to_table(self) -> ResultTable:
        """What every layer is."""
        heads = ("layer", "type", "shape", "weights", "largest", "largest bias", "fires at")
        rows = tuple(
            (
                each.name,
                each.kind,
                "x".join(map(str, each.shape)),
                each.weights,
                each.largest_weight,
                each.largest_bias,
                "never" if each.threshold is None else each.threshold,
            )
            for each in self.layers
        )
        return ResultTable(tuple(map(Column, heads)), rows)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape[::-1]))
        use = (
            f"to load: netx.hdf5.Network(net_config=..., input_message_bits={MESSAGE_BITS}, "
            f"reset_interval={self.steps}, reset_offset=1); give integers {shape} at each of {self.steps} steps a "
            f"sample; outputs are membranes / 64 of the last layer, read {self.output_read}"
        )
        measured = [f"{label}: {found}" for label, found in self.fidelity.items()]
        return "\n".join([str(self.to_table()), use, *(f"- {note}" for note in self.notes), *measured])


def report_of(integers: IntegerNetwork, layers: LayerChain, fidelity: Mapping[str, Fidelity]) -> NetxReport:
    """The report of ``layers``, which ``integers`` became, with the ``fidelity`` that was measured, by label."""
    forgets = [] if layers.output.memory else [_FORGETS]
    notes = (*rewritten(integers), *forgets, *([] if fidelity else [UNMEASURED]))
    read = READ_ONCE if layers.output.memory else READ_EVERY_STEP
    found = tuple(_described(each, each is layers.output) for each in layers.layers)
    return NetxReport(found, integers.steps, layers.shape, read, notes, fidelity)


def _described(layer: ChainLayer, last: bool) -> NetxLayer:
    weights = np.abs(layer.weight.astype(np.int64))
    bias = 0 if layer.bias is None else int(np.abs(layer.bias).max())
    kind = "dense" if layer.geometry is None else "conv"
    threshold = None if last else layer.fires_at
    return NetxLayer(layer.name, kind, layer.shape, layer.weight.size, int(weights.max()), bias, threshold)
