"""A random network with all that becomes of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

import snnconv
from coding.plan import as_plan
from hw_export.integers.network import IntegerNetwork
from hw_export.integers.quantization import quantize
from snnconv import SpikingNetwork
from snnconv.calibration.assembly import Calibrator, assemble
from tests.support.random_networks.codings import Setting
from tests.support.random_networks.script import Script

#: Samples that networks are calibrated and compared on.
SAMPLES = 12


class Specimen:
    """One script under one setting, with what becomes of it, each made when it is first asked for."""

    def __init__(self, script: Script, setting: Setting | None = None) -> None:
        self.script, self.setting = script, setting or Setting()
        self.model = script.module()
        self.inputs = script.samples(SAMPLES)

    @staticmethod
    def data(inputs: tuple[Tensor, ...]) -> Any:
        """``inputs`` as ``convert``, ``evaluate`` and others take a batch of them."""
        return inputs[0] if len(inputs) == 1 else (inputs, None)

    @property
    def given(self) -> Any:
        """The inputs as ``run`` takes them."""
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @cached_property
    def calibrator(self) -> Calibrator:
        """The model, captured and calibrated once."""
        return Calibrator(self.model, self.data(self.inputs), None)

    def converted(self, setting: Setting, calibrator: Calibrator | None = None) -> SpikingNetwork:
        """What ``snnconv.convert`` makes of the model under ``setting``."""
        plan = as_plan(setting.code, None, setting.schedule)
        return assemble((calibrator or self.calibrator).calibrated(plan, setting.options), plan, setting.options)

    @cached_property
    def network(self) -> SpikingNetwork:
        """The spiking network."""
        return self.converted(self.setting)

    @cached_property
    def integers(self) -> IntegerNetwork | None:
        """The integer network; ``None`` where integers cannot represent the network."""
        try:
            return quantize(self.network, input_bits=9)
        except snnconv.ConfigurationError:
            return None

    def expected(self, inputs: tuple[Tensor, ...]) -> Any:
        """What the model computes."""
        with torch.no_grad():
            return self.model(*inputs)


def is_refused(refusal: snnconv.ConfigurationError) -> bool:
    """Whether a setting asks for what its schedule cannot do.

    A pipeline cannot compare spikes of different scales in a maximum, streams cannot wait for all of a current.
    """
    known = ("max pooling", "looked up in a table", "multiplies two signals", "divides one signal by another")
    return any(words in str(refusal) for words in known)
