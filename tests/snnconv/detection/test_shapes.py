"""Drawn pictures: what is on them, that boxes fit, and that the detector which ships finds it."""

from __future__ import annotations

import pytest
import torch

import snnconv
from coding import FewSpike, Pipeline
from snnconv import ConfigurationError
from snnconv.detection import DarknetNetwork, evaluate, shapes
from snnconv.detection.held_out import held_out_precision
from snnconv.detection.shapes import SHAPE_NAMES, SHAPES_CONFIG, SHAPES_SIZE, draw_shapes, load_shapes_detector


def test_pictures_hold_one_to_four_whole_objects() -> None:
    images, truths = draw_shapes(300, seed=0)
    assert images.shape == (300, 3, *SHAPES_SIZE) and images.dtype == torch.float32
    assert float(images.min()) >= 0.0 and float(images.max()) <= 1.0
    assert {len(truth.classes) for truth in truths} == {1, 2, 3, 4}
    assert not any(bool(truth.ignored.any()) for truth in truths)
    boxes, classes = torch.cat([truth.boxes for truth in truths]), torch.cat([truth.classes for truth in truths])
    assert float(boxes.min()) >= 0.0 and float(boxes[:, 2:].max()) <= SHAPES_SIZE[0]
    assert classes.bincount().min() > len(classes) / 5 and len(classes.unique()) == len(SHAPE_NAMES)
    assert len(boxes.unique(dim=0)) == len(boxes)


def test_a_seed_fixes_the_pictures() -> None:
    images, truths = draw_shapes(5, seed=3)
    again, true = draw_shapes(5, seed=3)
    assert torch.equal(images, again)
    for a, b in zip(truths, true, strict=True):
        assert torch.equal(a.boxes, b.boxes) and torch.equal(a.classes, b.classes)
    assert not torch.equal(images, draw_shapes(5, seed=4)[0])


def test_boxes_are_tight_and_classes_are_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_NOISE", 0.0)
    images, truths = draw_shapes(200, seed=1)
    filled: dict[int, list[float]] = {label: [] for label in range(3)}
    for image, truth in zip(images, truths, strict=True):
        if len(truth.classes) > 1:
            continue
        # Without noise the inside of a shape is the only colour that several pixels share.
        colours, which = image.flatten(1).unique(dim=1, return_inverse=True)
        inside = (which == which.bincount(minlength=colours.shape[1]).argmax()).view(SHAPES_SIZE)
        rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
        found = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        left, top, right, bottom = (found - truth.boxes[0]).tolist()
        # Pixels on the border are a mixture, and the corner of a triangle is narrow.
        assert min(left, top, -right, -bottom) >= -0.5 and max(left, top, -right, -bottom) < 3.5
        height, width = (truth.boxes[0, 2:] - truth.boxes[0, :2]).tolist()
        filled[int(truth.classes[0])].append(int(inside.sum()) / (height * width))
    assert all(len(parts) > 5 for parts in filled.values())
    circles, squares, triangles = (filled[label] for label in range(3))
    assert min(circles) > 0.6 and max(circles) < 0.83
    assert min(squares) > 0.35 and max(squares) > 0.65
    assert max(triangles) < 0.6


def test_a_full_picture_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_RADII", (30.0, 32.0))
    assert all(len(truth.classes) <= 2 for truth in draw_shapes(5, seed=0)[1])


def test_at_least_one_picture_is_drawn() -> None:
    with pytest.raises(ConfigurationError, match="count is 0"):
        draw_shapes(0, seed=0)


def test_the_detector_that_ships_finds_shapes() -> None:
    detector = load_shapes_detector()
    network = detector.network
    assert isinstance(network, DarknetNetwork) and detector.names == SHAPE_NAMES
    assert SHAPES_CONFIG.with_suffix(".weights").stat().st_size < 300_000
    assert not network.training and network.input_shape == (3, *SHAPES_SIZE) and network.seen > 0
    assert held_out_precision(network, draw_shapes(100, seed=99)).ap50 >= 90.0


def test_the_detector_that_ships_becomes_spiking() -> None:
    detector = load_shapes_detector()
    images, truths = draw_shapes(40, seed=98)
    spiking = snnconv.convert(detector.network, draw_shapes(40, seed=97)[0], coding=FewSpike(8), schedule=Pipeline(8))
    found = evaluate(detector.with_network(spiking), (images, truths))
    assert found.neurons == 64_512
    assert found.reference_precision.ap50 >= 90.0 and found.kept >= 95.0
