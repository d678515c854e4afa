"""The translation of one exported program, node by node, into a graph of named operators."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node as FxNode

from snnconv.capture.conditions import conditions_as_leaky_relu
from snnconv.capture.constants import Constants
from snnconv.capture.decomposition import name_of
from snnconv.capture.places import place_of
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.capture.repeated_constants import repeated_constants
from snnconv.capture.synonyms import synonyms_replaced
from snnconv.capture.tracing import (
    SIZE_ARITHMETIC,
)
from snnconv.data.shapes import BATCH, Shape
from snnconv.errors import ModelError
from snnconv.graph.graph import SHAPE_ONLY, WHOLE_TYPES, Argument, Graph, Node, Ref, Source, refs_in
from snnconv.graph.operators import OPERATORS
from snnconv.graph.output_types import plain, type_of
from snnconv.graph.sparse import canonical

#: Operators that return their argument as it is.
_ALIASES = {"clone", "contiguous", "alias", "detach", "lift_fresh_copy", "lift_fresh", "type_as", "dropout", "coalesce"}
_DTYPE_CASTS = {"to", "_to_copy", "type_as"}
#: Operators that may add up in another type.
_ACCUMULATED = ("sum", "mean", "cumsum", "softmax", "log_softmax")
#: In front of the names of bound arguments: no node's name has a dot, and a weight's may be the argument's.
_BOUND = "argument."
#: Tensors made from sizes alone, by operator: the registered one that makes them for every size of the batch.
_MADE = {
    **{name: name for name in ("zeros", "ones", "full", "arange", "eye")},
    **{f"new_{name}": name for name in ("zeros", "ones", "full")},
    **{f"{name}_like": name for name in ("zeros", "ones", "full")},
    **dict.fromkeys(("empty", "new_empty", "empty_like"), "zeros"),
}
#: Operators whose first result is what a plainer operator computes; only that result is converted.
_FIRST_RESULT = {
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "_native_batch_norm_legit_no_training": "batch_norm",
    "native_layer_norm": "layer_norm",
}
_ONCE = (
    "a converted network keeps nothing between calls: do it in training only (if self.training), or outside the model"
)
#: What to do about what a forward pass changes in place, by kind.
_INSTEAD = {
    "buffer": _ONCE,
    "parameter": _ONCE,
    "input": "the caller's data would change with every call: begin with x = x.clone(), or leave inplace=True out",
    "embedding": "cut the rows of the table once: with torch.no_grad(): embedding.weight.renorm_(2, 0, "
    "embedding.max_norm); embedding.max_norm = None",
}
_TUPLE_RESULTS = ("embedding_bag", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", *_FIRST_RESULT)


def _held(program: ExportedProgram) -> dict[str, tuple[str, bool]]:
    """The tensors that ``program`` holds, by its names for them: their own names, and whether they are parameters."""
    signature = program.graph_signature  # which makes its tables anew whenever they are asked for
    parameters = signature.inputs_to_parameters
    others = signature.inputs_to_buffers | signature.inputs_to_lifted_tensor_constants
    return {each: (name, False) for each, name in others.items()} | {
        each: (name, True) for each, name in parameters.items()
    }


class Translator:
    """Translates one functional exported program node by node."""

    def __init__(self, program: ExportedProgram, batch_axis: int | None, bound: Mapping[str, Tensor]) -> None:
        self.program, self.batch_axis, self.bound = program, batch_axis, bound
        self.held = _held(program)
        self.values: dict[str, Argument] = {}  # what each node of the program became
        self.inputs: dict[str, Shape] = {}
        self.precisions: list[torch.dtype] = []  # of inputs that are real
        self.constants = Constants()
        self.nodes: dict[str, Node] = {}
        self.signals: set[str] = set()
        self.pair: dict[Any, Any] = {}  # the length of the batch, in the shapes that are noted
        self.whole: dict[str, str] = {}
        self.in_front: set[str] = set()  # what is computed from whole numbers of the input alone

    def translate(self) -> Graph:
        signature = self.program.graph_signature
        updates = [
            *self._updates("buffer", signature.buffers_to_mutate),
            *self._updates("parameter", signature.parameters_to_mutate),
            *self._updates("input", signature.user_inputs_to_mutate),
        ]
        if updates:
            raise UnsupportedModelError(Preflight((), tuple(updates)))
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "call_function":
                constant = self.constants.suffice(node, self.values)
                self.values[node.name] = self.constants.compute(node, self.values) if constant else self._call(node)
            elif node.op == "output":
                leaves = [self._returned(leaf) for leaf in node.args[0]]
                if not any(refs_in(leaves)):
                    raise ModelError("the model returns no tensor; return one, or several in tuples, lists and dicts")
        spec = self.program.call_spec.out_spec
        output = plain(torch.utils._pytree.tree_unflatten(leaves, spec))
        parameters = frozenset(self.constants.parameters)
        tensors = self.constants.tensors
        graph = Graph(self.inputs, tensors, self.nodes, output, self.batch_axis, parameters, type_of(spec), self.whole)
        graph = graph.without_dead_nodes()
        kept = graph.constants.items()
        graph = replace(graph, constants={name: canonical(tensor, name.removeprefix(_BOUND)) for name, tensor in kept})
        return conditions_as_leaky_relu(repeated_constants(synonyms_replaced(graph), self.precisions))

    def _updates(self, what: str, mutated: Mapping[str, str]) -> Iterator[Problem]:
        operations = {node.name: node for node in self.program.graph.nodes}
        for operation, name in mutated.items():
            node = operations.get(operation)
            renorm = node is not None and "embedding_renorm" in str(node.target)
            place = Source() if node is None else place_of(node)
            reason = f"the forward pass changes its own {what} {name}"
            yield Problem(f"{what} update", place, reason, _INSTEAD["embedding" if renorm else what])

    def _placeholder(self, node: FxNode) -> None:
        if node.name in self.held:
            self.values[node.name] = self._constant(*self.held[node.name])
            return
        if node.name in self.bound:
            name = f"{_BOUND}{node.name}"
            constant = self.constants.add(name, self.bound[node.name].detach().clone())
            self.values[node.name] = self._for_every_sample(node, constant)
            return
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            raise ModelError(f"input {node.name} is no tensor; a converted network takes tensors only")
        if self.batch_axis == 0 and isinstance(value.shape[0], torch.SymInt):
            self.pair[value.shape[0].node.expr] = 2
        self.inputs[node.name] = tuple(self._extent(size, axis) for axis, size in enumerate(value.shape))
        self.values[node.name] = Ref(node.name)
        self.signals.add(node.name)
        if str(value.dtype) in WHOLE_TYPES:
            self.whole[node.name] = str(value.dtype)
            self.in_front.add(node.name)
        else:
            self.precisions.append(value.dtype)

    def _for_every_sample(self, node: FxNode, constant: Ref) -> Ref:
        """An argument that is ``constant``; repeated, where it was traced for any number of samples."""
        shape = node.meta["val"].shape
        if not shape or isinstance(shape[0], int):
            return constant
        inputs = [name for name in self.program.graph_signature.user_inputs if name not in self.bound]
        length = f"{node.name}_samples"
        self.nodes[length] = Node(length, "sym_size", {"self": Ref(str(inputs[0])), "dim": 0})
        arguments = {"self": constant, "size": [Ref(length), *shape[1:]], "implicit": False}
        return self._add(node, "expand", arguments)

    def _extent(self, size: int | torch.SymInt, axis: int) -> int | str:
        if isinstance(size, torch.SymInt):
            return BATCH if axis == self.batch_axis else str(size)
        return size

    def _constant(self, path: str, parameter: bool) -> Ref:
        taken = any(node.name == path for node in self.program.graph.nodes)  # a buffer called mean beside x.mean()
        name = f"weight.{path}" if taken else path
        if name in self.constants.tensors:
            return Ref(name)
        tensors = {**self.program.state_dict, **self.program.constants}
        return self.constants.add(name, tensors[path].detach().clone(), parameter)

    def _call(self, node: FxNode) -> Argument:
        if node.target in SIZE_ARITHMETIC:
            operands = dict(zip("ab", (self._argument(arg) for arg in node.args), strict=False))
            return self._add(node, SIZE_ARITHMETIC[node.target], operands)
        if node.target is operator.getitem:
            return self._item(node)
        if not isinstance(node.target, torch._ops.OpOverload):
            return self._add(node, getattr(node.target, "__name__", str(node.target)), {})
        schema = node.target._schema
        op = name_of(node.target)
        arguments: dict[str, Argument] = {}
        for position, parameter in enumerate(schema.arguments):
            if position < len(node.args):
                arguments[parameter.name] = self._argument(node.args[position])
            elif parameter.name in node.kwargs:
                arguments[parameter.name] = self._argument(node.kwargs[parameter.name])
            else:
                arguments[parameter.name] = self._argument(parameter.default_value)
        return self._normalise(node, op, arguments)

    def _normalise(self, node: FxNode, op: str, arguments: dict[str, Argument]) -> Argument:
        if op in _ALIASES | _DTYPE_CASTS and not arguments.get("train", False):
            before = node.args[0].meta["val"] if isinstance(node.args[0], FxNode) else None
            after = node.meta["val"]
            if before is not None and before.dtype == after.dtype and before.device == after.device:
                return arguments.get("self", arguments.get("input"))
            whole = before is not None and str(before.dtype) in WHOLE_TYPES
            if op in _DTYPE_CASTS and after.is_floating_point() and self._is_in_front(arguments):
                return self._add(node, "mul", {"self": arguments["self"], "other": self._one(node)})
            if op in _DTYPE_CASTS and str(after.dtype) in WHOLE_TYPES and (whole or not self._is_signal(arguments)):
                return self._add(node, "whole_cast", {"self": arguments["self"], "dtype": str(after.dtype)})
        if op in _ACCUMULATED and arguments.get("dtype") is not None:
            arguments = self._accumulated(node, arguments)
        if op == "sym_numel":
            return self._number(node, arguments["self"])
        return self._made(node, op, arguments) if op in _MADE else self._add(node, op, arguments)

    def _one(self, node: FxNode) -> Ref:
        """A factor that gives numbers the type of the result of ``node``, in whatever precision the network runs."""
        value = node.meta["val"]
        return self.constants.add(f"{node.name}_one", torch.ones((), dtype=value.dtype, device=value.device))

    def _accumulated(self, node: FxNode, arguments: dict[str, Argument]) -> dict[str, Argument]:
        """Arguments of a sum without the type in which it adds up: that of its signal, or made before it."""
        values = node.args[0]
        assert isinstance(values, FxNode)
        before, after = values.meta["val"], node.meta["val"]
        if before.dtype == after.dtype:
            return {**arguments, "dtype": None}
        if not after.is_floating_point() or not self._is_in_front(arguments):
            return arguments
        typed = f"{node.name}_typed"
        factors = {"self": arguments["self"], "other": self._one(node)}
        self.nodes[typed] = Node(typed, "mul", factors, self._shape_of(values), place_of(node))
        if self._is_signal(arguments):
            self.signals.add(typed)
            self.in_front.add(typed)
        return {**arguments, "self": Ref(typed), "dtype": None}

    def _is_in_front(self, arguments: Mapping[str, Argument]) -> bool:
        """Whether whole numbers of the input, sizes and constants alone lead to them."""
        return self.in_front.issuperset(self.signals.intersection(refs_in(arguments)))

    def _made(self, node: FxNode, op: str, arguments: dict[str, Argument]) -> Argument:
        made, value = _MADE[op], node.meta["val"]
        kept: dict[str, Argument] = {
            key: arguments[key] for key in ("fill_value", "start", "end", "step", "n", "m") if key in arguments
        }
        if made in ("zeros", "ones", "full"):
            kept["size"] = [self._size(dim, axis, arguments) for axis, dim in enumerate(value.shape)]
        if not any(refs_in(kept)):
            like = torch.empty((), dtype=value.dtype, device=value.device)
            return self.constants.add(node.name, OPERATORS[made].evaluate({"like": like, **kept}))
        if not value.is_floating_point():
            kept["dtype"] = str(value.dtype)
        real = [name for name in self.inputs if name not in self.whole]
        return self._add(node, made, {"like": Ref(real[0]) if real else self._one(node), **kept})

    def _size(self, dim: Any, axis: int, arguments: dict[str, Argument]) -> Argument:
        if isinstance(dim, int):
            return dim
        if "size" in arguments:
            return arguments["size"][axis]
        own = arguments["self"]  # zeros_like: the length of that axis of the tensor it resembles
        name = f"{own.name}_size_{axis}"
        self.nodes[name] = Node(name, "sym_size", {"self": own, "dim": axis})
        return Ref(name)

    def _number(self, node: FxNode, of: Ref) -> Argument:
        """The number of elements of a tensor, whose axes may be of any size."""
        shape = node.args[0].meta["val"].shape  # type: ignore[union-attr]
        product: Argument = math.prod(size for size in shape if isinstance(size, int))
        for axis, size in enumerate(shape):
            if not isinstance(size, int):
                length = f"{node.name}_size_{axis}"
                self.nodes[length] = Node(length, "sym_size", {"self": of, "dim": axis})
                product = self._add(node, "size_mul", {"a": Ref(length), "b": product})
        return product

    def _is_signal(self, arguments: Mapping[str, Argument]) -> bool:
        return not self.signals.isdisjoint(refs_in(arguments))

    def _returned(self, leaf: Any) -> Argument:
        if leaf is None or (isinstance(leaf, FxNode) and isinstance(leaf.meta.get("val"), Tensor)):
            return self._argument(leaf)
        kind = "number" if isinstance(leaf, FxNode) else type(leaf).__name__
        raise ModelError(f"the model returns a {kind}; return tensors in tuples, lists and dicts")

    def _item(self, node: FxNode) -> Argument:
        owner, index = node.args
        assert isinstance(owner, FxNode) and isinstance(index, int)
        value = self.values[owner.name]
        whole = self.nodes.get(value.name) if isinstance(value, Ref) else None
        if whole is not None and whole.op in _TUPLE_RESULTS:
            op = _FIRST_RESULT.get(whole.op, whole.op) if index == 0 else f"result {index} of {whole.op}"
            return self._add(node, op, whole.arguments, at=owner)
        if whole is not None and whole.op in ("max", "min") and "dim" in whole.arguments:
            values = {**whole.arguments, "dim": [whole.arguments["dim"]]}
            op, arguments = (f"a{whole.op}", values) if index == 0 else (f"arg{whole.op}", whole.arguments)
            return self._add(node, op, arguments, at=owner)
        return self._add(node, "getitem", {"self": value, "index": index}, at=owner)

    def _add(self, node: FxNode, op: str, arguments: Any, at: FxNode | None = None) -> Ref:
        self.nodes[node.name] = Node(node.name, op, arguments, self._shape_of(node), place_of(at or node))
        if op not in SHAPE_ONLY and self._is_signal(arguments):
            self.signals.add(node.name)
            if self._is_in_front(arguments):
                self.in_front.add(node.name)
        return Ref(node.name)

    def _shape_of(self, node: FxNode) -> tuple[int, ...] | None:
        """The shape of a node's result for two samples; ``None`` for what is no tensor, or has an axis of any size."""
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            return None
        sizes = []
        for size in value.shape:
            found = size if isinstance(size, int) else size.node.expr.subs(self.pair)
            if not isinstance(found, int) and not found.is_number:
                return None
            sizes.append(int(found))
        return tuple(sizes)

    def _argument(self, value: Any) -> Argument:
        if isinstance(value, FxNode):
            return self.values[value.name]
        if isinstance(value, (list, tuple)):
            return [self._argument(item) for item in value]
        if isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format)):
            return str(value)
        return value
