"""Examples of registered neurons."""

from __future__ import annotations

from dataclasses import MISSING, fields

from coding import Code
from neurons import Neuron


def example(kind: type, code: Code) -> Neuron:
    """A neuron with ``code``, and one quarter for every number that has no default."""
    given = {
        field.name: {"Code": code, "float": 0.25}[field.type] for field in fields(kind) if field.default is MISSING
    }  # type: ignore[index, arg-type]
    neuron: Neuron = kind(**given)
    return neuron
