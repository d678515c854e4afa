"""A program in C as it is put together: constant tables, members of the state, and functions, with their bytes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np

from hw_export.c.identifiers import identifiers
from hw_export.explicit.maps import Array, Shape
from hw_export.integers.network import IntegerInput, IntegerNetwork
from hw_export.integers.ranges import payloads_of, reaches
from snnconv.errors import ConfigurationError

#: Types that numbers may have, from the narrowest, with their bytes.
_TYPES = {"int8_t": 1, "int16_t": 2, "int32_t": 4, "int64_t": 8}
_UNSIGNED_TYPES = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4}
_BYTES = {**_TYPES, **_UNSIGNED_TYPES}
_LARGEST_INDEX = 2**31 - 1
_NUMBERS_A_LINE = 20
#: What a geometry leaves where a stride is 1 or a padding 0.
_NEEDLESS = re.compile(r" [*/] 1(?=[ ;)])| [+-] 0(?=[ ;)])")


def type_for(low: int, high: int) -> str:
    """The narrowest type that holds all integers from ``low`` to ``high``."""
    return next(name for name, size in _TYPES.items() if -(2 ** (8 * size - 1)) <= low and high < 2 ** (8 * size - 1))


def listed(values: Array) -> str:
    """The numbers of ``values`` in lines of an initialiser."""
    numbers = [str(number) for number in values.reshape(-1).tolist()]
    starts = range(0, len(numbers), _NUMBERS_A_LINE)
    return ",\n".join("    " + ", ".join(numbers[start : start + _NUMBERS_A_LINE]) for start in starts)


def input_type(taken: IntegerInput) -> str:
    """The narrowest type that holds the integers of an input, without a sign where there are no negative ones."""
    fitting = (name for name, size in _UNSIGNED_TYPES.items() if taken.largest < 2 ** (8 * size))
    return type_for(taken.smallest, taken.largest) if taken.smallest < 0 else next(fitting)


@dataclass(frozen=True)
class Sites:
    """How the neurons of a node lie in memory: place by place, and at every place all channels."""

    channels: int
    height: int
    width: int

    @staticmethod
    def of(shape: Shape) -> Sites:
        """The sites of a node of ``shape``, channels first; what follows other than height and width is one row."""
        height, width = shape[1:] if len(shape) == 3 else (1, math.prod(shape[1:]))
        return Sites(shape[0], height, width)

    @property
    def places(self) -> int:
        return self.height * self.width

    @property
    def neurons(self) -> int:
        return self.channels * self.places

    def laid_out(self, values: Array) -> Array:
        """``values [..., neurons]`` in C order of channels, height and width, as they lie in memory."""
        split = values.reshape(*values.shape[:-1], self.channels, self.places)
        return np.ascontiguousarray(np.swapaxes(split, -1, -2)).reshape(values.shape)


@dataclass(frozen=True)
class Table:
    """A constant array."""

    owner: str
    name: str
    values: Array

    @property
    def type(self) -> str:
        return type_for(int(self.values.min()), int(self.values.max()))

    @property
    def bytes(self) -> int:
        return _BYTES[self.type] * self.values.size

    @property
    def text(self) -> str:
        return f"static const {self.type} {self.name}[{self.values.size}] = {{\n{listed(self.values)}\n}};\n"


@dataclass(frozen=True)
class Member:
    """An array of the state."""

    owner: str
    name: str
    type: str
    count: int

    @property
    def bytes(self) -> int:
        return self.width * self.count

    @property
    def width(self) -> int:
        return _BYTES[self.type]


class Draft:
    """The program of ``integers`` under ``name`` while it grows; owners of tables and members are nodes."""

    def __init__(self, integers: IntegerNetwork, name: str) -> None:
        self.integers, self.name = integers, name
        self.tables: list[Table] = []
        self.members: dict[str, Member] = {}
        self.functions: list[str] = []
        explicit = integers.explicit
        nodes = (*explicit.inputs, *explicit.shapes, *integers.outputs)
        self.identifiers = identifiers((node, explicit.name(node).removesuffix(" decoded")) for node in nodes)
        self.shapes: dict[str, Shape] = {**explicit.inputs, **explicit.shapes}
        self.shapes |= {node: explicit.currents[node].shape for node in integers.outputs}
        self.payloads = payloads_of(integers)
        self.reaches = {reach.node: reach for reach in reaches(integers)}
        self.sites = {node: Sites.of(shape) for node, shape in self.shapes.items()}

    @property
    def windowed(self) -> bool:
        """Whether populations have a window each, in a pipeline."""
        return self.integers.network.timing is not None

    @property
    def ordered_members(self) -> list[Member]:
        """Members by width, so that none needs padding in front."""
        return sorted(self.members.values(), key=lambda member: -member.width)

    @property
    def ram(self) -> int:
        """Bytes of the state, the number of the step among them."""
        widest = max([4, *(member.width for member in self.members.values())])
        total = 4 + sum(member.bytes for member in self.members.values())
        return -(-total // widest) * widest

    @property
    def flash(self) -> int:
        """Bytes of all tables."""
        return sum(table.bytes for table in self.tables)

    def table(self, owner: str, what: str, values: Array) -> str:
        """The name of a new constant array of ``values``."""
        if values.size > _LARGEST_INDEX:
            raise ConfigurationError(
                f"{self.integers.explicit.name(owner)}: a table of {values.size} numbers has no index of 32 bits"
            )
        table = Table(owner, f"{self.name}_{what}", values.reshape(-1))
        self.tables.append(table)
        return table.name

    def member(self, owner: str, what: str, type: str, count: int) -> str:
        """The expression of an array of the state, made unless it is there."""
        name = f"{what}_{self.identifiers[owner]}"
        self.members.setdefault(name, Member(owner, name, type, count))
        if count > _LARGEST_INDEX or self.ram > _LARGEST_INDEX:
            raise ConfigurationError(
                f"{self.integers.explicit.name(owner)}: a state of {self.ram} bytes has no index of 32 bits"
            )
        return f"state->{name}"

    def number(self, owner: str, what: str, values: Array) -> str:
        """An expression for what a neuron has of ``values``, which broadcast to its node: a number or an entry."""
        sites, shape = self.sites[owner], self.shapes[owner]
        if values.size and bool((values == values.flat[0]).all()):
            found = int(values.flat[0])
            return str(found) if found >= 0 else f"({found})"
        name = f"{what}_{self.identifiers[owner]}"
        rows = np.broadcast_to(values, shape).reshape(sites.channels, sites.places)
        if bool((rows == rows[:, :1]).all()):
            return f"(int32_t){self.table(owner, name, rows[:, 0])}[channel]"
        return f"(int32_t){self.table(owner, name, sites.laid_out(rows.reshape(-1)))}[neuron]"

    def function(self, owner: str, what: str, template: Template, **values: Any) -> str:
        """The name of a new function made of ``template``."""
        name = f"{self.name}_{what}_{self.identifiers[owner]}"
        text = template.substitute(values, function=name, state=f"snnconv_{self.name}_state")
        self.functions.append(re.sub(_NEEDLESS, "", text))
        return name
