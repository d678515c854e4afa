"""The examples that docstrings give run as they are written, and what people use first has one."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snnconv
from coding import FewSpike
from hw_export import c, lava
from snnconv import detection, plots
from snnconv.learning import spiking_network
from tests.architecture.conftest import Given
from tests.snnconv.learning.training_runs import small_samples, trained
from tests.support.language_models import GPT, POSITIONS, WORDS

#: Modules whose names users import.
FACES = (
    "snnconv",
    "snnconv.coding",
    "snnconv.neurons",
    "snnconv.data",
    "snnconv.detection",
    "snnconv.learning",
    "snnconv.plots",
    "snnconv.tables",
    "snnconv.tuning",
    "hw_export.c",
    "hw_export.integers",
    "hw_export.interop",
    "hw_export.lava",
    "hw_export.netx",
    "hw_export.nir",
)
#: What has to have an example beside the functions of ``snnconv`` itself.
FIRST_USED = {
    "snnconv.Confidence",
    "snnconv.CrossbarNoise",
    "snnconv.Decoder",
    "snnconv.SpikingNetwork",
    "snnconv.SpikingNetwork.run",
    "snnconv.detection.evaluate",
    "hw_export.c.export",
    "hw_export.lava.export",
}


def documented() -> Iterator[tuple[str, Any]]:
    """Every public name and every method of a public class."""
    for face in FACES:
        module = importlib.import_module(face)
        dir(module)  # the package itself loads its names when the first is asked for
        for name, found in vars(module).items():
            if name.startswith("_") or not (inspect.isclass(found) or inspect.isfunction(found)):
                continue
            yield f"{face}.{name}", found
            if inspect.isclass(found):
                yield from (
                    (f"{face}.{name}.{own}", each) for own, each in vars(found).items() if inspect.isfunction(each)
                )


def example_of(found: Any) -> str:
    """The lines behind ``>>>`` and ``...`` under the head "Example"."""
    _, _, text = inspect.cleandoc(found.__doc__ or "").partition("\nExample:\n")
    return "\n".join(re.findall(r"^    (?:>>>|\.\.\.) ?(.*)$", text, re.MULTILINE))


EXAMPLES = {name: text for name, found in documented() if (text := example_of(found))}
FUNCTIONS = {f"snnconv.{name}" for name in snnconv.__all__ if inspect.isfunction(getattr(snnconv, name))}


def language() -> Given:
    """A language model, and what its decoder is given."""
    torch.manual_seed(0)
    tokens = torch.randint(WORDS, (8, POSITIONS))
    return {"causal": snnconv.convert(GPT().eval(), tokens, coding=FewSpike(4)), "tokens": tokens[:1]}


def learning() -> Given:
    """A network that learned through its own spikes."""
    samples = small_samples()
    network = spiking_network(trained(samples)[0], samples)
    return {"learned": network, "trains": samples.values, "labels": samples.labels}


#: What some examples take as given beside what all do.
GIVEN = {"snnconv.Decoder": language, "snnconv.FirstSpike": learning}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_a_docstring_runs_as_it_is_written(name: str, common: Given, folder: Path) -> None:
    images, labels = common["test_data"]
    given: Given = {"images": images, "labels": labels, "nn": nn, "c": c, "lava": lava}
    given |= {"detection": detection, "plots": plots}
    given["loader"] = DataLoader(TensorDataset(images, labels), batch_size=50)
    namespace = {**common, **given, **GIVEN.get(name, dict)(), "__name__": "example"}
    exec(compile(EXAMPLES[name], f"the example of {name}", "exec", dont_inherit=True), namespace)


def test_what_people_use_first_has_an_example() -> None:
    assert set(EXAMPLES) >= FUNCTIONS | FIRST_USED and len(FUNCTIONS | FIRST_USED) >= 20
