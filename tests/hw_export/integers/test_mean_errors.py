"""What rounding adds to currents on average, and the biases that take it back."""

from __future__ import annotations

import numpy as np
import pytest

from hw_export.integers import mean_errors
from hw_export.integers.fidelity import fidelity, outputs_of
from hw_export.integers.mean_errors import corrected
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import weight_bits_of, written_out
from hw_export.integers.ranges import NeuronLimits, reaches
from hw_export.integers.rounding import rounded
from hw_export.integers.simulation import integer_simulation
from tests.support.exported import converted, images, looked_up


def coarse(name: str, code: str) -> IntegerNetwork:
    """Integers with weights of 4 bits, whose errors do not average out."""
    network = looked_up(code) if name == "smooth" else converted(name, code)
    found = written_out(network)
    return rounded(found, "channel", 8, NeuronLimits(), weight_bits_of(found, 4))


@pytest.mark.parametrize(
    ("name", "code"), [("residual", "few-spike"), ("pooled", "one-spike"), ("leaky", "phase"), ("smooth", "both")]
)
def test_biases_take_back_what_rounding_adds_on_average(name: str, code: str) -> None:
    integers = coarse(name, code)
    network = integers.network
    mended = corrected(integers, [(images(96, seed=11),)])
    new = [(images(96, seed=12),)]
    exact = outputs_of(network, new)
    before, after = (fidelity(outputs_of(integer_simulation(each), new), exact).error for each in (integers, mended))
    assert after < before
    assert mended.connections is integers.connections


def test_streams_and_networks_without_samples_keep_their_biases() -> None:
    stream, window = coarse("residual", "rate"), coarse("residual", "few-spike")
    assert corrected(stream, [(images(8),)]) is stream
    assert corrected(window, []) is window


def test_a_bias_takes_no_more_than_the_room_of_its_membrane(monkeypatch: pytest.MonkeyPatch) -> None:
    integers = coarse("residual", "few-spike")
    far = {reach.node: reach.size for reach in reaches(integers)}
    limit = sorted(far.values())[-2] + 3
    monkeypatch.setattr(mean_errors, "MEMBRANE_LIMIT", limit)
    mended = corrected(integers, [(images(96, seed=11),)])
    moved = {
        node: np.abs(population.bias - integers.populations[node].bias).max()
        for node, population in mended.populations.items()
    }
    assert any(moved.values())
    assert all(moved[node] <= max(0, limit - far[node]) for node in moved)
