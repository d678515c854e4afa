"""Training of detectors: that it learns, resumes bit for bit, and says what is wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from snnconv import ConfigurationError, InputError, ModelError, StorageError
from snnconv.detection import Augmentation, DarknetNetwork, TrainingLog, load_darknet, train_detector
from snnconv.detection.darknet import save_weights
from snnconv.detection.data.datasets import BoxDataset, read_yolo_folder
from snnconv.detection.data.ground_truth import Truth
from snnconv.detection.samples import Samples
from snnconv.detection.shapes import draw_shapes
from snnconv.progress import Progress
from tests.support.checkpoints import Change, altered
from tests.support.interruption import stopped_at

MICRO = """
[net]
width=64
height=64
channels=3
[convolutional]
batch_normalize=1
filters=8
size=4
stride=4
activation=leaky
[dropout]
probability=0.2
[convolutional]
batch_normalize=1
filters=8
size=4
stride=4
activation=leaky
[convolutional]
filters=16
size=1
activation=linear
[yolo]
anchors=12,12, 24,24
num=2
classes=3
"""

Data = tuple[Tensor, list[Truth]]
FIRST = "network.layers.0.convolution.weight"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "micro.cfg"
    path.write_text(MICRO)
    return path


@pytest.fixture(scope="module")
def data() -> Data:
    return draw_shapes(20, seed=0)


def trained(config: Path, data: Data | BoxDataset, **options: Any) -> tuple[DarknetNetwork, TrainingLog]:
    network = load_darknet(config)
    return network, train_detector(network, data, **{"epochs": 4, "batch": 8, **options})


def same(a: DarknetNetwork, b: DarknetNetwork) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return a.seen == b.seen and all(torch.equal(mine[name], other[name]) for name in mine)


# Learning


def test_the_loss_falls(config: Path, data: Data, tmp_path: Path) -> None:
    network, log = trained(config, data, epochs=30, learning_rate=1e-2)
    assert len(log.losses) == 30 and log.resumed == 0
    assert log.losses[-1] < 0.6 * log.losses[0]
    assert network.seen == 30 * 20 and not network.training
    save_weights(network, tmp_path / "micro.weights")
    read = load_darknet(config, tmp_path / "micro.weights")
    with torch.no_grad():
        assert torch.equal(read(data[0])[0], network(data[0])[0]) and read.seen == network.seen


def test_a_seed_fixes_the_weights_and_leaves_the_random_numbers_of_others_alone(config: Path, data: Data) -> None:
    torch.manual_seed(5)
    network, log = trained(config, data, seed=1)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))
    again, same_log = trained(config, data, seed=1)
    assert same(network, again) and log == same_log
    assert not same(network, trained(config, data, seed=2)[0])


# Checkpoints


@pytest.mark.parametrize("step", [0, 3, 11])
def test_an_interrupted_training_comes_to_the_same_weights(config: Path, data: Data, tmp_path: Path, step: int) -> None:
    path = tmp_path / "run.checkpoint"
    whole, log = trained(config, data)
    with pytest.raises(KeyboardInterrupt):
        trained(config, data, checkpoint=path, progress=stopped_at(step))
    network, resumed = trained(config, data, checkpoint=path)
    # Batches of 20 pictures: 3 an epoch.
    assert resumed.resumed == step // 3 and resumed.losses == log.losses
    assert same(network, whole)


def test_a_finished_training_is_read_and_not_repeated(config: Path, data: Data, tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    network, log = trained(config, data, checkpoint=path)
    content = path.read_bytes()
    told: list[Progress] = []
    again, read = trained(config, data, checkpoint=path, progress=told.append)
    assert told == [Progress("training", 12, 12)]
    assert same(network, again) and read.losses == log.losses and read.resumed == 4
    assert path.read_bytes() == content and list(tmp_path.glob(".*")) == []


def test_a_checkpoint_of_another_training_is_refused(config: Path, data: Data, tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(config, data, checkpoint=path)
    for options in ({"epochs": 5}, {"seed": 1}, {"learning_rate": 1e-4}, {"augmentation": Augmentation(flip=0.0)}):
        with pytest.raises(StorageError, match=r"another setting, and cannot go on.*delete the file"):
            trained(config, data, checkpoint=path, **options)
    with pytest.raises(StorageError, match="another data"):
        trained(config, draw_shapes(20, seed=1), checkpoint=path)
    other = load_darknet(config, seed=1)
    with pytest.raises(StorageError, match="another network"):
        train_detector(other, data, epochs=4, batch=8, checkpoint=path)
    assert same(other, load_darknet(config, seed=1))


BROKEN: list[tuple[str, Change]] = [
    ("no checkpoint", lambda content, metadata, tensors: metadata.update(format="other")),
    ("no checkpoint", lambda content, metadata, tensors: content.update(records=[{"loss": math.nan}])),
    ("is not finite", lambda content, metadata, tensors: tensors.update({FIRST: tensors[FIRST] * math.nan})),
    (
        "layers.0.convolution.weight is torch",
        lambda content, metadata, tensors: tensors.update({FIRST: tensors[FIRST][:1].clone()}),
    ),
    ("it lacks layers.0.convolution.weight", lambda content, metadata, tensors: tensors.pop(FIRST)),
    ("format version 9", lambda content, metadata, tensors: metadata.update(version="9")),
    ("lacks its run or its records", lambda content, metadata, tensors: content.update(run=3)),
    ("lacks its run or its records", lambda content, metadata, tensors: content.update(records=[True])),
    ("epoch 1 lacks a number", lambda content, metadata, tensors: content.update(records=[{"loss": True}])),
]


def test_broken_checkpoints_are_refused(config: Path, data: Data, tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    trained(config, data, checkpoint=path)
    sound = path.read_bytes()
    for content in (sound[:-5], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="no checkpoint"):
            trained(config, data, checkpoint=path)
    for message, change in BROKEN:
        path.write_bytes(sound)
        altered(path, change)
        with pytest.raises(StorageError, match=message):
            trained(config, data, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_costs_no_epoch(config: Path, data: Data, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        trained(config, data, checkpoint=tmp_path / "missing" / "run.checkpoint", progress=stopped_at(0))


# What cannot be learnt from


def test_a_loss_that_is_not_finite_ends_training(config: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_darknet(config)
    with pytest.raises(ModelError, match=r"not finite in epoch \d+, batch \d; lower learning_rate, which is 1e\+30"):
        train_detector(network, data, epochs=4, batch=8, learning_rate=1e30)
    assert not network.training
    network = load_darknet(config)
    with torch.no_grad():
        next(network.parameters()).fill_(math.nan)
    with pytest.raises(ModelError, match="in epoch 1, batch 1"):
        train_detector(network, data, epochs=1)


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"learning_rate": math.nan}, {"seed": -1}]
)
def test_options_out_of_range_are_refused(config: Path, data: Data, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be 1 or more"):
        trained(config, data, **options)


def test_pictures_that_do_not_suit_the_network_are_refused(config: Path, data: Data, tmp_path: Path) -> None:
    images, truths = data
    box = torch.tensor([[1.0, 1.0, 9.0, 9.0]])
    unknown = Truth(box, torch.tensor([3]), torch.tensor([False]))
    for bad, message in (
        ((images[:, :, :32], truths), r"need torch.float32 \[20, 3, 64, 64\]"),
        ((images[:3], truths), "20 truths"),
        ((images.double(), truths), "float64"),
        ((images * 255.0, truths), "outside 0 to 1"),
        ((images * math.nan, truths), "outside 0 to 1"),
        ((images[:1], [unknown]), "image 0 has objects of classes outside 0 to 2"),
        ((images[:0], []), "no picture"),
        (BoxDataset((), ("a", "b")), "data has 2 classes, the network 3"),
    ):
        with pytest.raises(InputError, match=message):
            trained(config, bad)
    two = tmp_path / "two.cfg"
    two.write_text(
        MICRO + "[route]\nlayers=-2\n[convolutional]\nfilters=14\nsize=1\nactivation=linear\n[yolo]\nanchors=9,9, 9,9\n"
        "num=2\nclasses=2\n"
    )
    with pytest.raises(ConfigurationError, match="different numbers of classes"):
        trained(two, data)
    grey = tmp_path / "grey.cfg"
    grey.write_text(MICRO.replace("channels=3", "channels=1"))
    with pytest.raises(ConfigurationError, match="takes 1 channels"):
        trained(grey, data)


# Pictures from files


def folder(root: Path) -> BoxDataset:
    """Three pictures of 80 by 40 pixels with one object each."""
    (root / "images").mkdir()
    (root / "labels").mkdir()
    for number in range(3):
        image = Image.new("RGB", (80, 40), (20, 40, 60))
        image.paste((250, 250, 250), (10 * number, 8, 10 * number + 20, 28))
        image.save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text(f"1 {(10 * number + 10) / 80} 0.45 0.25 0.5\n")
    return read_yolo_folder(root, ("a", "b", "c"))


@pytest.mark.parametrize("letterbox", [False, True])
def test_objects_of_files_lie_where_they_are_on_the_input(config: Path, tmp_path: Path, letterbox: bool) -> None:
    samples = Samples(folder(tmp_path), load_darknet(config), letterbox=letterbox)
    images, objects = samples.batch([2, 0])
    assert images.shape == (2, 3, 64, 64) and objects.images.tolist() == [0, 1] and objects.classes.tolist() == [1, 1]
    for image, box in zip(images, objects.boxes, strict=True):
        assert torch.allclose(extent(image, 0.75), box, atol=1.5 / 64)
    pixels = samples.preprocessing.to_original(objects.boxes, (40, 80))
    assert torch.allclose(pixels, torch.tensor([[20.0, 8.0, 40.0, 28.0], [0.0, 8.0, 20.0, 28.0]]), atol=1e-4)


@pytest.mark.parametrize("letterbox", [False, True])
def test_a_network_learns_from_files(config: Path, tmp_path: Path, letterbox: bool) -> None:
    _, log = trained(config, folder(tmp_path), epochs=8, batch=2, letterbox=letterbox, learning_rate=1e-2)
    assert log.losses[-1] < log.losses[0]


def test_a_picture_that_cannot_be_read_is_named(config: Path, tmp_path: Path) -> None:
    dataset = folder(tmp_path)
    (tmp_path / "images" / "1.png").write_bytes(b"no picture")
    network = load_darknet(config)
    with pytest.raises(InputError, match=r"images/1\.png cannot be read as a picture"):
        train_detector(network, dataset, epochs=1)
    assert not network.training


# Augmentation


def extent(image: Tensor, level: float) -> Tensor:
    """Centre x, centre y, width and height, in fractions, of what is brighter than ``level``."""
    bright = image.amin(0) > level
    rows, columns = bright.any(1).nonzero()[:, 0], bright.any(0).nonzero()[:, 0]
    first, last = torch.stack([columns[0], rows[0]]), torch.stack([columns[-1], rows[-1]]) + 1
    return torch.cat([(first + last) / 2, (last - first).float()]) / 64
