"""The contract of a spiking neuron: membrane dynamics with explicit state, one time step at a time."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from coding.neural_code import Quantized

#: A tensor or a nest of tensors whose first axis is the batch; only the neuron that made it looks inside.
State = Any


class UpdateCost(NamedTuple):
    """Memory words that one update of a neuron reads and writes, and its arithmetic (for energy model E3).

    Attributes:
        words: Words that are read and written.
        additions: Number of additions.
        multiplications: Number of multiplications.
    """

    words: int
    additions: int
    multiplications: int


@runtime_checkable
class Neuron(Protocol):
    """Neurons without weights; potentials and payloads are normalised: 1.0 is the population's scale."""

    @property
    def unit_payload(self) -> bool:
        """Payloads are 0 or 1, so that their sum counts spikes."""
        ...

    @property
    def update_cost(self) -> UpdateCost:
        """What one state update costs in hardware."""
        ...

    def initial(self, like: Tensor) -> State:
        """The state before step 0, for currents shaped, placed and typed as ``like``."""
        ...

    def step(self, current: Tensor, state: State, t: int, inverse_scale: Tensor | float = 1.0) -> tuple[Tensor, State]:
        """Payload and next state after ``current`` arrived at step ``t`` of the population's own time.

        ``inverse_scale`` (broadcastable), one over the population's scale, brings the current into normalised units.
        ``state`` and ``current`` are consumed: their storage may be reused for the state and the payload returned. The
        payload is no part of the state, so the caller may change it.
        """
        ...


@runtime_checkable
class WindowNeuron(Neuron, Protocol):
    """A neuron that can wait: it integrates while its sources fire, and then fires in a window of its own."""

    @property
    def closed_form(self) -> bool:
        """Whether ``window`` gives what ``fire`` would, step by step."""
        ...

    def listen(self, current: Tensor, state: State, inverse_scale: Tensor | float = 1.0) -> State:
        """The state after ``current`` arrived; ``state`` is consumed."""
        ...

    def fire(self, state: State, t: int, out: Tensor | None = None) -> tuple[Tensor, State]:
        """Payload and next state at step ``t`` of the window; ``state`` is consumed, ``out`` may become the payload."""
        ...

    def window(self, values: Tensor, counted: bool = True) -> Quantized:
        """The whole window at once for neurons that integrated ``values`` before it."""
        ...


@runtime_checkable
class BiasedNeuron(Neuron, Protocol):
    """A neuron whose potential takes its population's shift; every other gets the shift as a current."""

    def biased_step(
        self, current: Tensor, state: State, t: int, inverse_scale: Tensor | float, bias: Tensor | None
    ) -> tuple[Tensor, State]:
        """``step`` with ``bias`` (normalised, broadcastable) for the potential."""
        ...


@runtime_checkable
class ScoringNeuron(Neuron, Protocol):
    """A neuron of the output that decodes to a score of its class, not to the sum of its payloads."""

    def score(self, counts: Tensor, state: State, steps: int) -> Tensor:
        """Scores ``[N, classes]``, the largest of which decides, after ``counts`` spikes in ``steps`` steps.

        A neuron that has not fired has the score 0, which decides for nothing.
        """
        ...


def integrate(potential: Tensor, current: Tensor, inverse_scale: Tensor | float) -> Tensor:
    """Add ``inverse_scale * current`` to ``potential`` in place.

    The product is rounded before it is added, so that the sum is the same on every processor, and in every kernel.
    """
    return potential.add_(current * inverse_scale)
