"""Bars of energy: what they add up to, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnconv import ConfigurationError, plots
from tests.support.drawn import evaluation


def test_one_original_calibrated_twice_is_one_bar() -> None:
    found = evaluation()
    macs = found.activity.reference_active_macs
    nearly, other = (
        replace(found, activity=replace(found.activity, reference_active_macs=factor * macs)) for factor in (1.00001, 2)
    )
    axes = plots.energy({"a": found, "b": nearly, "c": other})
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "a", "b", "original of c", "c"]


@pytest.mark.parametrize("model", ["E2", "E3"])
def test_parts_of_energy_add_up(model: str) -> None:
    found = evaluation()
    axes = plots.energy(found, model=model)
    spent = np.array([[bar.get_width() for bar in container.patches] for container in axes.containers]).sum(0)
    figures = found.energy.to_dict()
    np.testing.assert_allclose(spent, [figures[f"{model.lower()}_reference"], figures[model.lower()]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "spiking"]
    bound = plots.energy({"original": replace(found, synops_are_bound=True)}, model=model)
    assert [label.get_text() for label in bound.get_yticklabels()] == ["original of original", "original"]
    assert [text.get_text().startswith("at most ") for text in bound.texts] == [False, True]
    learned = plots.energy(replace(found, agreement=None), model=model)
    assert [label.get_text() for label in learned.get_yticklabels()] == ["without spikes", "spiking"]
    with pytest.raises(ConfigurationError, match="energy model must be 'E2' or 'E3', got 'E1'"):
        plots.energy(found, model="E1")
