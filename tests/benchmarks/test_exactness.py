"""The table of exactness: twelve networks in nine codes, and a page that says what differs and what is refused."""

from __future__ import annotations

import pytest
import torch

from benchmarks import exactness
from benchmarks.exactness import CODES, page
from benchmarks.exactness_networks import NETWORKS, network, pictures
from hw_export.lava.child import LavaError


def test_there_are_twelve_networks_and_nine_codes() -> None:
    assert len(NETWORKS) == 12 and len({repr(code) for code in CODES.values()}) + 1 == len(CODES) == 9


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_always_has_the_same_weights(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        before = torch.get_rng_state()
        one, two = network(name), network(name)
        assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(one(pictures(2, seed=3)), two(pictures(2, seed=3)), rtol=0, atol=0)


def test_the_page_adds_up_what_differs_and_names_reasons_once() -> None:
    rows = [
        ["a", "rate", 1000, 1, 1000, 2, 3, ""],
        ["a", "burst", *[None] * 5, "too large"],
        ["b", "burst", *[None] * 5, "too large"],
    ]
    assert page(rows).splitlines() == [
        "| network | rate | burst |",
        "|---|---:|---:|",
        "| a | 6 of 1,000 | refused (1) |",
        "| b |  | refused (1) |",
        "",
        "1. too large",
    ]


def test_a_run_that_fails_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str, code: str) -> None:
        raise LavaError(f"{name} in {code} code ended with signal 9")

    monkeypatch.setattr(exactness, "_small", fails)
    with pytest.raises(LavaError, match="perceptron in rate code ended"):
        exactness.run(("perceptron, rate",))
