"""The HDF5 layout that lava-dl's ``netx.hdf5.Network`` reads, and beside it what inputs and outputs stand for."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from coding.optional import imported
from hw_export.explicit.maps import Array
from hw_export.integers.network import IntegerNetwork
from hw_export.netx.chain import ChainLayer, LayerChain
from snnconv.data.file_kinds import NETX

#: Of the group of numbers of our own.
VERSION = 1
#: Decays are parts of 4,096: currents keep nothing, and membranes all, or nothing.
_ALL, _NOTHING = 4096, 0
#: What netx is told to read at once, so that inputs are no spikes but numbers: ``input_message_bits``.
MESSAGE_BITS = 24
#: How the sum of a sample is read from the membranes of the last layer, which count 1 as 64.
READ_ONCE, READ_EVERY_STEP = "at the last step of a sample", "at every step, and added up"


def content(integers: IntegerNetwork, layers: LayerChain) -> bytes:
    """The file of ``layers``, which ``integers`` became.

    The group ``layer`` holds what netx reads: the input and then each layer, under its number. Shapes and geometries
    count rows before columns there, as PyTorch does. The group ``snnconv_netx`` holds ``steps`` of a sample and what
    translates: an input is divided by ``input_step``, rounded and clipped to ``input_smallest`` and
    ``input_largest``; an output is ``output_step`` (one a channel) times the sum over a sample, divided by the steps,
    plus ``output_offset``. Raises ``ConfigurationError`` without h5py.
    """
    h5py, stream = imported("h5py", "snnconv[nir]"), io.BytesIO()
    with h5py.File(stream, "w") as file:
        own = file.create_group(NETX.format)
        for name, value in _translation(integers, layers).items():
            own[name] = value
        group = file.create_group("layer")
        _entry(group, "input", {"shape": np.array(layers.shape)})
        for layer in layers.layers:
            if layer.flattens:
                _entry(group, "flatten", {"shape": np.array(layer.weight.shape[1:])})
            neuron = _entry(group, "dense" if layer.geometry is None else "conv", _fields(layer)).create_group("neuron")
            _write(neuron, "CUBA", _neuron(layer))
    return stream.getvalue()


def _entry(group: Any, kind: str, fields: dict[str, Any]) -> Any:
    entry = group.create_group(str(len(group)))
    _write(entry, kind, fields)
    return entry


def _write(group: Any, kind: str, fields: dict[str, Any]) -> None:
    group["type"] = np.array([kind], dtype="S10")
    for name, value in fields.items():
        group[name] = value


def _fields(layer: ChainLayer) -> dict[str, Any]:
    found: dict[str, Any] = {"shape": np.array(layer.shape), "weight": layer.weight}
    if layer.bias is not None:  # biases of neurons, unlike shapes, as [W, H, C]
        found["bias"] = layer.bias.T.astype(np.int32)
    if layer.geometry is not None:
        sizes = layer.geometry
        found |= {name: np.array(getattr(sizes, name)) for name in ("stride", "padding", "dilation")}
        found["groups"] = sizes.groups
    return found


def _neuron(layer: ChainLayer) -> dict[str, Any]:
    """A current-based neuron that keeps no current, and fires above ``vThMant``."""
    return {
        "iDecay": _ALL,
        "vDecay": _NOTHING if layer.memory else _ALL,
        "vThMant": layer.fires_at - 1,
        "refDelay": 1,
        "gradedSpike": False,
    }


def _translation(integers: IntegerNetwork, layers: LayerChain) -> dict[str, int | float | str | Array]:
    (taken,), (output,) = integers.inputs.values(), integers.outputs.values()
    return {
        "version": VERSION,
        "steps": integers.steps,
        "input_step": taken.step,
        "input_smallest": taken.smallest,
        "input_largest": taken.largest,
        "output_step": output.step,
        "output_offset": output.offset,
        "output_read": READ_ONCE if layers.output.memory else READ_EVERY_STEP,
    }
