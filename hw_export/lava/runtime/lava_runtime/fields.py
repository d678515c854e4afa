"""Fields of a manifest: every value is checked before it is used, and a wrong one is named by its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from lava_runtime.errors import BundleError

LARGEST = (1 << 31) - 1


class Fields:
    """One object of a manifest, at the place ``where``."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise BundleError(f"{where} is {_shown(value)}, it must be an object")
        self.value: dict[str, Any] = value
        self.where = where

    def get(self, key: str) -> Any:
        if key not in self.value:
            raise BundleError(f"{self.where} has no field {key!r}")
        return self.value[key]

    def wrong(self, key: str, what: str) -> BundleError:
        """The error of a field that is not ``what`` it must be."""
        return BundleError(f"{self.where}.{key} is {_shown(self.value.get(key))}, it must be {what}")

    def integer(self, key: str, least: int = 0, most: int = LARGEST) -> int:
        value = self.get(key)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"an integer from {least} to {most}")
        return value

    def optional_integer(self, key: str, least: int = 0, most: int = LARGEST) -> int | None:
        return None if self.get(key) is None else self.integer(key, least, most)

    def boolean(self, key: str) -> bool:
        value = self.get(key)
        if type(value) is not bool:
            raise self.wrong(key, "true or false")
        return value

    def name(self, key: str) -> str:
        value = self.get(key)
        if type(value) is not str or not 0 < len(value) <= 1000 or not value.isprintable():
            raise self.wrong(key, "a name of 1 to 1000 printable characters")
        return value

    def choice(self, key: str, options: Collection[str]) -> str:
        value = self.get(key)
        if type(value) is not str or value not in options:
            raise self.wrong(key, "one of " + ", ".join(sorted(options)))
        return value

    def integers(self, key: str, least: int, lengths: Collection[int], most: int = LARGEST) -> tuple[int, ...]:
        value = self.get(key)
        if (
            type(value) is not list
            or len(value) not in lengths
            or not all(type(item) is int and least <= item <= most for item in value)
        ):
            raise self.wrong(key, f"a list of {' or '.join(map(str, lengths))} integers from {least} to {most}")
        return tuple(value)

    def pair(self, key: str, least: int, most: int = LARGEST) -> tuple[int, int]:
        first, second = self.integers(key, least, (2,), most)
        return first, second

    def shape(self, key: str = "shape") -> tuple[int, ...]:
        return self.integers(key, 1, (1, 3))

    def object(self, key: str) -> Fields:
        return Fields(self.get(key), f"{self.where}.{key}")

    def objects(self, key: str) -> list[Fields]:
        value = self.get(key)
        if type(value) is not list:
            raise self.wrong(key, "a list")
        return [Fields(item, f"{self.where}.{key}[{index}]") for index, item in enumerate(value)]

    def array(self, key: str, arrays: Mapping[str, np.ndarray], *dtypes: str) -> np.ndarray:
        """The array that the field names, of one of ``dtypes``."""
        name = self.get(key)
        if type(name) is not str or name not in arrays:
            raise self.wrong(key, "the name of an array in the file")
        array = arrays[name]
        if array.dtype.name not in dtypes:
            raise BundleError(f"{self.where}.{key}: array {name!r} is {array.dtype.name}, not {' or '.join(dtypes)}")
        return array


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
