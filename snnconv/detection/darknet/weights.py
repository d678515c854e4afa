"""Darknet's ``.weights``: a header, then float32 for every convolution in the order of the ``.cfg``, little endian.

The header is a version of three int32 and the number of images seen in training, an int64 from version 0.2 on and an
int32 before. With batch normalisation a convolution has shift, scale, running mean, running variance and kernel, else
bias and kernel. Nothing in the file says of which network it is: only its size does.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snnconv.data.file_kinds import DARKNET_WEIGHTS, kind_of, unreadable
from snnconv.detection.darknet.network import DarknetNetwork
from snnconv.errors import ModelError, StorageError
from snnconv.storage.atomic import write_whole

_VERSION = struct.Struct("<3i")
#: The version whose format is written.
_WRITTEN = (0, 2, 0)


def load_weights(network: DarknetNetwork, path: str | os.PathLike[str]) -> None:
    """Give ``network`` the weights in a file, and the number of images seen; all of them or, on an error, none.

    Raises ``StorageError`` for a file that cannot be read, whose size is not that of the network's weights, or that
    holds NaN, infinite values or negative variances.
    """
    tensors = _tensors(network)
    try:
        with Path(path).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            header = stream.read(20)
            start, seen = _header(header, path)
            expected = start + 4 * sum(tensor.numel() for _, tensor in tensors)
            if size != expected:
                if kind_of(path) not in (None, DARKNET_WEIGHTS):
                    raise StorageError(unreadable(path, DARKNET_WEIGHTS, ""))
                raise _mismatch(network, path, header, start, size)
            content = (header + stream.read(expected))[start:]
    except OSError as error:
        raise StorageError(unreadable(path, DARKNET_WEIGHTS, error.strerror or error)) from error
    if len(content) != expected - start:
        raise StorageError(f"{path} changed while it was read; read it again")
    numbers = torch.from_numpy(np.frombuffer(content, dtype="<f4").astype(np.float32))
    parts = torch.split_with_sizes(numbers, [tensor.numel() for _, tensor in tensors])
    for (name, _), part in zip(tensors, parts, strict=True):
        fault = _fault(name, part)
        if fault:
            raise StorageError(f"{path}: the {name} {fault}; the file is damaged, or of another network")
    network.allocate()
    with torch.no_grad():
        for (_, tensor), part in zip(_tensors(network), parts, strict=True):
            tensor.copy_(part.view_as(tensor))
    network.seen = seen


def save_weights(network: DarknetNetwork, path: str | os.PathLike[str]) -> None:
    """Write the network's weights, in single precision, and the number of images seen, so that darknet reads them.

    The file is written whole or not at all. Raises ``StorageError`` where it cannot be written, ``ModelError`` for
    weights that are not finite and variances that are negative.
    """
    content = [_VERSION.pack(*_WRITTEN), struct.pack("<Q", network.seen)]
    for name, tensor in _tensors(network):
        numbers = tensor.detach().cpu().to(torch.float32)
        fault = _fault(name, numbers)
        if fault:
            raise ModelError(f"the {name} {fault}; nothing was written to {path}")
        content.append(numbers.numpy().astype("<f4").tobytes())
    write_whole(path, b"".join(content))


def _tensors(network: DarknetNetwork) -> list[tuple[str, Tensor]]:
    """What a file holds, in its order, with names for errors."""
    return [
        (f"{name} of layer {index}", tensor)
        for index, convolution in network.convolutions().items()
        for name, tensor in convolution.tensors().items()
    ]


def _fault(name: str, numbers: Tensor) -> str | None:
    if not bool(torch.isfinite(numbers).all()):
        return "holds NaN or infinite values"
    if name.startswith("running variance") and bool((numbers < 0.0).any()):
        return "is negative"
    return None


def _header(header: bytes, path: str | os.PathLike[str]) -> tuple[int, int]:
    """The length of the header in bytes, and the images seen."""
    if len(header) >= _VERSION.size:
        major, minor, _ = _VERSION.unpack_from(header)
        wide = major * 10 + minor >= 2 and major < 1000 and minor < 1000
        seen = struct.Struct("<Q" if wide else "<I")
        if len(header) >= _VERSION.size + seen.size:
            return _VERSION.size + seen.size, seen.unpack_from(header, _VERSION.size)[0]
    raise StorageError(f"{path} has {len(header)} bytes, less than the header of darknet's weights")


def _mismatch(
    network: DarknetNetwork, path: str | os.PathLike[str], header: bytes, start: int, size: int
) -> StorageError:
    convolutions = network.convolutions().values()
    left, fitting, total = size - start, 0, start
    for convolution in convolutions:
        needed = 4 * sum(tensor.numel() for tensor in convolution.tensors().values())
        total += needed
        left -= needed
        fitting += left >= 0
    version = ".".join(map(str, _VERSION.unpack_from(header)))
    rest = f", and {left} bytes are left" if left > 0 else ""
    return StorageError(
        f"{path} has {size} bytes, with a header of version {version}; the network's weights take {total} bytes. They "
        f"are enough for {fitting} of {len(convolutions)} convolutions{rest}: are cfg and weights of the same network?"
    )
