"""From a rate-coded network to a NIR graph and its file."""

from __future__ import annotations

import io
import logging
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from coding.optional import imported
from hw_export.explicit.maps import Array, ConvolutionMap, Shape
from hw_export.explicit.network import Connection
from hw_export.explicit.rate import RateNetwork, as_matrix, rate_network, strict_threshold
from hw_export.nir.profiles import STANDARD, TIME_CONSTANT, Profile, ProfileName, profile_of
from snnconv.network import SpikingNetwork
from snnconv.storage.atomic import write_whole
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    import nir

_logger = logging.getLogger(__name__)

FORMAT = "snnconv"
VERSION = 2
_ROUNDING = 1e-12


@own_surroundings()
def export(
    network: SpikingNetwork, path: str | os.PathLike[str] | None = None, *, profile: ProfileName | None = None
) -> nir.NIRGraph:
    """Write ``network`` as a NIR graph, and return the graph.

    Populations are IF nodes with threshold 1 and unit spikes. What NIR lacks (initial potential, reset by subtraction,
    scales) is in the nodes' metadata, which ``load`` honours. ``profile`` names the reader that the file is for; it is
    then written as that reader takes it, and what it would run with other spikes is refused. Arrays have the network's
    precision. The file is written whole or not at all. Raises ``ConfigurationError`` for a network that NIR, or that
    reader, cannot represent, and ``StorageError``.
    """
    chosen = profile_of(profile)
    imported("nir", "snnconv[nir]")
    found = rate_network(network, "NIR")
    chosen.check(found)
    graph = _NirWriter(found, chosen).graph()
    if chosen is STANDARD:
        _warn(found)
    if path is not None:
        content = io.BytesIO()
        imported("nir", "snnconv[nir]").write(content, graph)
        write_whole(path, content.getvalue())
    return graph


def _warn(found: RateNetwork) -> None:
    populations = found.populations.values()
    starting = [each.name for each in populations if each.initial_potential != 0.0]
    subtracting = [each.name for each in populations if each.reset == "subtract"]
    said = []
    if starting:
        said.append(f"initial potentials ({', '.join(starting)}; other readers start from 0)")
    if subtracting:
        said.append(f"reset by subtraction ({', '.join(subtracting)}; other readers reset to 0)")
    if said:
        _logger.warning(
            "NIR has no fields for %s: they are in the metadata, which hw_export.nir.load honours. For the same spikes "
            "everywhere convert with neuron=functools.partial(IntegrateFire, reset='zero', initial_potential=0.0)",
            " and ".join(said),
        )


class _NirWriter:
    """Writes the nodes and edges of a graph.

    A population whose connections are all convolutions, with one bias per channel, keeps its axes [C, H, W]. Any other
    is laid flat, and so is what follows: NIR flattens, and cannot undo it.
    """

    def __init__(self, found: RateNetwork, profile: Profile) -> None:
        self._nir = imported("nir", "snnconv[nir]")
        self._found, self._profile = found, profile
        self._type = np.dtype("float64" if found.dtype == torch.float64 else "float32")
        self._nodes: dict[str, Any] = {}
        self._edges: list[tuple[str, str]] = []
        #: Shapes that sources have in the graph, and the names of their nodes, flattened and not.
        self._laid: dict[str, Shape] = {}
        self._names: dict[str, str] = {}
        self._flattened: dict[str, str] = {}

    def graph(self) -> nir.NIRGraph:
        """The graph, its types checked by NIR itself."""
        found = self._found
        shape = tuple(found.explicit.inputs[found.input])
        described = {"name": found.input, "presented": "constant", "shape": np.array(shape)}
        self._names[found.input] = self._add("input", self._nir.Input(np.array(shape), metadata=described))
        self._laid[found.input] = shape
        for target in found.targets:
            self._target(target)
        metadata = {
            "format": FORMAT,
            "version": VERSION,
            "code": "rate",
            "steps": found.steps,
            "dt": self._profile.dt,
            "profile": self._profile.name,
        }
        return self._nir.NIRGraph(self._nodes, self._edges, metadata=metadata)

    def _target(self, target: str) -> None:
        found, into = self._found, self._found.into(target)
        current = found.current(target)
        kernels = [self._kernel(each) for each in into]
        uniform = current.ndim == 3 and _uniform(current)
        summed = target == found.output and len(into) > 1  # an output node takes one edge
        mapped = uniform and all(kernel is not None for kernel in kernels)
        laid = current.shape if mapped else (current.size,)
        bias = np.array(current[:, 0, 0] if mapped else current.reshape(-1))
        before = self._bearers(target, kernels, mapped, None if summed else bias, uniform)
        if summed:
            before = [self._sum(before, laid, bias)]
        node = self._add("output" if target == found.output else found.explicit.name(target), self._end(target, laid))
        self._edges += [(name, node) for name in before]
        self._names[target], self._laid[target] = node, tuple(laid)

    def _bearers(self, target: str, kernels: list[Any], mapped: bool, bias: Array | None, uniform: bool) -> list[str]:
        """Nodes that deliver the currents of ``target``, exactly one of which adds the ``bias``."""
        into = self._found.into(target)
        chosen = next((i for i, kernel in enumerate(kernels) if kernel is None), 0)
        if bias is not None and not mapped and not uniform:
            kernels = [None if i == chosen else kernel for i, kernel in enumerate(kernels)]
        names = []
        for i, (each, kernel) in enumerate(zip(into, kernels, strict=True)):
            added = bias if i == chosen else None
            if kernel is None:
                names.append(self._affine(each, added))
                continue
            if added is not None and not mapped:  # one number per channel
                added = added.reshape(len(kernel.weight), -1)[:, 0]
            if added is not None:
                kernel.bias = added.astype(self._type)
            name = self._synapses(each, kernel)
            self._edges.append((self._names[each.source], name))
            names.append(name if mapped else self._flatten(name, each.map.target_shape))
        return names

    def _sum(self, before: list[str], laid: Shape, bias: Array) -> str:
        weight = np.eye(laid[0], dtype=self._type)
        added = bias.astype(self._type)
        node = self._nir.Affine(weight, added)
        if len(laid) == 3:
            node = self._nir.Conv2d(laid[1:], weight[:, :, None, None], 1, 0, 1, 1, added)
        name = self._add("sum", node)
        self._edges += [(each, name) for each in before]
        return name

    def _kernel(self, connection: Connection) -> Any | None:
        """The connection as a Conv2d without bias; none where NIR cannot represent it, or its source is laid flat."""
        one = connection.map
        if not isinstance(one, ConvolutionMap) or len(self._laid[connection.source]) != 3:
            return None
        found = square(one)
        if found is None:
            return None
        node = self._nir.Conv2d(
            found.source_shape[1:],
            ungrouped(found).astype(self._type),
            found.stride,
            found.padding,
            found.dilation,
            1,
            np.zeros(found.target_shape[0], self._type),
        )
        return node if tuple(node.output_type["output"]) == found.target_shape else None

    def _affine(self, connection: Connection, bias: Array | None) -> str:
        source, explicit = connection.source, self._found.explicit
        between = f"from {explicit.name(source)} to {explicit.name(connection.target)}"
        weight = as_matrix(connection.map, between).astype(self._type)
        added = np.zeros(len(weight)) if bias is None else bias
        name = self._synapses(connection, self._nir.Affine(weight, added.astype(self._type)))
        if len(self._laid[source]) == 1:
            self._edges.append((self._names[source], name))
            return name
        if source not in self._flattened:
            self._flattened[source] = self._flatten(self._names[source], self._laid[source])
        self._edges.append((self._flattened[source], name))
        return name

    def _flatten(self, before: str, shape: Shape) -> str:
        # Counted from the end, so that it holds with and without an axis of samples in front.
        name = self._add(f"{before}_flat", self._nir.Flatten(np.array(shape), start_dim=-len(shape), end_dim=-1))
        self._edges.append((before, name))
        return name

    def _synapses(self, connection: Connection, node: Any) -> str:
        source, target = (self._found.explicit.name(end) for end in (connection.source, connection.target))
        node.metadata = {"source": source, "target": target}
        return self._add(f"{source}_to_{target}", node)

    def _end(self, target: str, laid: Shape) -> Any:
        if target == self._found.output:
            shape = np.array(self._found.current(target).shape, dtype=np.int64)
            return self._nir.Output(np.array(laid), metadata={"decoded": "mean over steps", "shape": shape})
        population = self._found.populations[target]
        metadata = {
            "name": population.name,
            "code": "rate",
            "reset": population.reset,
            "subtracted": 1.0,
            "initial_potential": population.initial_potential,
            "scale": population.scale,
            "shape": np.array(population.shape, dtype=np.int64),
        }
        threshold = np.full(laid, strict_threshold(self._found.dtype), self._type)
        if self._profile.at_threshold:
            metadata["fires"] = "at threshold"
            threshold = np.nextafter(threshold, np.ones((), self._type))
        ones, zeros = np.ones(laid, self._type), np.zeros(laid, self._type)
        if self._profile.node == "IF":
            resistance = np.full(laid, 1.0 / self._profile.dt, self._type)
            return self._nir.IF(r=resistance, v_threshold=threshold, v_reset=zeros, metadata=metadata)
        tau = ones * TIME_CONSTANT
        resistance = (tau / self._profile.dt).astype(self._type)
        return self._nir.LIF(
            tau=tau, r=resistance, v_leak=zeros, v_threshold=threshold, v_reset=zeros.copy(), metadata=metadata
        )

    def _add(self, wanted: str, node: Any) -> str:
        # Readers make attributes of modules and groups of files of them.
        plain = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        name, number = plain, 1
        while name in self._nodes:
            name, number = f"{plain}_{number}", number + 1
        self._nodes[name] = node
        return name


def _uniform(current: Array) -> bool:
    """Whether the constant is the same at all positions of a channel, but for rounding."""
    return bool(np.abs(current - current[:, :1, :1]).max() <= _ROUNDING * np.abs(current).max())


def ungrouped(one: ConvolutionMap) -> Array:
    """The kernel ``[O, I, h, w]`` of a convolution, zero between its groups."""
    outputs, inputs = one.weight.shape[0] // one.groups, one.weight.shape[1]
    weight = np.zeros((one.weight.shape[0], inputs * one.groups, *one.weight.shape[2:]))
    for group in range(one.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        weight[rows, group * inputs : (group + 1) * inputs] = one.weight[rows]
    return weight


def square(one: ConvolutionMap) -> ConvolutionMap | None:
    """The same convolution with a kernel as high as wide, which NIR takes for granted; none if there is no such."""
    height, width = one.weight.shape[2:]
    if height == width:
        return one
    axis, size = (0, height) if height < width else (1, width)
    missing = abs(height - width)
    for before in sorted(range(missing + 1), key=lambda before: abs(2 * before - missing)):
        # Taps of zeros; padding is the same on both sides, so that only the size tells whether the rest fits.
        padding = one.padding[axis] + before * one.dilation[axis]
        reach = one.dilation[axis] * (size + missing - 1) + 1
        if (one.source_shape[1 + axis] + 2 * padding - reach) // one.stride[axis] + 1 == one.target_shape[1 + axis]:
            extra = [(0, 0)] * 4
            extra[2 + axis] = (before, missing - before)
            paddings = (padding, one.padding[1]) if axis == 0 else (one.padding[0], padding)
            return ConvolutionMap(
                one.source_shape,
                one.target_shape,
                np.pad(one.weight, extra),
                one.stride,
                paddings,
                one.dilation,
                one.groups,
            )
    return None
