"""Windows that are looked up, as data: what a kernel computes in place of a neuron's ``window``."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from coding.neural_code import Code
from coding.overriding import agree
from coding.window.closed_form import Levels


class BelowZero(NamedTuple):
    """What a code sees of a potential below zero, and what is sent of what it decodes that to, as factors."""

    seen: float
    sent: float


class LevelForm(NamedTuple):
    """Trains by the size of a potential; ``negative`` is ``None`` where a neuron below zero is silent."""

    levels: Levels
    negative: BelowZero | None


class TableForm(NamedTuple):
    """Tables of channels, as ``neurons.TableLookup`` reads them, by the number of thresholds that are reached.

    ``thresholds`` rise, ``[channels, cells]``, others are ``[channels, cells + 1]``, from none reached on. ``slack``
    ``[channels]`` raises potentials before they are compared. A second spike has ``levels``, 0 where there is none.
    """

    thresholds: Tensor
    payloads: Tensor
    origins: Tensor
    rates: Tensor
    slopes: Tensor
    slack: Tensor
    levels: int
    steps: int


WindowForm = LevelForm | TableForm


@runtime_checkable
class FormNeuron(Protocol):
    """A neuron that can say its ``window`` as data."""

    def window_form(self, dtype: torch.dtype, device: torch.device) -> WindowForm | None:
        """The same as ``window``; ``None`` where it cannot be looked up."""
        ...


@runtime_checkable
class TabulatedCode(Protocol):
    """A code that can say its ``quantize`` as data."""

    def tabulated(self, dtype: torch.dtype, device: torch.device) -> Levels | None:
        """What ``quantize`` looks up, or computes of numbers to the same bit; ``None`` where it cannot be looked up."""
        ...


def window_form_of(neuron: object, dtype: torch.dtype, device: torch.device) -> WindowForm | None:
    """What ``window`` of ``neuron`` looks up; ``None`` where it is computed, or is a subclass's own."""
    if not isinstance(neuron, FormNeuron) or not agree(type(neuron), "window", "window_form"):
        return None
    return neuron.window_form(dtype, device)


def levels_in(code: Code, dtype: torch.dtype, device: torch.device) -> Levels | None:
    """What ``quantize`` of ``code`` looks up; ``None`` where it cannot be, or is a subclass's own."""
    if not isinstance(code, TabulatedCode) or not agree(type(code), "quantize", "tabulated"):
        return None
    return code.tabulated(dtype, device)
