"""A spiking network gives its output in the type of the original's; from a file, names stay attributes."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import snnconv
from coding import FewSpike, Rate
from snnconv.capture.problems import UnsupportedModelError
from snnconv.errors import ModelError
from snnconv.graph.output_types import OutputMapping, OutputTuple

X = torch.rand(70, 5, generator=torch.Generator().manual_seed(0))


class LogitsFirst(NamedTuple):
    logits: Tensor
    features: Tensor


@dataclass
class Known:
    features: Tensor
    logits: Tensor
    nothing: Tensor | None = None


@dataclass
class Unknown:
    logits: Tensor


class ModelOutput(OrderedDict[str, Any]):
    """As the library transformers has them: a dict with attributes."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]


torch.export.register_dataclass(Known)
pytree.register_pytree_node(
    ModelOutput,
    lambda output: ([*output.values()], [*output]),
    lambda values, names: ModelOutput(zip(names, values, strict=True)),
    serialized_type_name="tests.ModelOutput",
)


class Model(nn.Module):
    def __init__(self, make: Callable[..., Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.make, self.first, self.last = make, nn.Linear(5, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        hidden = torch.relu(self.first(x))
        return self.make(logits=self.last(hidden), features=hidden)


#: Types of outputs: what makes one, how logits are found in it, and its type in a network from a file.
TYPES: dict[str, tuple[Callable[..., Any], Callable[[Any], Tensor], type]] = {
    "tuple": (lambda logits, features: (features, logits), lambda output: output[1], tuple),
    "list": (lambda logits, features: [logits, None, features], lambda output: output[0], list),
    "dict": (lambda logits, features: {"logits": logits, "b": [features]}, lambda output: output["logits"], dict),
    "ordered dict": (lambda **values: OrderedDict(values), lambda output: output["logits"], dict),
    "named tuple": (LogitsFirst, lambda output: output.logits, OutputTuple),
    "dataclass": (Known, lambda output: output.logits, OutputMapping),
    "mapping": (ModelOutput, lambda output: output.logits, OutputMapping),
    "nested": (
        lambda logits, features: {"z": Known(features, logits), "a": [LogitsFirst(logits, features)]},
        lambda output: output["a"][0].logits + 0.0 * output["z"].logits,
        dict,
    ),
}


@pytest.mark.parametrize("kind", TYPES)
def test_the_output_keeps_its_type(kind: str, tmp_path: Path) -> None:
    make, logits_of, stored = TYPES[kind]
    model = Model(make)
    network = snnconv.convert(model, X, coding=FewSpike(10, spikes=5))
    with torch.no_grad():
        wanted = model(X)
    found = network(X)
    for output in (found, network.run(X).output, network.reference(X)):
        assert type(output) is type(wanted)
        assert pytree.tree_structure(output) == pytree.tree_structure(wanted)
        assert float((logits_of(output) - logits_of(wanted)).norm() / logits_of(wanted).norm()) < 0.05
    copied = copy.deepcopy(network).double()
    assert type(copied(X.double())) is type(wanted)
    network.save(tmp_path / "network.snn")
    loaded = snnconv.load(tmp_path / "network.snn")
    assert type(loaded(X)) is type(pickle.loads(pickle.dumps(network))(X)) is stored
    assert torch.equal(logits_of(loaded(X)), logits_of(found))
    loaded.save(tmp_path / "again.snn")
    again = snnconv.load(tmp_path / "again.snn")(X)
    assert type(again) is stored and torch.equal(logits_of(again), logits_of(found))


def test_recorded_outputs_keep_the_type_too() -> None:
    network = snnconv.convert(Model(LogitsFirst), X, coding=Rate(4))
    run = network.run(X, record=["outputs"])
    assert isinstance(run.outputs, LogitsFirst) and run.outputs.logits.shape == (4, 70, 4)
    assert torch.equal(run.outputs.logits[-1], run.output.logits)


def test_names_that_an_output_does_not_have_are_attribute_errors() -> None:
    for output in (OutputTuple([1, 2], ["a", "b"]), OutputMapping(a=1, b=2)):
        assert (output.a, output.b) == (1, 2)
        assert not hasattr(output, "c")
        with pytest.raises(AttributeError, match=r"no 'c'; it has a, b"):
            output.c  # noqa: B018
        assert copy.deepcopy(output) == output and copy.deepcopy(output).b == 2


def test_a_class_that_is_not_known_is_refused_with_what_makes_it_known() -> None:
    with pytest.raises(UnsupportedModelError, match=r"returns a Unknown(.|\n)*register_dataclass\(Unknown\)"):
        snnconv.convert(Model(lambda logits, features: Unknown(logits)), X)


class KeyValueCache:
    """Keys and values of tokens that were there before."""


def test_a_cache_is_refused_with_what_switches_it_off() -> None:
    with pytest.raises(UnsupportedModelError, match=r"returns a KeyValueCache(.|\n)*model\.config\.use_cache = False"):
        snnconv.convert(Model(lambda logits, features: (logits, KeyValueCache())), X)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda logits, features: (logits, "text"), "str"),
        (lambda logits, features: (logits, 3), "int"),
        (lambda logits, features: (logits, features.shape[0]), "number"),
    ],
)
def test_what_is_no_tensor_is_refused(make: Callable[..., Any], kind: str) -> None:
    with pytest.raises(ModelError, match=f"returns a {kind}; return tensors"):
        snnconv.convert(Model(make), X)
