"""Darknet's .weights: every number in its place, and no file loaded that is not the network's."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from snnconv import ModelError, StorageError
from snnconv.detection import DarknetNetwork, load_darknet
from snnconv.detection.darknet import load_weights, save_weights
from tests.support.darknet_configs import SMALL, leaky, linear, net, region, written

#: One convolution with batch normalisation (3 to 2 channels, size 1) and one without (2 to 7).
TWO = net() + leaky(2, 1) + linear(7) + region(2, "1,1", num=1)
NUMBERS = 4 * 2 + 2 * 3 + 7 + 7 * 2
HEADER = struct.pack("<3iQ", 0, 2, 5, 123)


def two(folder: Path) -> DarknetNetwork:
    return load_darknet(written(folder, TWO))


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "some.weights"
    path.write_bytes(content)
    return path


def test_numbers_follow_the_order_of_the_convolutions(tmp_path: Path) -> None:
    values = np.arange(NUMBERS, dtype="<f4")
    network = two(tmp_path)
    load_weights(network, file_of(tmp_path, HEADER + values.tobytes()))
    first, second = network.layers[0], network.layers[1]
    assert first.normalization.bias.tolist() == [0, 1] and first.normalization.weight.tolist() == [2, 3]
    assert first.normalization.running_mean.tolist() == [4, 5] and first.normalization.running_var.tolist() == [6, 7]
    assert first.convolution.weight.flatten(1).tolist() == [[8, 9, 10], [11, 12, 13]]
    assert second.convolution.bias.tolist() == list(range(14, 21))
    assert second.convolution.weight.flatten().tolist() == list(range(21, 35))
    assert network.seen == 123 and not network.training


@pytest.mark.parametrize(
    ("version", "seen"),
    [
        ((0, 2, 0), "<Q"),
        ((0, 2, 5), "<Q"),
        ((1, 0, 0), "<Q"),
        ((0, 1, 0), "<I"),
        ((0, 0, 9), "<I"),
        ((1000, 0, 0), "<I"),
    ],
)
def test_the_count_of_images_is_as_wide_as_the_version_says(
    tmp_path: Path, version: tuple[int, int, int], seen: str
) -> None:
    network = two(tmp_path)
    header = struct.pack("<3i", *version) + struct.pack(seen, 77)
    load_weights(network, file_of(tmp_path, header + np.full(NUMBERS, 0.5, "<f4").tobytes()))
    assert network.seen == 77 and network.layers[1].convolution.weight.eq(0.5).all()


def test_saved_weights_are_read_again_bit_for_bit(tmp_path: Path) -> None:
    config, path = written(tmp_path, SMALL), tmp_path / "saved.weights"
    network = load_darknet(config, seed=1)
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(2))
    network.seen = 2**40
    save_weights(network, path)
    again = load_darknet(config, path, seed=3)
    assert again.seen == 2**40
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    save_weights(again.double(), tmp_path / "again.weights")
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()


def numbers(**changes: float) -> bytes:
    values = np.ones(NUMBERS, "<f4")
    for place, value in changes.items():
        values[int(place.removeprefix("at"))] = value
    return HEADER + values.tobytes()


def pickled() -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": torch.zeros(100)}, stream)
    return stream.getvalue()


BROKEN = {
    "empty": (b"", "has 0 bytes, less than the header"),
    "part of a header": (HEADER[:14], "has 14 bytes, less than the header"),
    "a header alone": (HEADER, "has 20 bytes.*take 160 bytes.*enough for 0 of 2 convolutions: are cfg and weights"),
    "one convolution": (numbers()[: 20 + 4 * 14], r"has 76 bytes.*for 1 of 2 convolutions: are"),
    "truncated": (numbers()[:-1], "has 159 bytes.*take 160 bytes.*for 1 of 2"),
    "longer": (numbers() + b"\0\0\0\0", "has 164 bytes.*for 2 of 2 convolutions, and 4 bytes are left"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(500), "it holds a picture; detect takes pictures"),
    "another header": (bytes([9]) * 500, r"version 151587081\.151587081\.151587081.*same network"),
    "a pickle": (pickled(), "cannot be read as darknet's weights .*: it holds (weights of a model|a pickle)"),
    "text": (b"[net]\nwidth=32\nheight=32\n", "it holds darknet's list of layers"),
    "NaN": (numbers(at9=float("nan")), "the kernel of layer 0 holds NaN"),
    "infinity": (numbers(at20=float("-inf")), "the bias of layer 1 holds NaN or infinite"),
    "a negative variance": (numbers(at6=-1.0), "the running variance of layer 0 is negative"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_not_the_networks_changes_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    network = two(tmp_path)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(StorageError, match=f"some.weights.*{message}"):
        load_weights(network, file_of(tmp_path, content))
    assert network.seen == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    network = two(tmp_path)
    for path in (tmp_path, tmp_path / "none.weights"):
        with pytest.raises(StorageError, match=f"{path.name} cannot be read"):
            load_weights(network, path)
    with pytest.raises(StorageError, match="cannot be written"):
        save_weights(network, tmp_path / "no folder" / "some.weights")


@pytest.mark.parametrize(("name", "value"), [("running_var", -1.0), ("weight", float("nan"))])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, name: str, value: float) -> None:
    network, path = two(tmp_path), file_of(tmp_path, b"before")
    with torch.no_grad():
        getattr(network.layers[0].normalization, name)[0] = value
    with pytest.raises(ModelError, match=r"of layer 0 .*nothing was written"):
        save_weights(network, path)
    assert path.read_bytes() == b"before"
