"""Detectors before and after conversion: boxes, precision over time, and the search by what the original finds."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import snnconv
from coding import Code, Concurrent, FewSpike, OneSpike, Phase, Pipeline, Rate, TableSpike
from snnconv import ConfigurationError, InputError, SpikingNetwork
from snnconv.detection import (
    DetectionJudge,
    Detector,
    Precision,
    draw_shapes,
    evaluate,
    load_darknet,
    load_detector,
    load_shapes_detector,
)
from snnconv.detection.boxes import match
from snnconv.detection.darknet import save_weights
from snnconv.detection.data.ground_truth import BoxDataset, LabelledImage
from snnconv.detection.shapes import SHAPES_CONFIG
from tests.support import conversion

PICTURES, TRUTHS = draw_shapes(120, seed=11)


@pytest.fixture(scope="module")
def shapes() -> Detector:
    return load_shapes_detector()


@pytest.fixture(scope="module")
def spiking(shapes: Detector) -> Detector:
    return shapes.with_network(converted(shapes, FewSpike(8)))


def converted(shapes: Detector, code: Code) -> SpikingNetwork:
    """The network of ``shapes`` in windows of ``code``."""
    return conversion.converted("shapes detector", lambda: (shapes.network, PICTURES[:60]), coding=code)


def pictures(count: int) -> list[Image.Image]:
    pixels = (PICTURES[:count].permute(0, 2, 3, 1) * 255).round().byte().numpy()
    return [Image.fromarray(each) for each in pixels]


@pytest.mark.parametrize(
    ("code", "kept"),
    [(FewSpike(16), 99.0), (Phase(10), 99.0), (FewSpike(8), 98.0), (TableSpike(32), 95.0), (OneSpike(48), 92.0)],
    ids=str,
)
def test_a_spiking_detector_keeps_its_precision(shapes: Detector, code: Code, kept: float) -> None:
    network = converted(shapes, code)
    result = evaluate(shapes.with_network(network), (PICTURES[60:], TRUTHS[60:]), reference=shapes)
    assert result.reference_precision.ap50 > 90.0
    assert result.kept >= kept
    assert result.precision_by_step is None and result.steps == network.timing.latency  # type: ignore[union-attr]


def test_boxes_of_both_networks_belong_together(shapes: Detector, spiking: Detector) -> None:
    wanted, got = (each.detect(pictures(20), score_threshold=0.5) for each in (shapes, spiking))
    assert sum(map(len, wanted)) > 20
    alike = sum(len(match(a, b, 0.9)) for a, b in zip(wanted, got, strict=True))
    assert alike >= 0.9 * sum(map(len, wanted))


@pytest.mark.parametrize("negative", ["graded", "imbalanced"])
def test_the_precision_of_a_stream_rises_with_time(shapes: Detector, negative: str) -> None:
    network = snnconv.convert(
        shapes.network,
        PICTURES[:30],
        coding=Rate(),
        schedule=Concurrent(96),
        negative=negative,  # type: ignore[arg-type]
    )
    data = (PICTURES[60:76], TRUTHS[60:76])
    result = evaluate(shapes.with_network(network), data, at=[4, 24])
    assert result.precision_by_step is not None and list(result.precision_by_step) == [4, 24, 96]
    early, _, late = (precision.ap50 for precision in result.precision_by_step.values())
    assert early < 0.7 * late and result.precision == result.precision_by_step[96]
    text = str(result)
    assert "mAP@0.5 (%)" in text and "synaptic operations" in text
    assert result.to_dict()["kept"] == result.kept
    for at in ([0], [97], [1.5]):
        with pytest.raises(ConfigurationError, match="at holds integers from 1 to the 96 steps"):
            evaluate(shapes.with_network(network), data, at=at)  # type: ignore[arg-type]


def test_a_share_of_nothing_is_valid_json(shapes: Detector, spiking: Detector) -> None:
    result = evaluate(spiking, (torch.zeros_like(PICTURES[:4]), TRUTHS[:4]), reference=shapes)
    assert result.reference_precision.ap50 == 0.0
    assert json.loads(result.to_json())["kept"] is None and "NaN" not in result.to_json()


def test_latency_is_the_step_from_which_the_share_stays(shapes: Detector, spiking: Detector) -> None:
    result = evaluate(spiking, (PICTURES[60:70], TRUTHS[60:70]), reference=shapes)
    by_step = {2: 0.9, 4: 0.5, 8: 0.98, 16: 0.99}
    reference = Precision(50.0, 20.0)
    result = replace(
        result,
        reference_precision=reference,
        precision_by_step={step: Precision(50.0 * kept, 0.0) for step, kept in by_step.items()},
    )
    assert [result.latency(kept) for kept in (40.0, 80.0, 98.5, 99.5)] == [2, 8, 16, None]


@pytest.mark.parametrize("input", ["real", "phase"])
def test_window_and_clock_find_the_same(shapes: Detector, input: str) -> None:
    model = load_shapes_detector().network.double()
    network = snnconv.convert(model, PICTURES[:30].double(), coding=FewSpike(6), input=input)
    x = PICTURES[60:66].double()
    window, clock = (network.run(x, simulator=name) for name in ("window", "clock"))
    assert window.spikes == clock.spikes
    sizes = [(64, 64)] * len(x)
    for a, b in zip(*(shapes.decode(run.output, sizes, 0.3) for run in (window, clock)), strict=True):
        assert torch.allclose(a.boxes, b.boxes, atol=1e-6) and torch.equal(a.classes, b.classes)


def test_the_search_keeps_what_the_original_finds(
    shapes: Detector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    candidates = (TableSpike(8), TableSpike(16), TableSpike(32), FewSpike(6, spikes=2), FewSpike(8))
    monkeypatch.setattr("snnconv.search.searching.CANDIDATES", candidates)
    network = snnconv.convert(
        shapes.network, PICTURES[:60], coding="auto", max_loss=5.0, judge=DetectionJudge(shapes.heads)
    )
    log = network.search_log
    assert log is not None and log.trials[log.chosen].loss <= 5.0
    (told,) = [record.getMessage() for record in caplog.records if record.name == "snnconv.search.searching"]
    assert "measures on 12 held-out samples with " in told and "the bound is 5," in told
    result = evaluate(shapes.with_network(network), (PICTURES[60:], TRUTHS[60:]), reference=shapes)
    assert result.kept > 93.0


def test_an_exact_network_loses_nothing_and_noise_costs(shapes: Detector) -> None:
    judge = DetectionJudge(shapes.heads)
    with torch.no_grad():
        exact = shapes.network(PICTURES[:20])
    noisy = [raw + torch.randn(raw.shape, generator=torch.Generator().manual_seed(0)) for raw in exact]
    assert judge.expected_loss([exact], [exact]) == pytest.approx(0.0, abs=1e-9)
    assert float(judge.deviation(exact, exact).abs().max()) == 0.0
    assert judge.expected_loss([exact], [noisy]) > 5.0
    found = shapes.decode(exact, [(64, 64)] * 20, 0.2)
    assert judge.decisions([exact]) == judge.decisions([[raw[:9] for raw in exact], [raw[9:] for raw in exact]])
    assert judge.decisions([exact]) == sum(map(len, found)) > 20
    empty = [raw - 20.0 for raw in exact]
    assert judge.decisions([empty]) == 0
    with pytest.raises(InputError, match=r"finds nothing .* give pictures with objects"):
        judge.expected_loss([empty], [empty])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"at": [3]}, ConfigurationError, "no output before its last step"),
        ({"steps": 4}, ConfigurationError, "not supported under Pipeline"),
        ({"simulator": "event"}, ConfigurationError, "unknown simulator"),
    ],
)
def test_options_without_a_meaning_are_refused(
    spiking: Detector, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(spiking, (PICTURES[:2], TRUTHS[:2]), **options)  # type: ignore[arg-type]


def test_what_does_not_belong_to_a_detector_is_refused(shapes: Detector, spiking: Detector) -> None:
    with pytest.raises(ConfigurationError, match="3 classes apart and there are 2 names"):
        replace(shapes, names=("circle", "square"))
    with pytest.raises(ConfigurationError, match="evaluate a spiking detector"):
        evaluate(shapes, (PICTURES, TRUTHS))
    with pytest.raises(InputError, match="4 inputs and 3 truths"):
        evaluate(spiking, (PICTURES[:4], TRUTHS[:3]))
    with pytest.raises(InputError, match="there is no picture"):
        evaluate(spiking, (PICTURES[:0], []))
    labelled = BoxDataset((LabelledImage(Path("0.png"), (), None),), ("circle", "square"))
    with pytest.raises(InputError, match="data has 2 classes, the detector 3; both need the same"):
        evaluate(spiking, labelled)
    for data in (PICTURES[:2], [(PICTURES[:2], TRUTHS[:2])]):
        with pytest.raises(InputError, match="give a labelled data set, or"):
            evaluate(spiking, data)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="reference is a DarknetNetwork; give the original Detector"):
        evaluate(spiking, (PICTURES[:2], TRUTHS[:2]), reference=shapes.network)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="returns 0 maps for 1 heads"):
        shapes.decode((), [], 0.5)
    with pytest.raises(ConfigurationError, match="negative must be one of graded, imbalanced"):
        snnconv.convert(shapes.network, PICTURES[:10], negative="both", schedule=Pipeline())  # type: ignore[arg-type]


def test_pictures_may_be_paths_and_nothing_else(shapes: Detector, tmp_path: Path) -> None:
    image = pictures(1)[0]
    image.save(tmp_path / "shapes.png")
    for path in (tmp_path / "shapes.png", str(tmp_path / "shapes.png")):
        assert torch.equal(shapes.inputs([path, image]), shapes.inputs([image, path]))
        (found,), (wanted,) = shapes.detect([path]), shapes.detect([image])
        assert torch.equal(found.boxes, wanted.boxes) and len(found)
    wrong: dict[str, object] = {
        r"missing\.png cannot be read as a picture": [tmp_path / "missing.png"],
        "picture 1 is a Tensor; give pictures of pillow, or paths": [image, PICTURES[0]],
        "picture 0 is a NoneType": [None],
        "give a list of pictures": image,
        "a single picture was given; give a list": str(tmp_path / "shapes.png"),
        "there is no picture; give at least one": [],
    }
    for message, images in wrong.items():
        for use in (shapes.inputs, shapes.detect):
            with pytest.raises(InputError, match=message):
                use(images)  # type: ignore[operator]


def test_a_size_that_a_detector_cannot_take_is_refused(shapes: Detector) -> None:
    weights = SHAPES_CONFIG.with_suffix(".weights")
    assert load_detector(SHAPES_CONFIG, weights, size=(128, 64)).preprocessing.size == (128, 64)
    with pytest.raises(ConfigurationError, match=r"size is 64; give \(height, width\)"):
        load_detector(SHAPES_CONFIG, weights, size=64)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"size is \(60, 64\); .*must be multiples of"):
        load_detector(SHAPES_CONFIG, weights, size=(60, 64))


def test_a_detector_in_training_is_run_as_it_will_be_used(shapes: Detector, spiking: Detector) -> None:
    original = replace(shapes, network=deepcopy(shapes.network))
    data = (PICTURES[60:70], TRUTHS[60:70])
    wanted = evaluate(spiking, data, reference=shapes).reference_precision
    before = {name: tensor.clone() for name, tensor in original.network.state_dict().items()}
    original.network.train()
    assert evaluate(spiking, data, reference=original).reference_precision == wanted
    for a, b in zip(original.detect(pictures(4)), shapes.detect(pictures(4)), strict=True):
        assert torch.equal(a.boxes, b.boxes)
    assert original.network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in original.network.state_dict().items())


def test_pictures_get_the_precision_of_the_network(shapes: Detector) -> None:
    original = shapes.with_network(deepcopy(shapes.network).double())
    network = snnconv.convert(original.network, original.inputs(pictures(20)), coding=FewSpike(8))
    wanted, got = (each.detect(pictures(4)) for each in (shapes, original))
    for a, b in zip(wanted, got, strict=True):
        assert b.boxes.dtype == torch.float64 and torch.allclose(a.boxes.double(), b.boxes, atol=1e-3)
    assert sum(map(len, original.with_network(network).detect(pictures(4)))) > 0


def test_a_saved_detector_finds_the_same(spiking: Detector, tmp_path: Path) -> None:
    spiking.network.save(tmp_path / "shapes.snn")  # type: ignore[operator]
    loaded = spiking.with_network(snnconv.load(tmp_path / "shapes.snn"))
    for a, b in zip(spiking.detect(pictures(4)), loaded.detect(pictures(4)), strict=True):
        assert torch.equal(a.boxes, b.boxes) and torch.equal(a.scores, b.scores)


def test_a_network_for_other_channels_takes_no_pictures(tmp_path: Path) -> None:
    config = tmp_path / "grey.cfg"
    config.write_text(SHAPES_CONFIG.read_text().replace("channels=3", "channels=1"))
    save_weights(load_darknet(config), tmp_path / "grey.weights")
    with pytest.raises(ConfigurationError, match=r"grey.cfg: the network takes 1 channels, and pictures have 3"):
        load_detector(config, tmp_path / "grey.weights")
