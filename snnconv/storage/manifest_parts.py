"""Parts of a manifest as JSON, and back: arguments of operations, places of code, and members of registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from coding import Code
from coding.registry import CODES, INPUT_CODES
from coding.schedule import SCHEDULES
from neurons import NEURONS
from snnconv.errors import StorageError
from snnconv.graph.graph import Argument, Ref, Source
from snnconv.graph.operators import ACTIVATION_FUNCTIONS
from snnconv.graph.output_types import OutputMapping, OutputTuple
from snnconv.storage.stored_checks import check_length

_REGISTRIES: dict[str, Mapping[str, type]] = {
    "activation": ACTIVATION_FUNCTIONS,
    "code": CODES,
    "input": INPUT_CODES,
    "neuron": NEURONS,
    "schedule": SCHEDULES,
}

#: How a user makes a member of a registry known.
_REGISTER = {
    "activation": "snnconv.graph.operators.register_activation_function",
    "code": "snnconv.coding.register_code",
    "neuron": "snnconv.neurons.register_neuron",
}


def encoded(value: Argument) -> Any:
    """An argument as JSON: references, tuples, dicts and floats that JSON lacks are marked."""
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, OutputTuple):
        return {"names": [[name, encoded(item)] for name, item in zip(value.names, value, strict=True)]}
    if isinstance(value, OutputMapping):
        return {"attributes": [[encoded(key), encoded(item)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [encoded(item) for item in value]}
    if isinstance(value, list):
        return [encoded(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encoded(key), encoded(item)] for key, item in value.items()]}
    if isinstance(value, float) and value - value != 0.0:
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise StorageError(f"an argument of type {type(value).__name__} cannot be stored")


def decoded(value: Any) -> Argument:
    """The argument that ``encoded`` made JSON of; raises ``StorageError`` for a mark of another kind."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "ref":
            return Ref(str(content))
        if kind == "tuple":
            return tuple(decoded(item) for item in content)
        if kind == "dict":
            return {decoded(key): decoded(item) for key, item in content}
        if kind == "names":
            return OutputTuple([decoded(item) for _, item in content], [str(name) for name, _ in content])
        if kind == "attributes":
            return OutputMapping({decoded(key): decoded(item) for key, item in content})
        if kind == "float":
            return float(content)
        raise StorageError(f"argument of unknown kind {kind!r}")
    return value


def encoded_source(source: Source) -> list[Any]:
    """A place in the user's code as JSON."""
    # Where the user's code lay is nobody else's business; its file name and line are enough to find it again.
    return [Path(source.file).name, source.line, source.text, source.module, source.module_type]


def decoded_source(entry: Sequence[Any]) -> Source:
    """The place that ``entry`` stands for; raises ``StorageError`` for what is none."""
    file, line, text, module, kind = entry
    if type(line) is not int or not all(isinstance(part, str) for part in (file, text, module, kind)):
        raise StorageError(f"the source of a node is {entry}, which is no place in a file")
    return Source(file, line, text, module, kind)


def encoded_object(kind: str, value: Any) -> dict[str, Any]:
    """A code, neuron, activation or schedule as JSON; raises ``StorageError`` for one that is not registered."""
    for name, known in _REGISTRIES[kind].items():
        if type(value) is known and is_dataclass(value):
            return {"name": name, "fields": dict(_encoded_fields(kind, value))}
    cure = f"register it with {_REGISTER[kind]}, or convert" if kind in _REGISTER else "convert"
    raise StorageError(
        f"{kind} {type(value).__name__} is not registered, so it cannot be stored; {cure} with a built-in one"
    )


def _encoded_fields(kind: str, value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, Code):
            yield field.name, {"code": encoded_object("code", content)}
        elif isinstance(content, float):
            yield field.name, encoded(content)
        elif content is None or isinstance(content, (bool, int, str)) or _is_table(content):
            yield field.name, content
        else:
            raise StorageError(f"{kind} {type(value).__name__}: field {field.name} cannot be stored")


def _is_table(content: Any) -> bool:
    """Whether ``content`` is a nest of tuples of numbers, which JSON writes as lists."""
    return isinstance(content, tuple) and all(isinstance(item, (int, float)) or _is_table(item) for item in content)


def decoded_object(kind: str, entry: Mapping[str, Any]) -> Any:
    """The member of the registry of ``kind`` that ``entry`` stands for; raises ``StorageError`` where it cannot be."""
    name = entry["name"]
    if name not in _REGISTRIES[kind]:
        raise StorageError(f"{kind} {name!r} is not registered; import the module that registers it first")
    codes = [value for key, value in entry["fields"].items() if key == "code" or (kind, key) == ("input", "spikes")]
    if not all(isinstance(value, dict) for value in codes):
        raise StorageError(f"{kind} {name!r} has no code")
    values = {
        key: decoded_object("code", value["code"]) if isinstance(value, dict) and "code" in value else decoded(value)
        for key, value in entry["fields"].items()
    }
    if any(isinstance(value, (Ref, dict)) for value in values.values()):
        raise StorageError(f"{kind} {name!r} has a field that is no plain value")
    found = _REGISTRIES[kind][name](**values)
    check_length(found)
    return found
