"""Steps of a membrane as data: what a kernel computes in place of a neuron's ``step``."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch

from coding.firing_form import FiringForm
from coding.neural_code import Code
from coding.overriding import agree

#: What follows once a membrane has integrated and fired; see the neurons of these names.
Kind = Literal["subtract", "zero", "corrective", "graded", "imbalanced"]


class StepForm(NamedTuple):
    """A firing rule, and what a neuron makes of it.

    Neurons of the last three kinds fire on the mirrored potential, too: ``offset`` less the potential, or the potential
    by -``charge``, which is what such a spike gives back. ``sent`` is what it, or the part below zero, is sent by.
    """

    firing: FiringForm
    kind: Kind
    offset: float = 0.0
    charge: float = 1.0
    sent: float = 1.0


@runtime_checkable
class SteppedNeuron(Protocol):
    """A neuron that can say its ``step`` as data.

    Its state is a named tuple of ``potential``, ``memory`` and, where it has them, ``emitted`` and ``negative_memory``.
    """

    def step_form(self, dtype: torch.dtype) -> StepForm | None:
        """The same as ``step``; ``None`` where its code has no such form."""
        ...


def step_form_of(neuron: object, dtype: torch.dtype) -> StepForm | None:
    """``step`` of ``neuron`` as data; ``None`` where there is no such form, or it is a subclass's own."""
    if not isinstance(neuron, SteppedNeuron):
        return None
    kind = type(neuron)
    if not all(agree(kind, method, "step_form") for method in ("step", "listen", "fire") if hasattr(kind, method)):
        return None
    return neuron.step_form(dtype)


def firing_form_of(code: Code, dtype: torch.dtype) -> FiringForm | None:
    """``fire`` of ``code`` as data; ``None`` where there is no such form, or it is a subclass's own."""
    return code.firing_form(dtype) if agree(type(code), "fire", "firing_form") else None
