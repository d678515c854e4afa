"""What keys of charts say is what is drawn: payloads of spikes, shades of attention, boxes beside a threshold."""

from __future__ import annotations

import pytest
import torch

from snnconv.reporting.attention import AttentionMap
from snnconv.reporting.contents import Contents
from snnconv.reporting.heads import attention_part
from snnconv.reporting.measuring import CloseLook, ShownSample
from snnconv.reporting.rasters import rasters_part
from snnconv.reporting.trains import ShownTrain
from tests.support.networks import network_of
from tests.support.reports import report_of


@pytest.mark.parametrize(
    ("payloads", "said"),
    [
        ([0.5, -0.5, 0.0], ["a spike; all of a population carry the same", "negative"]),
        ([1.0, 0.6], ["carries over half the largest of its population"]),
        ([1.0, 0.5, 0.25, 0.125], ["carries over half the largest", "over a quarter of it", "over an eighth", "less"]),
    ],
)
def test_spikes_are_told_apart_by_what_they_carry(payloads: list[float], said: list[str]) -> None:
    train = ShownTrain("layers.1", 0, torch.tensor([payloads]), len(payloads), len(payloads), len(payloads))
    look = CloseLook(1, None, (ShownSample(1, (train,), None, None, None),), (), ())
    part = rasters_part(Contents("Spikes", network_of("deep"), look=look))
    assert part is not None and all(each in part.content for each in said)
    assert ("carry the same" in part.content) == ("carry the same" in said[0])


def test_a_pair_of_attention_maps_has_one_scale() -> None:
    spiking, original = torch.tensor([[0.4, 0.0], [0.0, 0.0]]), torch.tensor([[0.2, 0.8], [0.5, 0.5]])
    look = CloseLook(1, None, (), (AttentionMap("exp", 0, spiking, original, (2, 2)),), ())
    part = attention_part(Contents("Attention", network_of("deep"), look=look))
    assert part is not None and "The darkest shade is 0.800 in both." in part.content
    assert part.content.count('class="shade s6"') == 1 and part.content.count('class="shade s3"') == 1


def test_a_box_of_one_network_may_be_below_the_score_of_the_other() -> None:
    assert "above that score in this network alone" in report_of("detector").html
