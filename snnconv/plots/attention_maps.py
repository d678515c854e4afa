"""Where a transformer looks: the attention that its spikes, or its original, compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.graph.attention_parts import attention_parts
from snnconv.graph.interpreter import evaluate_graph
from snnconv.network import SpikingNetwork
from snnconv.plots.axes import COLUMN, new_axes, text_size
from snnconv.surroundings import own_surroundings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    axes.set(xlabel="token looked at", ylabel="token that looks")
    figure: Any = axes.figure
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.ax.tick_params(labelsize=text_size(axes))
    bar.set_label("share of attention", size=axes.xaxis.label.get_size())
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
    given = tuple(each[sample : sample + 1] for each in given)
    if original:
        with torch.no_grad():
            _, computed = evaluate_graph(network.complete_graph(), given, keep=[node])
        values: Tensor = computed[node]
    else:
        name = network.name_of(node)
        run = network.run(given, record=[name])
        sums = run.rasters[name].sum(0)
        values = network.decoded(node, sums, int(run.steps[0]))
        values = values * network.populations[node].broadcast_scale(values.dim())
    maps = values[0].reshape(-1, *values.shape[-2:]).double().cpu()
    return maps / maps.sum(-1, keepdim=True).clamp(min=1e-12)


def _exp_of(network: SpikingNetwork, population: str | None) -> str:
    """The node of the exp of a softmax over the last axis of a map."""
    found = [node for node, part in attention_parts(network.complete_graph()).items() if part == "exp"]
    found = [node for node in found if len(network.populations[node].shape) > 1]
    names = [network.name_of(node) for node in found]
    if not found:
        raise ConfigurationError("the network has no attention to draw: no softmax over a map of tokens spikes")
    if population is None:
        return found[0]
    node = network.node_of(population)
    if node not in found:
        raise ConfigurationError(f"{population!r} is no exp of a softmax; those are: {', '.join(names)}")
    return node
