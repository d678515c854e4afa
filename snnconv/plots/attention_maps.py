"""Where a transformer looks: the attention that its spikes, or its original, compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.graph.analysis import analysis_of
from snnconv.graph.attention_parts import attention_parts
from snnconv.graph.graph import Graph
from snnconv.graph.interpreter import evaluate_graph
from snnconv.network import SpikingNetwork
from snnconv.plots.axes import COLUMN, new_axes, text_size
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import PayloadSums
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Operators that take the largest score of a row.
_MAXIMA = ("amax", "masked_amax")


@own_surroundings()
def attention(
    network: SpikingNetwork,
    inputs: Tensor | Sequence[Tensor],
    population: str | None = None,
    *,
    sample: int = 0,
    head: int | None = None,
    original: bool = False,
    axes: Axes | None = None,
) -> Axes:
    """A map of attention: how much every token, a row, looks at every other, a column. Rows add up to 1.

    It is read off spikes: the decoded exp of a softmax, divided by the sum of its row.

    Args:
        network: A converted transformer.
        inputs: One batch of input, or several where the network takes several.
        population: Name of the exp of a softmax; the first if not given.
        sample: Which sample of the batch.
        head: Which head, from 0; the mean of all if not given.
        original: Whether to draw what the original network computes instead.
        axes: What to draw on; a new figure of a column's width if not given.

    Returns:
        The axes.

    Raises:
        InputError: The inputs do not fit the network.
        ConfigurationError: The network has no such softmax, sample or head; no matplotlib.
    """
    weights = attention_weights(network, inputs, population, sample=sample, original=original)
    if head is not None and not 0 <= head < len(weights):
        raise ConfigurationError(f"there is no head {head}: there are {len(weights)}")
    drawn = weights.mean(0) if head is None else weights[head]
    axes = new_axes(size=(COLUMN, 2.8))[0] if axes is None else axes
    image = axes.imshow(drawn.numpy(), cmap="cividis", vmin=0.0, aspect="auto", interpolation="nearest")
    axes.set(xlabel="key (token)", ylabel="query (token)")
    figure: Any = axes.figure
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.ax.tick_params(labelsize=text_size(axes))
    bar.set_label("share of attention", size=axes.xaxis.label.get_fontsize())
    bar.outline.set_visible(False)
    return axes


@own_surroundings()
def attention_weights(
    network: SpikingNetwork,
    inputs: Tensor | Sequence[Tensor],
    population: str | None = None,
    *,
    sample: int = 0,
    original: bool = False,
) -> Tensor:
    """The shares of attention of one sample, ``[heads, tokens, tokens]``, from spikes or of the original network.

    Arguments and errors are those of ``attention``.
    """
    node = _exp_of(network, population)
    given = network.check(inputs)
    if network.batch_axis is None or not 0 <= sample < len(given[0]):
        raise ConfigurationError(f"there is no sample {sample}: the batch has {len(given[0])}, by their first axis")
    return shares_of(network, node, tuple(each[sample : sample + 1] for each in given), original=original)


def shares_of(network: SpikingNetwork, node: str, given: Inputs, *, original: bool) -> Tensor:
    """The shares ``[heads, tokens, tokens]`` at the exp ``node`` for one sample, ``given`` as the graph takes it."""
    if original:
        with torch.no_grad():
            _, computed = evaluate_graph(network.complete_graph(), given, keep=[node])
        values: Tensor = computed[node]
    else:
        sums, simulator = PayloadSums([node]), simulator_for(network)
        simulator.run(given, [sums])
        values = network.decoded(node, sums.payloads[node], simulator.steps)
        values = values * network.populations[node].broadcast_scale(values.dim())
    if attention_axes(network)[node] == values.dim() - 2:
        values = values.transpose(-2, -1)
    maps = values[0].reshape(-1, *values.shape[-2:]).double().cpu()
    return maps / maps.sum(-1, keepdim=True).clamp(min=1e-12)


def attention_axes(network: SpikingNetwork) -> dict[str, int]:
    """The exps of softmaxes over a map of tokens by node, with the axis along which their shares add up to 1.

    Axes count from that of the samples; these are of the last two.
    """
    graph = network.complete_graph()
    found = {}
    for node, part in attention_parts(graph).items():
        axes = len(network.populations[node].shape) + 1
        axis = _summed_axis(graph, node) if part == "exp" and axes > 2 else None
        if axis is not None and axis % axes >= axes - 2:
            found[node] = axis % axes
    return found


def _summed_axis(graph: Graph, node: str) -> int | None:
    """The axis along which the softmax of the exp ``node`` takes its maximum, which is subtracted in front of it."""
    pending = [*graph.nodes[node].refs()]
    while pending:
        before = graph.nodes.get(pending.pop())
        if before is not None and before.op in _MAXIMA:
            (axis,) = before.arguments["dim"]
            return int(axis)
        if before is not None and before.name not in analysis_of(graph).populations:
            pending.extend(before.refs())
    return None


def _exp_of(network: SpikingNetwork, population: str | None) -> str:
    """The node of the exp of a softmax over a map."""
    found = [*attention_axes(network)]
    names = [network.name_of(node) for node in found]
    if not found:
        raise ConfigurationError("the network has no attention to draw: no softmax over a map of tokens spikes")
    if population is None:
        return found[0]
    node = network.node_of(population)
    if node not in found:
        raise ConfigurationError(f"{population!r} is no exp of a softmax; those are: {', '.join(names)}")
    return node
