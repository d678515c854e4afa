"""A network: populations with clocks of their own, gates, connections and outputs, as a bundle describes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_runtime.layout import Shape


@dataclass(frozen=True)
class Input:
    """Integers from ``smallest`` to ``largest``, given at run time and sent at the first or at every local step."""

    name: str
    shape: Shape
    repeat: bool
    smallest: int
    largest: int
    depth: int = 0
    unit: bool = False


@dataclass(frozen=True)
class NegativeSide:
    """How neurons with a negative side fire there: ``kind`` says what a negative spike takes back."""

    kind: str
    reciprocal_slope: int
    halved: bool

    @property
    def charge(self) -> int:
        return self.reciprocal_slope if self.kind == "imbalanced" else 1


@dataclass(frozen=True)
class BundleStreamRule:
    """Neurons that fire whenever they reach the threshold, with a gain that may grow from spike to spike."""

    reset: str
    gain: int
    largest_gain: int | None
    negative: NegativeSide | None


@dataclass(frozen=True)
class BundleTableRule:
    """Neurons that fire in a window, with the payload and the threshold of every step from a table."""

    fire_from: int
    payloads: np.ndarray
    thresholds: np.ndarray
    limit: int | None
    reciprocal_slope: int | None


@dataclass(frozen=True)
class BundleLookupRule:
    """Neurons that fire in a window of ``window`` steps: the first spike names a cell, the second a place in it.

    Tables are [channels, cells], or one row for all channels.
    """

    fire_from: int
    window: int
    thresholds: np.ndarray
    payloads: np.ndarray
    origins: np.ndarray
    widths: np.ndarray
    slopes: np.ndarray


@dataclass(frozen=True)
class BundlePopulation:
    """Neurons of one rule; thresholds, initial potentials and biases broadcast to ``shape``."""

    name: str
    shape: Shape
    depth: int
    unit: bool
    rule: BundleStreamRule | BundleTableRule | BundleLookupRule
    threshold: np.ndarray
    initial: np.ndarray
    bias: np.ndarray
    bias_every_step: bool
    #: Lava's own neurons compute it.
    built_in: bool


@dataclass(frozen=True)
class BundleGate:
    """Max pooling over what neurons send, in the step in which they send it."""

    name: str
    shape: Shape
    depth: int
    unit: bool
    source: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    mode: str


@dataclass(frozen=True)
class BundleConvolution:
    """Synapses that share a kernel: torch's convolution without a bias."""

    weight: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True)
class DenseSynapses:
    """Synapses as a matrix of target by source neurons, both in the order of the bundle."""

    weight: np.ndarray


@dataclass(frozen=True)
class SparseSynapses:
    """Synapses as compressed rows of the matrix of target by source neurons."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


@dataclass(frozen=True)
class BundleConnection:
    """Synapses from ``source`` to ``target``; a payload takes ``delay`` steps."""

    source: str
    target: str
    delay: int
    synapses: BundleConvolution | DenseSynapses | SparseSynapses


@dataclass(frozen=True)
class Output:
    """What arrives over a sample is summed."""

    name: str
    shape: Shape
    depth: int


@dataclass(frozen=True)
class BundleNetwork:
    """All parts by name; samples start every ``interval`` steps and last ``steps``."""

    interval: int
    steps: int
    inputs: dict[str, Input]
    populations: dict[str, BundlePopulation]
    gates: dict[str, BundleGate]
    connections: list[BundleConnection]
    outputs: dict[str, Output]

    def source(self, name: str) -> Input | BundlePopulation | BundleGate:
        """What sends under ``name``; ``KeyError`` if nothing does."""
        return self.inputs.get(name) or self.populations.get(name) or self.gates[name]

    def target(self, name: str) -> BundlePopulation | Output:
        """What receives under ``name``; ``KeyError`` if nothing does."""
        return self.populations.get(name) or self.outputs[name]
