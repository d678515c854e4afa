"""Mutants of JSON: one value of the tree replaced, left out, doubled, renamed or nested."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

_VALUES: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 1000, 2**31, -(2**31), 2**53, 2**63, 10**30, 0.0, -0.5, 0.5, 1e-300, 1e300, float("nan"),
    float("inf"), True, False, None, "", "batch", "0", "-1", "nan", "x" * 300, "é\x00", "../../etc", [], {}, [0], [[]],
    {"ref": "x"}, {"name": "", "fields": {}},
)  # fmt: skip


def altered_json(content: bytes, random: Random) -> bytes:
    """``content``, JSON, after one or two alterations."""
    tree = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2))):
        tree = altered_tree(tree, random)
    return json.dumps(tree).encode()


def altered_tree(tree: Any, random: Random) -> Any:
    """A copy of ``tree``, which JSON can hold, with one alteration."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    if not places:
        return random.choice(_VALUES)
    owner, key = random.choice(places)
    kind = random.randrange(8)
    if kind < 3:
        owner[key] = random.choice(_VALUES)
    elif kind == 3:
        owner[key] = _near(owner[key], random)
    elif kind == 4:
        del owner[key]
    elif kind == 5:
        other, at = random.choice(places)
        owner[key] = copy.deepcopy(other[at])
    elif kind == 6 and isinstance(owner, list):
        owner.insert(random.randint(0, len(owner)), copy.deepcopy(owner[key]))
    elif kind == 6:
        owner[random.choice((f"{key}x", "", "name", "code", "shape"))] = owner.pop(key)
    else:
        owner[key] = random.choice(([owner[key]], {"name": owner[key]}, [owner[key]] * 1000, _nested(random)))
    return tree


def _nested(random: Random) -> list[Any]:
    """Lists in lists."""
    found: list[Any] = []
    for _ in range(random.choice((20, 100, 200))):
        found = [found]
    return found


def _near(value: Any, random: Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return random.choice((value + 1, value - 1, -value, value * 2, value * 1000, value / 2, float(value)))
    if isinstance(value, str):
        return random.choice((value[:-1], value + "x", value.upper(), value[::-1]))
    if isinstance(value, list):
        return random.choice((value[:-1], value[::-1], value + value, value[1:]))
    return {}


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below ``tree``, as what holds it and the key there."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)
