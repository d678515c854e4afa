"""The double-exponential neuron over all steps at once, and its gradients backward in time.

Layers propagate within a step, so a layer can run over all of time before the next one: its synapses are one matrix
product for all steps, and only elementwise recursions go from step to step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from coding.threshold import tie_tolerance
from neurons.double_exponential import DoubleExponential, SynapseState


class MembraneResponse(NamedTuple):
    """Spikes (0 or 1) and potentials before the reset, both ``[T, N, n]``, and the state after the last step."""

    events: Tensor
    potential: Tensor
    state: SynapseState


def respond(
    neuron: DoubleExponential, drive: Tensor, bias: Tensor | None, state: SynapseState | None = None
) -> MembraneResponse:
    """What neurons do with ``drive`` ``[T, N, n]``, the weighted input spikes, and ``bias`` ``[n]``; 6.2, equation 1.

    ``state`` is by default that before step 0. The bias enters the potential, not the
    current.
    """
    before = neuron.initial(drive[0]) if state is None else state
    states = torch.stack([before.current, before.potential])
    current, voltage = states.unbind()
    decays = drive.new_tensor([neuron.current_decay, neuron.potential_decay]).view(2, *[1] * (drive.dim() - 1))
    events, potential = torch.empty_like(drive), torch.empty_like(drive)
    threshold = 1.0 - tie_tolerance(drive.dtype)
    constant = None if bias is None else neuron.gain * bias
    # The operations on small tensors cost their number, so current and potential decay and reset together.
    for arriving, fired, reached in zip(drive.unbind(), events.unbind(), potential.unbind(), strict=True):
        states.mul_(decays)
        current.add_(arriving)
        voltage.add_(current, alpha=neuron.gain)
        if constant is not None:
            voltage.add_(constant)
        reached.copy_(voltage)
        torch.ge(voltage, threshold, out=fired)
        states.addcmul_(states, fired, value=-1.0)
    return MembraneResponse(events, potential, SynapseState(current, voltage))


class PotentialGradients(NamedTuple):
    """Gradients ``[T, N, n]`` by potential (D), by input current (GI), and by the time of an input spike (ef2).

    The last is ``None`` unless asked for; all of one unit of input weight.
    """

    potential: Tensor
    current: Tensor
    time: Tensor | None


def propagate_back(neuron: DoubleExponential, gradient: Tensor, events: Tensor, *, times: bool) -> PotentialGradients:
    """Follow ``gradient`` (G, ``[T, N, n]``) backward in time through decays and resets.

    ``D[t] = G[t] + a_v (1 - S[t]) D[t+1]`` and ``GI[t] = g D[t] + a_i (1 - S[t]) GI[t+1]``; with ``times`` also
    ``ef1[t] = (1 - S[t]) (G[t+1] / 2 + a_v ef1[t+1]) - a_v G[t] / 2`` and
    ``ef2[t] = g (ef1[t] - a_i G[t] / 2) + a_i (1 - S[t]) ef2[t+1]``: the response's central difference in time.
    """
    kept = 1.0 - events
    sources = [gradient]
    if times:
        ahead = gradient * (-0.5 * neuron.potential_decay)
        ahead[:-1].addcmul_(gradient[1:], kept[:-1], value=0.5)
        sources.append(ahead)
    # Both recursions pass the same gates, so they run as one.
    traces = torch.stack(sources, 1)
    _accumulate(traces, kept, neuron.potential_decay)
    potential = traces[:, 0].clone()
    traces.mul_(neuron.gain)
    if times:
        traces[:, 1].add_(gradient, alpha=-0.5 * neuron.gain * neuron.current_decay)
    _accumulate(traces, kept, neuron.current_decay)
    return PotentialGradients(potential, traces[:, 0], traces[:, 1] if times else None)


def _accumulate(traces: Tensor, kept: Tensor, decay: float) -> None:
    """x[t] += decay (1 - S[t]) x[t+1], from the last step but one to the first; ``traces`` is ``[T, k, N, n]``."""
    steps, gates = traces.unbind(), kept.unsqueeze(1).unbind()
    for t in range(len(steps) - 2, -1, -1):
        steps[t].addcmul_(gates[t], steps[t + 1], value=decay)
