"""A detector finds and counts the same, whoever runs it."""

from __future__ import annotations

from typing import Any

import pytest

import snnconv
from coding import Code, Concurrent, FewSpike, Rate
from snnconv import detection
from snnconv.detection.shapes import draw_shapes, load_shapes_detector


@pytest.mark.parametrize("code, options", [(FewSpike(8, spikes=3), {}), (Rate(4), {"schedule": Concurrent(4)})])
def test_detections_of_workers_are_those_of_one_process(
    code: Code, options: dict[str, Any], pool: snnconv.Workers
) -> None:
    detector = load_shapes_detector()
    network = snnconv.convert(detector.network, draw_shapes(8, seed=1)[0], coding=code, **options)
    spiking, pictures = detector.with_network(network), draw_shapes(36, seed=2)
    told: list[int] = []
    found = detection.evaluate(
        spiking, pictures, reference=detector, executor=pool, progress=lambda each: told.append(each.done)
    )
    assert found == detection.evaluate(spiking, pictures, reference=detector)
    assert told == [0, 16, 32, 36]
