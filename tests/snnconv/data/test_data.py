"""Sample files, batches and the digits that ship with a dependency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from snnconv import InputError
from snnconv.data import DigitsCNN, load_digits, train_digits_cnn
from snnconv.data.batches import as_inputs, batches, split_batch
from snnconv.data.files import load_samples


def test_digits_are_split_the_same_way_every_time() -> None:
    first, second = load_digits(), load_digits()
    assert torch.equal(first.train[0], second.train[0]) and torch.equal(first.test[1], second.test[1])
    assert (len(first.train[0]), len(first.test[0])) == (1797 - 359, 359)
    assert first.train[0].shape[1:] == (1, 8, 8)
    assert float(first.train[0].min()) == 0.0 and float(first.train[0].max()) == 1.0
    everything = torch.cat([first.train[1], first.test[1]])
    assert torch.bincount(everything).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_training_depends_on_the_seed_alone() -> None:
    digits = load_digits()
    state = torch.random.get_rng_state()
    first, again, other = (train_digits_cnn(digits, epochs=1, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert isinstance(first, DigitsCNN) and not first.training


@pytest.mark.parametrize("suffix", ["npz", "npy", "safetensors"])
def test_samples_are_read_from_each_kind_of_file(suffix: str, tmp_path: Path) -> None:
    inputs, targets = torch.rand(5, 3), torch.arange(5)
    path = tmp_path / f"samples.{suffix}"
    if suffix == "npz":
        np.savez(path, inputs=inputs.numpy(), targets=targets.numpy())
    elif suffix == "npy":
        np.save(path, inputs.numpy())
    else:
        safetensors.torch.save_file({"inputs": inputs, "targets": targets}, path)
    found, classes = load_samples(path)
    assert torch.equal(found, inputs)
    assert classes is None if suffix == "npy" else classes is not None and torch.equal(classes, targets)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.npz", None, "cannot be read"),
        ("broken.npz", b"PK\x03\x04 no archive", "cannot be read"),
        ("broken.npy", b"no array", "cannot be read"),
        ("broken.safetensors", b"no tensors at all", "cannot be read"),
        ("samples.csv", b"1,2,3", "cannot be read as samples: they come from"),
        ("empty.npz", b"", "cannot be read"),
    ],
)
def test_a_file_without_samples_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_samples(tmp_path / name)


def test_an_altered_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    np.savez_compressed(path, inputs=np.arange(1000.0))
    content = path.read_bytes()
    for start, change in ((60, bytes(20)), (8, b"\x63")):
        altered = content[:start] + change + content[start + len(change) :]
        if len(change) == 1:  # an unknown compression stands in the directory too
            start = altered.index(b"PK\x01\x02") + 10
            altered = altered[:start] + change + altered[start + 1 :]
        path.write_bytes(altered)
        with pytest.raises(InputError, match=r"samples\.npz cannot be read as samples"):
            load_samples(path)


def test_pickled_arrays_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        load_samples(tmp_path / "objects.npy")


def test_an_archive_without_inputs_names_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", images=np.zeros(3))
    with pytest.raises(InputError, match="images"):
        load_samples(tmp_path / "samples.npz")


def test_a_batch_is_inputs_or_inputs_and_targets() -> None:
    a, b, y = torch.rand(4, 2), torch.rand(4, 3), torch.arange(4)
    assert split_batch(a, "data")[1] is None
    assert split_batch((a,), "data")[1] is None
    assert split_batch((a, None), "data")[1] is None
    inputs, targets = split_batch(((a, b), y), "data")
    assert inputs[0] is a and inputs[1] is b and targets is y
    _, listed = split_batch([a, [0, 1, 2, 3]], "data")
    assert listed is not None and listed.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "data",
    [[], (), "text", 5, None, torch.tensor(1.0), torch.zeros(0, 3), [[1, 2, 3]], (torch.zeros(2, 3), ["a", "b"])],
)
def test_what_is_no_batch_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="data"):
        list(batches(data, "data"))


def test_three_items_ask_for_a_tuple_of_inputs() -> None:
    with pytest.raises(InputError, match=r"\(\(a, b\), targets\)"):
        list(batches((torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2)), "data"))


def test_no_inputs_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="no input"):
        as_inputs((), "input")
