"""A trained network as its author wrote it, on real images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import snnconv
from benchmarks.datasets import RESNET20, cifar10_test, cifar10_train
from benchmarks.networks import WEIGHTS_FILE, ResNet20, resnet20
from coding import Rate
from snnconv.graph.operators import Role

pytestmark = pytest.mark.slow


@pytest.fixture
def network_file(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SNNCONV_DATA", str(data_dir))
    return data_dir / WEIGHTS_FILE


def test_preflight_points_to_the_lines_of_the_author(network_file: Path) -> None:
    report = snnconv.preflight(resnet20(network_file), torch.zeros(2, 3, 32, 32))
    assert report.ok
    written = Path(ResNet20.forward.__code__.co_filename)
    lines = written.read_text(encoding="utf-8").splitlines()
    populations = [line for line in report.lines if line.role is Role.ACTIVATION]
    assert len(populations) == 19
    for line in populations:
        assert Path(line.source.file) == written
        assert "F.relu" in lines[line.source.line - 1] and lines[line.source.line - 1].strip() == line.source.text


def test_a_residual_network_keeps_its_decisions(network_file: Path) -> None:
    model = resnet20(network_file)
    images, labels = cifar10_test(100, RESNET20)
    network = snnconv.convert(model, cifar10_train(200, RESNET20).images, coding=Rate(48), neuron="corrective")
    with torch.no_grad():
        assert torch.equal(model(images).argmax(1), network.reference(images).argmax(1))
    parts = list(zip(images.split(50), labels.split(50), strict=True))
    result = snnconv.evaluate(network, parts, reference=model)
    assert result.reference_accuracy is not None and result.reference_accuracy >= 88.0
    assert result.agreement >= 97.0
    assert result.loss is not None and result.loss <= 3.0
    assert result.neurons == 19 * 16 * 32 * 32 - 6 * 8 * 32 * 32 - 6 * 12 * 32 * 32
