"""How values become a bundle's integers and its sums values again, as its manifest says, checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hw_export.explicit.maps import Array
from hw_export.integers.network import IntegerInput
from hw_export.lava.bundle import lava_form
from snnconv.errors import StorageError
from snnconv.network import SpikingNetwork


@dataclass(frozen=True)
class Decoding:
    """Numbers between a network and the integers that stand for it on Lava.

    ``inputs`` say how values become integers, in the order of the network's inputs. ``outputs`` are what 1 stands for
    in the sums of an output, one for all or one a channel, and what is added. ``units`` are the payloads that 1 stands
    for, by population.
    """

    steps: int
    inputs: Mapping[str, IntegerInput]
    outputs: Mapping[str, tuple[Array, Array]]
    units: Mapping[str, float]

    @staticmethod
    def of(manifest: Mapping[str, Any], arrays: Mapping[str, Array], network: SpikingNetwork) -> Decoding:
        """What ``manifest`` says of ``network``; raises ``StorageError`` where it does not fit or makes no sense."""
        try:
            found = Decoding(
                manifest["steps"],
                {entry["name"]: _input(entry, manifest) for entry in manifest["inputs"]},
                {entry["name"]: (arrays[entry["step"]], arrays[entry["offset"]]) for entry in manifest["outputs"]},
                {node: manifest["units"][node] for node in network.populations},
            )
            shapes = {entry["name"]: tuple(entry["shape"]) for entry in manifest["populations"]}
            sizes = {entry["name"]: math.prod(entry["shape"]) for entry in manifest["outputs"]}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise StorageError(f"the manifest does not describe the network: {type(error).__name__} {error}") from error
        numbers = [found.steps, *(taken.step for taken in found.inputs.values()), *found.units.values()]
        positive = all(type(number) in (int, float) and 0 < number < math.inf for number in numbers)
        ends = [end for taken in found.inputs.values() for end in (taken.smallest, taken.largest)]
        if not positive or {type(number) for number in (found.steps, *ends)} != {int}:
            raise StorageError("steps and what 1 stands for must be positive, and ends of inputs integers")
        if any(not taken.smallest <= 0 <= taken.largest for taken in found.inputs.values()):
            raise StorageError("the smallest integer of an input must not be above 0, the largest not below")
        stations = {
            node: lava_form(tuple(count.shape))
            for node, count in network.synapses.fan_out.items()
            if node not in network.graph.inputs
        }
        described = ([*found.inputs], shapes, {*found.outputs})
        if described != ([*network.graph.inputs], stations, {*network.execution_plan.decoded_nodes}):
            raise StorageError("the manifest has other inputs, populations, gates or outputs than the network")
        for name, (step, offset) in found.outputs.items():
            fits = offset.size == sizes[name] and step.size in (1, *offset.shape[:1])
            if not fits or not _sound(step) or not _sound(offset):
                raise StorageError(f"step and offset of output {name} do not fit it, or are no finite numbers")
        return found


def _input(entry: Mapping[str, Any], manifest: Mapping[str, Any]) -> IntegerInput:
    if manifest["version"] >= 3:
        return IntegerInput(entry["step"], entry["smallest"], entry["largest"])
    largest = manifest["largest_input"]  # both sides alike, for all inputs
    return IntegerInput(entry["step"], -largest, largest)


def _sound(array: Array) -> bool:
    return array.dtype.kind in "iuf" and bool(np.isfinite(array).all())
