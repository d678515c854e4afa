"""Weights as people have them: the right ones are loaded, or one sentence says what the file holds."""

from __future__ import annotations

import argparse
import io
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as older_weight_norm
from torch.optim.swa_utils import AveragedModel

from snnconv import ModelError
from snnconv.cli.weights import load_weights

State = dict[str, Tensor]


def build(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(OrderedDict(features=features, flat=nn.Flatten(), classifier=nn.Linear(16, 2))).eval()


def named(state: State, old: str, new: str) -> State:
    return {name.replace(old, new, 1): tensor for name, tensor in state.items()}


def ahead(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def optimizer() -> dict[str, Any]:
    model = build(3)
    adam = torch.optim.Adam(model.parameters())
    model(torch.rand(2, 3, 4, 4)).sum().backward()
    adam.step()
    return adam.state_dict()


#: Files, by what they hold of the state dict.
FILES: dict[str, Any] = {
    "the state dict": lambda state: state,
    "an entry state_dict": lambda state: {"epoch": 3, "state_dict": state, "optimizer": optimizer()},
    "an entry model": lambda state: {"model": state, "iteration": 7, "args": argparse.Namespace(lr=0.1, name="a")},
    "an entry model_state_dict": lambda state: {"model_state_dict": state, "loss": np.float64(0.5)},
    "an entry net": lambda state: {"net": state, "acc": np.float32(91.0), "epoch": np.int64(4)},
    "an entry ema": lambda state: {
        "ema": {"decay": 0.99, "module": state},
        "model": ahead("teacher.x.", build(2).state_dict()) | {"extra": torch.ones(1)},
    },
    "module.": lambda state: ahead("module.", state),
    "module. in the middle": lambda state: named(state, "features.", "features.module."),
    "_orig_mod.": lambda state: ahead("_orig_mod.", state),
    "_orig_mod. of a part": lambda state: named(state, "features.", "features._orig_mod."),
    "model. of a trainer": lambda state: {"state_dict": ahead("model.", state), "global_step": 8, "callbacks": {}},
    "several": lambda state: {"state_dict": ahead("module._orig_mod.model.", state)},
    "a prefix of one's own": lambda state: ahead("student.backbone.", state),
    "without counters": lambda state: {name: t for name, t in state.items() if not name.endswith("tracked")},
    "a number beside the tensors": lambda state: state | {"epoch": 3},
}


@pytest.mark.parametrize("kind", FILES)
def test_the_weights_in_a_file_are_found(kind: str, tmp_path: Path) -> None:
    trained, model = build(0), build(1)
    torch.save(FILES[kind](trained.state_dict()), tmp_path / "weights.pth")
    load_weights(model, tmp_path / "weights.pth")
    for name, tensor in trained.state_dict().items():
        if not name.endswith("tracked"):
            assert torch.equal(tensor, model.state_dict()[name]), name


def test_averaged_weights_and_those_of_older_norms_are_loaded(tmp_path: Path) -> None:
    path, x = tmp_path / "weights.pth", torch.rand(5, 3)
    averaged = AveragedModel(nn.Linear(3, 2))
    torch.save(averaged.state_dict(), path)
    model: nn.Module = nn.Linear(3, 2)
    load_weights(model, path)
    assert torch.equal(model(x), averaged.module(x))
    with pytest.warns(FutureWarning, match="weight_norm"):
        normed = older_weight_norm(nn.Linear(3, 2))
    torch.save(ahead("module.", normed.state_dict()), path)
    model = parametrizations.weight_norm(nn.Linear(3, 2))
    load_weights(model, path)
    assert torch.allclose(model(x), normed(x))


@pytest.mark.parametrize("name", ["weights.safetensors", "pytorch_model.bin"])
def test_safetensors_are_known_by_their_content(name: str, tmp_path: Path) -> None:
    trained, model = build(0), build(1)
    safetensors.torch.save_file(ahead("model.", trained.state_dict()), tmp_path / name)
    load_weights(model, tmp_path / name)
    assert torch.equal(model.get_parameter("classifier.weight"), trained.get_parameter("classifier.weight"))


def test_an_empty_state_dict_fits_a_model_without_weights(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pth")
    load_weights(nn.ReLU(), tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="lacks 2 of 2 tensors: bias, weight"):
        load_weights(nn.Linear(2, 1), tmp_path / "weights.pth")


def without(state: State, name: str) -> State:
    return {key: tensor for key, tensor in state.items() if key != name}


REFUSED: dict[str, tuple[Any, str]] = {
    "two that fit": (
        lambda state: {"model": state, "ema": ahead("module.", build(2).state_dict())},
        r"holds several sets of weights that fit the model: \['model'\], \['ema'\]; save the one that you mean: "
        r"torch\.save\(torch\.load\('.*w\.pth'\)\['model'\], 'chosen\.pth'\)",
    ),
    "one that is missing": (
        lambda state: {"state_dict": ahead("module.", without(state, "classifier.bias"))},
        r"does not fit the model, with its weights in \['state_dict'\]: it lacks 1 of 9 tensors: classifier\.bias$",
    ),
    "one too many": (
        lambda state: ahead("model.", state) | {"loss.weight": torch.ones(2)},
        "has 9 that the model has not",
    ),
    "another shape": (
        lambda state: state | {"classifier.weight": torch.ones(3, 16)},
        r"has 1 of another shape: classifier\.weight \[3, 16\] instead of \[2, 16\]$",
    ),
    "many of another model": (
        lambda state: {f"layer{number}.weight": torch.ones(1) for number in range(500)},
        r"lacks 8 of 9 tensors: classifier\.bias, classifier\.weight, features\.0\.bias, \.\.\.; it has 500 that",
    ),
    "numbers": (lambda state: {"epoch": 3, "loss": 0.5}, "holds a dict of epoch, loss, and no state dict"),
    "a tensor": (lambda state: torch.ones(3), "holds a Tensor, and no state dict, .*: save model.state_dict"),
    "two names for one": (
        lambda state: state | ahead("module.", build(2).state_dict()),
        "it has 8 that the model has not: module.classifier.bias",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    content, message = REFUSED[kind]
    torch.save(content(build(0).state_dict()), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=message) as caught:
        load_weights(build(1), tmp_path / "w.pth")
    assert str(caught.value).startswith(str(tmp_path / "w.pth")) and len(str(caught.value)) < 500


class Unpickled:
    """Tells that it was made from a file."""

    made = 0

    def __setstate__(self, state: object) -> None:
        Unpickled.made += 1


def test_a_pickled_object_is_never_made_and_two_lines_say_what_to_do(tmp_path: Path) -> None:
    for content, kind in ((build(0), "torch.nn.modules.container.Sequential"), ({"a": Unpickled()}, "Unpickled")):
        torch.save(content, tmp_path / "whole.pth")
        with pytest.raises(ModelError) as caught:
            load_weights(build(1), tmp_path / "whole.pth")
        first, *lines = str(caught.value).splitlines()
        assert kind in first and "can run any code" in first and not Unpickled.made
        state = f"torch.save(model.state_dict(), {str(tmp_path / 'whole_state.pth')!r})"
        assert [line.strip() for line in lines] == ["import torch", state]
        assert "weights_only" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02h\x07.", b"\xff\xd8\xff\xe0"], ids=len)
def test_a_file_that_is_none_is_refused_with_its_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"w\.pth cannot be read as weights of a model"):
        load_weights(build(1), tmp_path / "w.pth")


def test_an_archive_that_unpacks_to_too_much_is_refused_by_what_it_says(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, plain := io.BytesIO())
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    content = (tmp_path / "w.pth").read_bytes()
    claim = (2**28 + 1).to_bytes(4, "little")
    (tmp_path / "w.pth").write_bytes(content.replace((4000).to_bytes(4, "little"), claim))
    with pytest.raises(
        ModelError, match=r"w\.pth cannot be read as weights of a model, or other tensors: .* more than 100 times"
    ):
        load_weights(build(1), tmp_path / "w.pth")


def test_mappings_that_hold_each_other_are_looked_at_once(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3}
    content |= dict.fromkeys(map(str, range(300)), content)
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="and no state dict"):
        load_weights(build(1), tmp_path / "w.pth")
    state = build(0).state_dict()
    torch.save({"state_dict": state, "model": state}, tmp_path / "w.pth")  # one set of weights under two names
    load_weights(model := build(1), tmp_path / "w.pth")
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    torch.save(build(0).state_dict(), whole := io.BytesIO())
    (tmp_path / "w.pth").write_bytes(whole.getvalue()[:700])
    with pytest.raises(
        ModelError, match=r"w\.pth cannot be read as weights of a model, or other tensors: it is damaged"
    ):
        load_weights(build(1), tmp_path / "w.pth")
