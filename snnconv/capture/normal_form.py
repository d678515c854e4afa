"""Rewrites that bring a captured graph into the normal form that populations are made from; each keeps its function.

Graph in, new graph out; the graph given is not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from snnconv.capture.expansion import expanded, looked_up, sums_currents
from snnconv.capture.piecewise_linear import piecewise_linear_as_relu
from snnconv.capture.products import spikes_at_products
from snnconv.graph.analysis import analysis_of
from snnconv.graph.graph import Argument, Graph, Node, Ref, map_refs
from snnconv.graph.interpreter import evaluate_graph
from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.activation import ActivationOperator
from snnconv.graph.operators.affine import Convolution, TransposedConvolution
from snnconv.graph.operators.indexing import ConstantIndexOperator
from snnconv.graph.operators.pooling import MaximumOperator


def normal_form(graph: Graph, example: Sequence[Tensor]) -> Graph:
    """The graph with batch norms folded where safe, masks as positions, activations in ReLU form and before pooling.

    Where a maximum or a product would meet currents, populations with the identity make spikes of them.
    """
    graph = with_shapes(graph, example)
    for rewrite in (
        masks_as_positions,
        batch_norm_as_affine,
        fold_affine_into_weights,
        activation_before_pool,
        piecewise_linear_as_relu,
        spikes_at_products,
        population_before_gate,
    ):
        graph = rewrite(graph)
    if graph.batch_axis == 0:
        graph = sizes_of_inputs(graph, len(example[0]))
    return with_shapes(graph.without_dead_nodes(), example)


def with_shapes(graph: Graph, example: Sequence[Tensor]) -> Graph:
    """A copy whose nodes carry the shapes of their results for ``example``."""
    with torch.no_grad():
        _, values = evaluate_graph(graph, example, keep=graph.nodes)
    shapes = {name: tuple(values[name].shape) for name in graph.nodes if isinstance(values[name], Tensor)}
    return replace(graph, nodes={n.name: replace(n, shape=shapes.get(n.name)) for n in graph.nodes.values()})


def masks_as_positions(graph: Graph) -> Graph:
    """A constant mask that indexes is the positions at which it is true, so that shapes follow from shapes alone."""
    constants, nodes = dict(graph.constants), {}
    for node in graph.nodes.values():
        if "indices" in node.arguments and isinstance(OPERATORS[node.op], ConstantIndexOperator):
            indices: list[Argument] = []
            for index in node.arguments["indices"]:
                mask = None if index is None else constants.get(index.name)
                if mask is None or mask.dtype is not torch.bool:
                    indices.append(index)
                    continue
                for axis, positions in enumerate(mask.nonzero().unbind(1)):
                    name = f"{index.name}.positions{axis}"
                    constants[name] = positions.contiguous()
                    indices.append(Ref(name))
            node = replace(node, arguments={**node.arguments, "indices": indices})
        nodes[node.name] = node
    return replace(graph, constants=constants, nodes=nodes).without_dead_nodes()


def batch_norm_as_affine(graph: Graph) -> Graph:
    """Batch normalisation at inference is one scale and one shift per channel (computed in double precision)."""
    constants, nodes, parameters = dict(graph.constants), {}, set(graph.parameters)
    for node in graph.nodes.values():
        if node.op == "batch_norm":

            def value(key: str, node: Node = node) -> Tensor | None:
                ref = node.arguments[key]
                return None if ref is None else constants[ref.name].double()

            mean, variance = value("running_mean"), value("running_var")
            assert mean is not None and variance is not None
            scale = torch.rsqrt(variance + node.arguments["eps"])
            weight, bias = value("weight"), value("bias")
            scale = scale if weight is None else scale * weight
            shift = -mean * scale if bias is None else bias - mean * scale
            dtype = graph.constants[node.arguments["running_mean"].name].dtype
            names = {"scale": f"{node.name}.scale", "shift": f"{node.name}.shift"}
            constants[names["scale"]], constants[names["shift"]] = scale.to(dtype), shift.to(dtype)
            parameters.update(names.values())
            arguments = {"input": node.arguments["input"], **{key: Ref(name) for key, name in names.items()}}
            node = replace(node, op="channel_affine", arguments=arguments)
        nodes[node.name] = node
    return replace(graph, constants=constants, nodes=nodes, parameters=frozenset(parameters)).without_dead_nodes()


def fold_affine_into_weights(graph: Graph) -> Graph:
    """Fold a channel-wise affine map into the convolution before it, if that has one call site and one consumer."""
    users = analysis_of(graph).consumers
    constants, nodes, parameters = dict(graph.constants), dict(graph.nodes), set(graph.parameters)
    for node in graph.nodes.values():
        producer = nodes.get(node.arguments["input"].name) if node.op == "channel_affine" else None
        if producer is None or not _takes_affine(producer) or users[producer.name] != (node.name,):
            continue
        weight_name, bias_ref = producer.arguments["weight"].name, producer.arguments["bias"]
        if weight_name not in constants or users[weight_name] != (producer.name,):
            continue
        scale = constants[node.arguments["scale"].name].double()
        shift = constants[node.arguments["shift"].name].double()
        weight = constants[weight_name]
        bias = shift if bias_ref is None else shift + constants[bias_ref.name].double() * scale
        bias_name = f"{node.name}.bias"
        parameters.add(bias_name)
        constants[weight_name] = _scaled(weight.double(), scale, producer).to(weight.dtype)
        constants[bias_name] = bias.to(weight.dtype)
        del nodes[producer.name]
        folded = {**producer.arguments, "bias": Ref(bias_name)}
        nodes[node.name] = replace(producer, name=node.name, arguments=folded)
    return replace(graph, constants=constants, nodes=nodes, parameters=frozenset(parameters)).without_dead_nodes()


def _takes_affine(node: Node) -> bool:
    # A linear layer puts its channels on the last axis, a channel-wise map on axis 1: the same one for matrices only.
    return isinstance(OPERATORS[node.op], (Convolution, TransposedConvolution)) or (
        node.op == "linear" and node.shape is not None and len(node.shape) == 2
    )


def _scaled(weight: Tensor, scale: Tensor, node: Node) -> Tensor:
    """The weight of ``node`` with every output channel scaled."""
    if not isinstance(OPERATORS[node.op], TransposedConvolution):
        return weight * scale.view(-1, *[1] * (weight.dim() - 1))
    groups = node.arguments["groups"]
    by_group = weight.view(groups, -1, *weight.shape[1:])  # [groups, inputs, outputs, *kernel], each of a group
    scaled: Tensor = by_group * scale.view(len(by_group), 1, -1, *[1] * (weight.dim() - 2))
    return scaled.flatten(0, 1)


def activation_before_pool(graph: Graph) -> Graph:
    """max(phi) = phi(max) for a monotone phi: activate first, so that the pool gates spikes."""
    users, populations = analysis_of(graph).consumers, analysis_of(graph).populations
    nodes: dict[str, Node] = {}
    renamed: dict[str, str] = {}
    for node in graph.nodes.values():
        node = node.mapped(lambda ref: Ref(renamed.get(ref.name, ref.name)))
        pool = nodes.get(node.arguments["self"].name) if _is_monotone(node) and node.name in populations else None
        if pool is not None and _is_pool(pool) and users[pool.name] == (node.name,):
            active = replace(node, arguments={**node.arguments, "self": pool.arguments["self"]})
            del nodes[pool.name]
            nodes[active.name] = active
            nodes[pool.name] = replace(pool, arguments={**pool.arguments, "self": Ref(active.name)})
            renamed[node.name] = pool.name
        else:
            nodes[node.name] = node
    output = map_refs(graph.output, lambda ref: Ref(renamed.get(ref.name, ref.name)))
    moved = replace(graph, nodes=nodes, output=output)
    return activation_before_pool(moved) if renamed else moved  # again: there may be another pool before that one


def _is_monotone(node: Node) -> bool:
    operator = OPERATORS[node.op]
    return isinstance(operator, ActivationOperator) and operator.monotone(node.arguments)


def _is_pool(node: Node) -> bool:
    return isinstance(OPERATORS[node.op], MaximumOperator)


def population_before_gate(graph: Graph) -> Graph:
    """Insert a population of signed neurons where a maximum would be taken over currents instead of spikes.

    So it is over spikes whose worth a table tells: the earliest of them is not the largest.
    Gates over the same currents, as in spatial pyramid pooling, share it.
    """
    analysis = analysis_of(graph)
    populations: dict[str, str] = {}

    def expand(node: Node) -> Iterable[Node]:
        if node.name not in analysis.gates or not (sums_currents(graph, node.refs()) or looked_up(graph, node.refs())):
            return [node]
        current = node.arguments["self"]
        name = populations.setdefault(current.name, f"{node.name}_input")
        gate = replace(node, arguments={**node.arguments, "self": Ref(name)})
        if name != f"{node.name}_input":
            return [gate]
        return [Node(name, "identity_population", {"self": current}, None, node.source), gate]

    return expanded(graph, expand)


def sizes_of_inputs(graph: Graph, samples: int) -> Graph:
    """Take the length of a batch from an input: what it was read off may have no value before its neurons fire.

    ``samples`` are those of the example. A signal with several rows a sample, as of time folded into the batch, has a
    multiple of that length.
    """

    def expand(node: Node) -> Iterable[Node]:
        own = graph.nodes.get(node.arguments["self"].name) if node.op == "sym_size" else None
        if own is None or own.shape is None or node.arguments["dim"] != 0:
            return [node]
        of_input = {**node.arguments, "self": Ref(next(iter(graph.inputs)))}
        if own.shape[0] == samples:
            return [replace(node, arguments=of_input)]
        name = f"{node.name}_samples"
        product = {"a": Ref(name), "b": own.shape[0] // samples}
        return [replace(node, name=name, arguments=of_input), replace(node, op="size_mul", arguments=product)]

    return expanded(graph, expand)
