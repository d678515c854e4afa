"""Types of outputs: what a model returns as its user sees it, and the same nest without the user's classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch.utils import _pytree as pytree

#: Mappings that are stored as dicts; others have names that are attributes too.
_DICTS = (dict, OrderedDict)


class OutputMapping(dict[Any, Any]):
    """A dict whose names are attributes too: what a dataclass or a mapping of another class is without that class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self:
            raise AttributeError(f"the output has no {name!r}; it has {', '.join(map(str, self))}")
        return self[name]


class OutputTuple(tuple[Any, ...]):
    """A tuple whose entries have names: what a named tuple is without its class."""

    names: tuple[str, ...]

    def __new__(cls, values: Iterable[Any], names: Sequence[str]) -> OutputTuple:
        made = super().__new__(cls, values)
        made.names = tuple(names)
        return made

    def __getattr__(self, name: str) -> Any:
        if name == "names" or name not in self.names:
            raise AttributeError(f"the output has no {name!r}; it has {', '.join(self.__dict__.get('names', ()))}")
        return self[self.names.index(name)]

    def __reduce__(self) -> tuple[Any, ...]:
        return OutputTuple, (tuple(self), self.names)


pytree.register_pytree_node(
    OutputMapping,
    lambda output: ([*output.values()], [*output]),
    lambda values, names: OutputMapping(zip(names, values, strict=True)),
    serialized_type_name="snnconv.graph.output_types.OutputMapping",
)
pytree.register_pytree_node(
    OutputTuple,
    lambda output: ([*output], output.names),
    OutputTuple,
    serialized_type_name="snnconv.graph.output_types.OutputTuple",
)


def plain(output: Any) -> Any:
    """A nest without classes of others: tuples, lists, dicts, and the two classes above where entries have names.

    What is no container stays as it is.
    """
    if isinstance(output, Mapping):
        items = {key: plain(value) for key, value in output.items()}
        return items if type(output) in _DICTS else OutputMapping(items)
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return OutputTuple([plain(item) for item in output], output._fields)
    if isinstance(output, (tuple, list)):
        return [plain(item) for item in output] if isinstance(output, list) else tuple(plain(item) for item in output)
    if is_dataclass(output) and type(output) in pytree.SUPPORTED_NODES:
        return OutputMapping({field.name: plain(getattr(output, field.name)) for field in fields(output)})
    if type(output) in pytree.SUPPORTED_NODES:
        children, _ = pytree.SUPPORTED_NODES[type(output)].flatten_fn(output)
        return tuple(plain(child) for child in children)
    return output


def type_of(spec: pytree.TreeSpec) -> Any:
    """The nest of ``spec`` with places for leaves: those that they have in the plain nest. ``None`` if it is plain."""
    places = pytree.tree_unflatten([*range(spec.num_leaves)], spec)
    leaves, structure = pytree.tree_flatten(plain(places))
    if structure == spec:
        return None
    order = {leaf: place for place, leaf in enumerate(leaves)}
    return pytree.tree_unflatten([order[leaf] for leaf in range(spec.num_leaves)], spec)


def typed(output: Any, output_type: Any) -> Any:
    """A plain ``output`` in the nest that ``type_of`` gave, with the user's own classes."""
    if output_type is None:
        return output
    leaves = pytree.tree_leaves(output)
    places, spec = pytree.tree_flatten(output_type)
    return pytree.tree_unflatten([leaves[place] for place in places], spec)
