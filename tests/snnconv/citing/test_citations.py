"""Whom to cite: the papers of what a network uses, and no others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

import snnconv
from coding import CODES, TTFS, FewSpike, Pipeline, Rate
from neurons import NEURONS, IntegrateFire
from snnconv.citing.bibliography import PUBLICATIONS
from snnconv.errors import ConfigurationError

SAMPLES = torch.rand(40, 4, generator=torch.Generator().manual_seed(0))


def perceptron(activation: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), activation or nn.ReLU(), nn.Linear(6, 3)).eval()


@pytest.mark.parametrize("kind", [*CODES.values(), *NEURONS.values()], ids=lambda kind: kind.__name__)
def test_what_codes_and_neurons_name_is_in_the_bibliography(kind: type) -> None:
    assert set(getattr(kind, "papers", ())) <= set(PUBLICATIONS)


@pytest.mark.parametrize("key", PUBLICATIONS)
def test_every_entry_is_whole_and_its_key_is_its_first_author_and_year(key: str) -> None:
    entry = PUBLICATIONS[key]
    text = entry.bibtex(key)
    assert text.count("{") == text.count("}") and text.startswith(f"@{entry.kind}{{{key},\n")
    assert {"author", "title", "year"} <= set(entry.fields)
    assert ("journal" in entry.fields) == (entry.kind == "article")
    surname = re.sub(r'\{\\"o\}', "oe", entry.fields["author"].split(",")[0]).lower()
    assert key.startswith(surname + entry.fields["year"])


def test_a_network_cites_what_it_uses_with_the_reason_once() -> None:
    network = snnconv.convert(perceptron(), SAMPLES, coding=TTFS(16, tau=4.0), schedule=Pipeline(8))
    found = snnconv.citations(network)
    assert found.reasons["park2020t2fsnn"] == ("ttfs code", "early firing")
    assert "IntegrateFire neurons" in found.reasons["rueckauer2017"]
    text = str(found)
    assert text.startswith("% the conversion and its simulation\n@misc{snnconv,")
    assert text.count("@inproceedings{park2020t2fsnn,") == 1 and "% ttfs code, early firing\n" in text
    assert snnconv.__version__ in text


@pytest.mark.parametrize(
    ("method", "key", "options"),
    [
        ("channel-wise normalisation", "kim2020spikingyolo", {"normalization": "channel"}),
        ("CorrectiveIntegrateFire neurons", "wang2022signed", {"coding": Rate(16), "neuron": "corrective"}),
        ("burst input", "park2019burst", {"coding": "burst", "input": "burst"}),
    ],
)
def test_each_method_brings_its_paper_and_without_it_none(method: str, key: str, options: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"coding": FewSpike(3, spikes=1), "normalization": "layer", "bias_correction": False}
    if "coding" in options:
        plain = {"coding": Rate(16), "normalization": "layer"}
    without = snnconv.citations(snnconv.convert(perceptron(), SAMPLES, **plain))
    found = snnconv.citations(snnconv.convert(perceptron(), SAMPLES, **plain | options))
    assert key not in without.reasons and method in found.reasons[key]


def test_signed_neurons_bring_the_paper_that_they_are_from() -> None:
    network = snnconv.convert(perceptron(nn.LeakyReLU(0.1)), SAMPLES, coding=FewSpike(6), normalization="layer")
    assert snnconv.citations(network).reasons["kim2020spikingyolo"] == ("SignedWindow neurons",)


def test_shifts_and_tuning_bring_their_papers_also_from_a_file(tmp_path: Path) -> None:
    network = snnconv.convert(perceptron(), SAMPLES, coding=FewSpike(6), bias_correction=False)
    assert not {"li2021calibration", "kim2020antlr"} & set(snnconv.citations(network).reasons)
    shifted = {name: replace(each, shift=each.shift + 0.1) for name, each in network.populations.items()}
    changed = network.with_(populations=shifted, tuned=True)
    changed.save(tmp_path / "changed.snn")
    found = snnconv.citations(snnconv.load(tmp_path / "changed.snn")).reasons
    assert found == snnconv.citations(changed).reasons
    assert found["li2021calibration"] == ("bias correction",) and "kim2020antlr" in found


@dataclass(frozen=True)
class OwnNeuron(IntegrateFire):
    papers: ClassVar[tuple[str, ...]] = ("me2026",)


def test_a_paper_that_nobody_knows_is_named_with_its_neuron() -> None:
    network = snnconv.convert(perceptron(), SAMPLES, coding=FewSpike(6), neuron=OwnNeuron)
    with pytest.raises(ConfigurationError, match="OwnNeuron neurons names the paper 'me2026', which is none of"):
        snnconv.citations(network)


@pytest.mark.parametrize("key", PUBLICATIONS)
def test_the_page_of_papers_has_the_title_and_the_place_of_each(key: str) -> None:
    fields = PUBLICATIONS[key].fields
    page = (Path(__file__).parents[3] / "docs" / "papers.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if f"| {re.sub('[{}]', '', fields['title'])} |" in line]
    place = f"https://doi.org/{fields['doi']}" if "doi" in fields else f"https://arxiv.org/abs/{fields['eprint']}"
    assert f"({place})" in row and fields["year"] in row
