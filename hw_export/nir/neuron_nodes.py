"""Torch modules of NIR's neurons: one step of Euler's method for each.

The equations are those of the primitives I, IF, LI, LIF, CubaLI and CubaLIF in Pedersen et al. (2024), Neuromorphic
intermediate representation, Nature Communications 15, 8122. A step of dt takes a synapse's current first, then the
potential that it drives:

    I <- I + dt / tau_syn (w_in S - I)
    v <- v + dt / tau_mem ((v_leak - v) + R I)    with a leak
    v <- v + dt R I                               without
    z = 1 where v > v_threshold, and there v <- v_reset
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from snnconv.errors import StorageError

_SLACK = 1e-6


class NodeState(NamedTuple):
    """What a node keeps: a potential, the last spikes if it fires, and the current of its synapse if it has one."""

    potential: Tensor | None
    spikes: Tensor | None
    current: Tensor | None


class NeuronNode(nn.Module):
    """Neurons of NIR, whose kind follows from which parameters ``node`` has; output is spikes, or the potential.

    Spikes reset to ``v_reset``, or take off what metadata says. Everything of a state but what it returns has the shape
    of the population, which metadata may tell where the node was laid flat.
    """

    def __init__(self, node: Any, dt: float) -> None:
        super().__init__()
        said = node.metadata
        parameters = {key: value for key, value in vars(node).items() if isinstance(value, np.ndarray)}
        self.fires = "v_threshold" in parameters
        sizes = np.broadcast_shapes(*(value.shape for value in parameters.values()))
        self.shape = None if math.prod(sizes) == 1 else sizes
        self.population = None if self.shape is None and "shape" not in said else sample_shape(node, sizes)
        self.subtracted, self.initial_potential = _reset(said) if self.fires else (None, None)
        leak = next((parameters[key] for key in ("tau", "tau_mem") if key in parameters), None)
        self.leaks, self.synapse = leak is not None, "tau_syn" in parameters
        self._keep("rate", _rate(leak, dt) if leak is not None else np.float64(dt) * parameters["r"])
        if leak is not None:
            self._keep("resistance", parameters["r"])
            self._keep("rest", parameters["v_leak"])
        if self.synapse:
            self._keep("synaptic_rate", _rate(parameters["tau_syn"], dt))
            self._keep("weight_in", parameters["w_in"])
        if self.fires:
            self._keep("threshold", _exceeded(parameters["v_threshold"], said))
            self._keep("floor", parameters["v_reset"])

    def _keep(self, name: str, value: Any) -> None:
        numbers = tensor_of(np.asarray(value))
        self.register_buffer(name, numbers.reshape(()) if numbers.numel() == 1 else numbers)

    def initial(self, current: Tensor) -> NodeState:
        """The state before the first step: no synaptic current, and the resting potential or what metadata says."""
        if self.initial_potential is None and self.leaks:
            potential = self.get_buffer("rest").expand_as(current)
        else:
            potential = torch.full_like(current, self.initial_potential or 0.0)
        return NodeState(
            potential,
            torch.zeros_like(current) if self.fires else None,
            torch.zeros_like(current) if self.synapse else None,
        )

    def forward(self, current: Tensor, state: NodeState | None = None) -> tuple[Tensor, NodeState]:
        """Spikes, or the potential where nothing fires, ``[N, ...]``, and the state behind the step."""
        before = self.initial(current) if state is None else state
        synaptic = None
        if self.synapse:
            assert before.current is not None
            synaptic = before.current.reshape(current.shape)
            synaptic = synaptic + self.get_buffer("synaptic_rate") * (self.get_buffer("weight_in") * current - synaptic)
            current = synaptic
        assert before.potential is not None
        potential = before.potential.reshape(current.shape)
        if self.leaks:
            driven = (self.get_buffer("rest") - potential) + self.get_buffer("resistance") * current
            potential = potential + self.get_buffer("rate") * driven
        else:
            potential = potential + self.get_buffer("rate") * current
        spikes = None
        output = potential
        if self.fires:
            fired = potential > self.get_buffer("threshold")
            output = spikes = fired.to(potential.dtype)
            if self.subtracted is None:
                potential = torch.where(fired, self.get_buffer("floor"), potential)
            else:
                potential = potential - spikes * self.subtracted
        shape = current.shape if self.population is None else (len(current), *self.population)
        kept = (None if each is None else each.reshape(shape) for each in (potential, spikes, synaptic))
        return output, NodeState(*kept)


class ThresholdNode(nn.Module):
    """1 where the input exceeds the threshold, 0 elsewhere."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.shape = None if node.threshold.size == 1 else node.threshold.shape
        threshold = tensor_of(node.threshold)
        self.register_buffer("threshold", threshold.reshape(()) if threshold.numel() == 1 else threshold)

    def forward(self, current: Tensor, state: NodeState | None = None) -> tuple[Tensor, NodeState]:
        """The spikes, which are also what the next step sees of this one."""
        spikes = (current > self.get_buffer("threshold")).to(current.dtype)
        return spikes, NodeState(None, spikes, None)


def tensor_of(array: Any) -> Tensor:
    """The numbers of a node, real ones: the module of the graph casts these to its precision, and whole ones not."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor if tensor.is_floating_point() else tensor.double()


def sample_shape(node: Any, laid: Any) -> tuple[int, ...]:
    """The shape of one sample before it was laid flat, which only metadata can tell."""
    sizes = tuple(int(size) for size in laid)
    said = node.metadata.get("shape", sizes)
    try:
        found = tuple(int(size) for size in np.atleast_1d(said))
    except (TypeError, ValueError) as error:
        raise StorageError(f"metadata says that its shape is {said!r}") from error
    if any(size < 0 for size in found) or math.prod(found) != math.prod(sizes):
        raise StorageError(f"metadata says that {sizes} values have shape {found}")
    return found


def _exceeded(threshold: Any, said: dict[str, Any]) -> Any:
    """What a potential exceeds where it fires; metadata may say that it fires at the threshold already."""
    fires = said.get("fires", "above threshold")
    if fires not in ("above threshold", "at threshold"):
        raise StorageError(f"metadata says that it fires {fires!r}; known are 'above threshold' and 'at threshold'")
    return threshold if fires == "above threshold" else np.nextafter(threshold, np.array(-np.inf, threshold.dtype))


def _rate(tau: Any, dt: float) -> Any:
    """``dt / tau``, in double precision."""
    times = np.asarray(tau, dtype=np.float64)
    if not (times > 0).all():
        raise StorageError(f"a time constant is {times.min():g} s, and has to be positive")
    if (dt > times * (1.0 + _SLACK)).any():
        raise StorageError(
            f"a time constant of {times.min():g} s is shorter than the time step of {dt:g} s, with which Euler's "
            "method means nothing; give a shorter dt="
        )
    return np.minimum(dt / times, 1.0)


def _reset(said: dict[str, Any]) -> tuple[float | None, float | None]:
    """What a spike takes off, if it resets by subtraction, and the initial potential, as metadata says them."""
    reset = said.get("reset", "zero")
    if reset not in ("zero", "subtract"):
        raise StorageError(f"metadata says reset {reset!r}; known are 'zero' and 'subtract'")
    subtracted = said_number(said, "subtracted") if reset == "subtract" else None
    if reset == "subtract" and subtracted is None:
        raise StorageError("metadata says reset 'subtract', and does not say what a spike takes off, as subtracted")
    return subtracted, said_number(said, "initial_potential")


def said_number(said: dict[str, Any], key: str) -> float | None:
    """What metadata says ``key`` is, if anything; raises ``StorageError`` for what is no finite number."""
    if key not in said:
        return None
    try:
        value = float(said[key])
    except (TypeError, ValueError) as error:
        raise StorageError(f"metadata says {key} {said[key]!r}, which is no number") from error
    if not math.isfinite(value):
        raise StorageError(f"metadata says {key} {value}, which cannot be run")
    return value
