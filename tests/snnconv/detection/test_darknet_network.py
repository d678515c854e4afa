"""Darknet detectors as networks: architectures, their counts, what is refused, and that they become spiking ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import snnconv
from coding import FewSpike, Rate
from snnconv import ConfigurationError
from snnconv.detection import DarknetNetwork, RegionHead, YoloHead, load_darknet, load_detector
from snnconv.detection.darknet import save_weights
from snnconv.graph.operators import Role
from tests.support.darknet_configs import (
    PIXEL_ANCHORS,
    SMALL,
    TINY_V2_COCO,
    TINY_V2_VOC,
    TINY_V3,
    leaky,
    linear,
    net,
    pool,
    region,
    section,
    written,
    yolo,
)


def macs(network: DarknetNetwork) -> int:
    """Multiply-accumulates of all convolutions for one image, borders counted as if they were not; no arithmetic."""
    counts: list[int] = []
    for layer in network.convolutions().values():
        kernel = layer.convolution.weight[0].numel()
        layer.register_forward_hook(lambda _, __, out, kernel=kernel: counts.append(out.numel() * kernel))
    network.to("meta")(torch.zeros(1, *network.input_shape, device="meta"))
    return sum(counts)


#: Maps of the heads at 416 x 416, giga multiply-accumulates, numbers in the weights file.
ARCHITECTURES = {
    "Tiny YOLO v2, VOC": (TINY_V2_VOC, [(125, 13, 13)], 3.4855, 15_867_885),
    "Tiny YOLO v2, COCO": (TINY_V2_COCO, [(425, 13, 13)], 2.703, 11_237_145),
    "Tiny YOLO v3": (TINY_V3, [(255, 13, 13), (255, 26, 26)], 2.782, 8_858_734),
}


@pytest.mark.parametrize("text, shapes, giga_macs, count", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_published_detectors_have_their_maps_costs_and_weights(
    tmp_path: Path, text: str, shapes: list[tuple[int, ...]], giga_macs: float, count: int
) -> None:
    network = load_darknet(written(tmp_path, text))
    assert network.input_shape == (3, 416, 416)
    assert sum(t.numel() for layer in network.convolutions().values() for t in layer.tensors().values()) == count
    with torch.device("meta"):
        maps = network.to("meta")(torch.zeros(2, 3, 416, 416))
    assert [tuple(found.shape[1:]) for found in maps] == shapes
    assert [head.channels for head in network.heads] == [channels for channels, _, _ in shapes]
    assert macs(network) / 1e9 == pytest.approx(giga_macs, abs=6e-4)


@pytest.mark.parametrize("text, shapes, giga_macs, count", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_published_detectors_can_be_converted(
    tmp_path: Path, text: str, shapes: list[tuple[int, ...]], giga_macs: float, count: int
) -> None:
    network = load_darknet(written(tmp_path, text), size=(32, 64))
    assert network.input_shape == (3, 32, 64)
    report = snnconv.preflight(network, torch.zeros(1, *network.input_shape))
    assert report.ok, str(report)
    leaks = sum(isinstance(module, nn.LeakyReLU) for module in network.modules())
    assert sum(line.role is Role.ACTIVATION for line in report.lines) == leaks


def test_heads_know_their_anchors_and_strides(tmp_path: Path) -> None:
    coarse, fine = load_darknet(written(tmp_path, TINY_V3)).heads
    assert coarse == YoloHead(((81, 82), (135, 169), (344, 319)), 80, 32)
    assert fine == YoloHead(((10, 14), (23, 27), (37, 58)), 80, 16)
    first, second = load_darknet(written(tmp_path, SMALL)).heads
    assert first == RegionHead(((1, 1), (2, 3)), 2, 2) and second == YoloHead(((10, 8),), 2, 1)


def test_layers_read_the_maps_that_their_sections_name(tmp_path: Path) -> None:
    network = load_darknet(written(tmp_path, SMALL))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    layers = network.layers
    with torch.no_grad():
        wide = layers[1](layers[0](images))
        half = nn.functional.leaky_relu(layers[2](wide) + wide, 0.1)[:, 4:]
        mixed = layers[6](half)
        joined = torch.cat([layers[7](mixed), half], 1)
        first = layers[9](joined)
        second = layers[13](nn.functional.interpolate(joined, scale_factor=2))
        found = network(images)
    assert torch.equal(found[0], first) and torch.equal(found[1], second)
    assert found[0].shape == (2, 14, 16, 16) and found[1].shape == (2, 7, 32, 32)


def test_a_network_is_in_eval_mode_and_its_weights_follow_the_seed(tmp_path: Path) -> None:
    config, before = written(tmp_path, SMALL), torch.get_rng_state()
    first, same, other = (load_darknet(config, seed=seed).state_dict() for seed in (0, 0, 1))
    assert not any(module.training for module in load_darknet(config).modules())
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["layers.0.convolution.weight"], other["layers.0.convolution.weight"])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("coding", [Rate(64), "few-spike"], ids=str)
def test_every_kind_of_layer_is_converted(tmp_path: Path, coding: object) -> None:
    model = load_darknet(written(tmp_path, SMALL))
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = snnconv.convert(model, images, coding=coding, input="real")  # type: ignore[arg-type]
    with torch.no_grad():
        reference, found = model(images), network(images)
    for head, expected, spiking in zip(model.heads, reference, found, strict=True):
        assert (expected - spiking).abs().mean() <= 0.1 * expected.abs().mean()
        assert all(torch.isfinite(part).all() for part in head.decode(spiking))
    assert snnconv.verify(network, images).output <= 0.1


#: Every kind of layer that moves or pads maps, between populations.
MOVED = (
    net(16)
    + leaky(8)
    + section("reorg", stride=2)
    + section("conv", filters=6, size=3, stride=1, pad=1, dilation=2, activation="relu")
    + leaky(12)
    + section("shortcut", from_=-2)
    + section("conv", filters=14, size=1, activation="logistic")
    + yolo(2, "0,1").replace("classes", "scale_x_y=2.0\nnew_coords=1\nclasses")
)


def test_moved_and_padded_maps_are_converted(tmp_path: Path) -> None:
    model = load_darknet(written(tmp_path, MOVED))
    assert model.heads == (YoloHead(((10, 14), (23, 27)), 2, 2, 2.0, activated=True),)
    images = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    network = snnconv.convert(model, images, coding=FewSpike(12, spikes=4))
    with torch.no_grad():
        (expected,), (found,) = model(images), network(images)
    assert (expected - found).abs().max() < 0.02
    reorganised = next(iter(network.populations))
    jacobian = torch.func.jacrev(lambda maps: model.layers[2].convolution(model.layers[1](maps)))(
        torch.zeros(1, 8, 16, 16)
    )
    targets = (jacobian.reshape(-1, 8, 16, 16) != 0).sum(0)
    assert torch.equal(network.synapses.fan_out[reorganised].reshape(8, 16, 16).long(), targets)


@pytest.mark.parametrize(("option", "letterbox"), [("", False), ("letter_box=0\n", False), ("letter_box=1\n", True)])
def test_a_description_says_whether_pictures_keep_their_aspect_ratio(
    tmp_path: Path, option: str, letterbox: bool
) -> None:
    text = net().replace("[net]\n", f"[net]\n{option}") + END
    config, weights = written(tmp_path, text), tmp_path / "net.weights"
    save_weights(load_darknet(config), weights)
    assert load_detector(config, weights).preprocessing.letterbox is letterbox
    for given in (True, False):
        assert load_detector(config, weights, letterbox=given).preprocessing.letterbox is given


def test_smooth_activations_are_looked_up(tmp_path: Path) -> None:
    text = net() + leaky(4).replace("leaky", "mish") + leaky(4) + linear(14) + region(2)
    network = load_darknet(written(tmp_path, text))
    assert network(torch.zeros(1, 3, 32, 32))[0].shape == (1, 14, 32, 32)
    report = snnconv.preflight(network, torch.zeros(1, 3, 32, 32))
    assert report.ok and [line.op for line in report.lines if line.role is Role.ACTIVATION] == ["mish", "leaky_relu"]


END = linear(14) + region(2)
REFUSED = {
    "no head": (net() + leaky(4), r"network.cfg has no \[yolo\] and no \[region\]"),
    "no width": (section("net", height=32, channels=3) + END, r"line 1, \[net\]: width is missing"),
    "no pixels": (net(0) + END, r"line 3, \[net\]: height holds '0'"),
    "a picture as large as a street": (net(10**6) + END, r"line 3.*from 1 to 16384"),
    "no filters": (
        net() + section("conv", activation="linear") + END,
        r"line 6, \[convolutional\]: filters is missing",
    ),
    "no activation": (net() + section("conv", filters=4) + END, "line 6.*activation is missing.*leaky"),
    "another activation": (
        net() + leaky(4).replace("leaky", "selu") + END,
        "line 12.*'selu'; it must be one of.*leaky",
    ),
    "groups of maps": (net() + leaky(4, groups=2) + END, "line 13.*2 groups do not divide the 3 maps it takes"),
    "groups of filters": (net() + leaky(4, groups=3) + END, "line 8.*3 groups do not divide the 4 filters"),
    "a kernel beyond its map": (
        net(2) + section("conv", filters=4, size=3, activation="linear") + END,
        "line 8.*size 3",
    ),
    "a window beyond its map": (net(2) + section("max", size=4, padding=1) + END, r"line 7, \[maxpool\]: a window of"),
    "too much padding": (net() + section("max", size=2, padding=2) + END, r"line 8.*from 0 to 1"),
    "an odd size": (net(36) + (leaky(4) + pool(2, 2)) * 3 + END, r"line 40.*multiples of 8"),
    "a forward index": (net() + section("route", layers=1) + END, r"line 7, \[route\]: layers names layer 1"),
    "before the first": (net() + leaky(4) + section("route", layers="-1,-2") + END, "line 15.*names layer -2"),
    "itself": (net() + leaky(4) + section("shortcut", from_="1") + END, "line 15.*from names layer 1.*0 to 0"),
    "several in a shortcut": (net() + leaky(4) * 3 + section("shortcut", from_="-2,-3") + END, "several layers"),
    "maps of two sizes": (net() + leaky(4) + pool(2, 2) + section("route", layers="-1,0") + END, "do not fit side by"),
    "a sum of two sizes": (
        net() + leaky(4) + pool(2, 2) + section("shortcut", from_=-2) + END,
        r"line 19, \[shortcut\]: it adds a map of 4 x 32 x 32 to one of 4 x 16 x 16; only maps of the same height",
    ),
    "dilation without its padding": (
        net() + section("conv", filters=4, size=3, dilation=2, activation="linear") + END,
        "line 9.*dilation 2 of a kernel of size 3 with padding 0: darknet leaves it out of the map's size",
    ),
    "too few maps to reorganise": (net() + leaky(6) + section("reorg", stride=2) + END, "takes 4 maps .* has 6"),
    "a reorg back": (net() + leaky(4) + section("reorg", stride=2, reverse=1) + END, "only reverse=0 is supported"),
    "a letter box of two": (net().replace("[net]", "[net]\nletter_box=2") + END, "line 2.*letter_box holds '2'"),
    "parts": (net() + leaky(4) + section("route", layers=-1, groups=3) + END, "3 groups do not divide the 4 channels"),
    "a part too many": (net() + leaky(4) + section("route", layers=-1, groups=2, group_id=2) + END, "from 0 to 1"),
    "upsampling of the image": (net() + section("upsample", stride=2) + END, "line 7.*2 times larger"),
    "probability": (net() + section("dropout", probability=2) + END, "probability must be one number"),
    "filters of a head": (
        net() + linear(13) + region(2),
        r"line 13, \[region\].*2 x \(5 \+ 2\) = 14 .* has 13.*filters=14",
    ),
    "classes": (net() + linear(14) + region(3), "= 16 channels"),
    "anchors": (net() + linear(14) + region(2, "1,1,2"), "line 14.*anchors holds 3 numbers; num=2 anchors have 4"),
    "an anchor without width": (net() + linear(14) + region(2, "1,1,0,2"), "line 13.*anchors are"),
    "a mask beyond the anchors": (net() + linear(21) + yolo(2, "4,5,6"), "line 14.*mask holds '6'.*from 0 to 5"),
    "no softmax": (net() + linear(14) + region(2).replace("softmax=1", "softmax=0"), "line 18.*only softmax=1"),
    "other coordinates": (net() + linear(14) + region(2).replace("coords=4", "coords=5"), "line 17.*only coords=4"),
    "boxes of an activation that is none": (
        net() + linear(21) + yolo(2, "0,1,2").replace("classes", "new_coords=1\nclasses"),
        r"line 17, \[yolo\]: new_coords=1 takes .* set activation=logistic in the layer before",
    ),
    "a layer behind a head": (net() + END + linear(14) + region(2), "line 20.*it reads layer 1, a head"),
    "a route to a head": (net() + END + section("route", layers=1) + END, "it reads layer 1, a head"),
    "a grid beside the pixels": (
        net() + section("conv", filters=14, size=3, activation="linear") + region(2),
        "its map of 14 x 30 x 30 has not one cell for every 1 pixels",
    ),
    "terabytes in a kernel": (net() + leaky(10**6) * 2 + END, r"line 14.*its kernel has 90{6}.* weights; at most"),
    "gigabytes in all": (net() + leaky(4000) * 4 + END, "network.cfg describes 4.* weights; at most"),
    "doubled channels": (
        net() + leaky(4) + "".join(section("route", layers="-1,-1") for _ in range(100)) + END,
        "its kernel has 7.* weights",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_sections_that_do_not_fit_together_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_darknet(written(tmp_path, text))
    assert "network.cfg" in str(caught.value)


def test_a_size_that_the_strides_do_not_divide_is_refused(tmp_path: Path) -> None:
    config = written(tmp_path, TINY_V3)
    with pytest.raises(ConfigurationError, match="multiples of 32"):
        load_darknet(config, size=(416, 400))
    with pytest.raises(ConfigurationError, match=r"size is \(0, 32\)"):
        load_darknet(config, size=(0, 32))
    for size in (415, 414, 408):  # of small strides some divide it, of the largest none
        with pytest.raises(ConfigurationError, match=r"size is \(416, \d+\); .*network.cfg has strides up to 32, so "):
            load_darknet(config, size=(416, size))


@pytest.mark.parametrize("size", [64, 0, "64", (64,), (64, 64, 3), (64.0, 64), (None, 64)], ids=str)
def test_a_size_that_is_no_height_and_width_is_refused(size: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"size is .*; give \(height, width\), integers from 1 to"):
        load_darknet(written(tmp_path, TINY_V3), size=size)  # type: ignore[arg-type]


def test_a_description_that_fits_no_size_tells_its_own_mistake(tmp_path: Path) -> None:
    config = written(tmp_path, net() + section("max", size=2, padding=2) + END)
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        load_darknet(config, size=(31, 31))


def test_options_of_training_change_nothing(tmp_path: Path) -> None:
    text = TINY_V3.replace("channels=3", "channels=3\nbatch=64\nlearning_rate=.001\nsteps=1,2\nscales=.1,.1")
    text = text.replace(f"anchors={PIXEL_ANCHORS}", f"anchors={PIXEL_ANCHORS}\njitter=.3\nignore_thresh=.7\nrandom=1")
    assert text != TINY_V3
    assert load_darknet(written(tmp_path, text)).heads == load_darknet(written(tmp_path, TINY_V3)).heads


@pytest.mark.slow
def test_yolo_fastest_is_read_to_the_last_byte_and_can_be_converted(data_dir: Path, tmp_path: Path) -> None:
    files = [data_dir / "yolo_fastest" / f"yolo-fastest-1.1.{suffix}" for suffix in ("cfg", "weights")]
    network = load_darknet(*files)
    assert network.input_shape == (3, 320, 320) and network.seen == 14_231_680
    assert [head.stride for head in network.heads] == [32, 16]
    assert {(head.classes, len(head.anchors)) for head in network.heads} == {(80, 3)}
    save_weights(network, tmp_path / "again.weights")
    assert (tmp_path / "again.weights").read_bytes()[20:] == files[1].read_bytes()[20:]
    report = snnconv.preflight(network, torch.zeros(1, 3, 320, 320))
    assert report.ok
    assert sum(line.op == "leaky_relu" for line in report.lines) == 54
    assert sum(line.op == "add" for line in report.lines) == 18
    assert {line.op for line in report.lines if line.role is Role.POOL} == {"max_pool2d"}
