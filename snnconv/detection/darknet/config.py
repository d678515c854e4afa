"""Darknet's ``.cfg``: text in sections of ``key=value`` lines, read as if its author meant harm."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from snnconv.data.file_kinds import CONFIG, kind_of, unreadable
from snnconv.detection.darknet.options import ALIASES, CLASSIFIER, HEADS, UNREAD, USED
from snnconv.errors import ConfigurationError, StorageError

T = TypeVar("T")

#: Bytes beyond which a file is no list of layers.
_LARGEST_FILE = 2**18
#: Integers beyond this are no width, count or index of a network.
_LARGEST = 2**20
#: What an error of a file that is no description says of the other one.
_SWAPPED = "; the .cfg comes first and the .weights second: are they swapped?"
_HEADER = re.compile(r"\[([^\[\]]+)\]")
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Option:
    """The text of an option's value, without white space, and the line it is in."""

    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """A section of a ``.cfg``: its name in brackets, the line of that name, and its options.

    The methods that read an option raise ``ConfigurationError`` where its value is malformed or out of range, or where
    it is absent and has no default.
    """

    file: str
    name: str
    line: int
    options: Mapping[str, Option]

    def error(self, message: str, option: str | None = None) -> ConfigurationError:
        """The error that says ``message`` of this section, at the line of ``option`` where that is given."""
        line = self.line if option is None or option not in self.options else self.options[option].line
        return ConfigurationError(f"{self.file}, line {line}, [{self.name}]: {message}")

    def whole(self, name: str, default: int | None = None, *, least: int = 0, most: int = _LARGEST) -> int:
        """An integer from ``least`` to ``most``."""
        numbers = self.wholes(name, None if default is None else (default,), least=least, most=most)
        if len(numbers) != 1:
            raise self.error(f"{name} is a list; it must be one number", name)
        return numbers[0]

    def wholes(
        self, name: str, default: tuple[int, ...] | None = None, *, least: int = -_LARGEST, most: int = _LARGEST
    ) -> tuple[int, ...]:
        """Integers from ``least`` to ``most``, separated by commas."""

        def read(text: str) -> int | None:
            number = int(text) if _WHOLE.fullmatch(text) else None
            return number if number is not None and least <= number <= most else None

        return self._read(name, default, read, f"an integer from {least} to {most}")

    def reals(self, name: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
        """Finite numbers, separated by commas."""

        def read(text: str) -> float | None:
            number = float(text) if _REAL.fullmatch(text) else None
            return number if number is not None and math.isfinite(number) else None

        return self._read(name, default, read, "a number")

    def word(self, name: str, allowed: Collection[str], default: str | None = None) -> str:
        """One of the words ``allowed``."""

        def read(text: str) -> str | None:
            return text if text in allowed else None

        words = self._read(name, None if default is None else (default,), read, f"one of {', '.join(sorted(allowed))}")
        if len(words) != 1:
            raise self.error(f"{name} is a list; it must be one word", name)
        return words[0]

    def _read(
        self, name: str, default: tuple[T, ...] | None, read: Callable[[str], T | None], wanted: str
    ) -> tuple[T, ...]:
        if name not in self.options:
            if default is None:
                raise self.error(f"{name} is missing; give {name}=, {wanted}")
            return default
        values: list[T] = []
        for text in self.options[name].text.split(","):
            value = read(text)
            if value is None:
                raise self.error(f"{name} holds {_short(text)}; it must be {wanted}", name)
            values.append(value)
        return tuple(values)


@dataclass(frozen=True)
class Config:
    """A network as darknet describes it: the section of its input, and one section for every layer, in order."""

    file: str
    net: Section
    layers: tuple[Section, ...]


def read_config(path: str | os.PathLike[str]) -> Config:
    """The network described in a ``.cfg`` file.

    What follows ``#`` or ``;`` on a line is a comment, white space is ignored. Every section and option is known
    (see ``options``); values are checked when a layer is made of them. Raises ``StorageError`` for a file that cannot
    be read as text, ``ConfigurationError`` for text that is no such description.
    """
    file = str(path)
    sections: list[Section] = []
    options: dict[str, Option] = {}
    lines = ["".join(re.split("[#;]", written, maxsplit=1)[0].split()) for written in _text(path).split("\n")]
    _check_detector(file, lines)
    for number, line in enumerate(lines, start=1):
        header = _HEADER.fullmatch(line)
        if header:
            options = {}
            sections.append(_section(file, header[1], number, options))
        elif line:
            if not sections:
                raise ConfigurationError(
                    f"{file}, line {number}: {_short(line)} stands before the first section, [net]"
                )
            _add_option(sections[-1], options, line, number)
    if not sections or sections[0].name != "net":
        found = f"[{sections[0].name}]" if sections else "no section"
        raise ConfigurationError(f"{file} starts with {found}; the first section must be [net] or [network]")
    for section in sections[1:]:
        if section.name == "net":
            raise section.error(f"a second [net]; the first is in line {sections[0].line}, and a file has one")
    return Config(file, sections[0], tuple(sections[1:]))


def _text(path: str | os.PathLike[str]) -> str:
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise StorageError(f"{path} is larger than {_LARGEST_FILE} bytes; it is no darknet .cfg")
        if kind_of(path) not in (None, CONFIG):
            raise StorageError(unreadable(path, CONFIG, "") + _SWAPPED)
        if b"\x00" in content:
            raise StorageError(f"{path} is no text, and darknet's list of layers, the .cfg, is one{_SWAPPED}")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise StorageError(unreadable(path, CONFIG, error.strerror or error)) from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} is no text in UTF-8 (byte {error.start}){_SWAPPED}") from error


def _check_detector(file: str, lines: Sequence[str]) -> None:
    """Raise ``ConfigurationError`` for a network that classifies pictures and finds nothing in them."""
    names = [(number, header[1]) for number, line in enumerate(lines, 1) if (header := _HEADER.fullmatch(line))]
    ends = [(number, name) for number, name in names if name in CLASSIFIER]
    if ends and not any(name in HEADS for _, name in names):
        number, name = ends[-1]
        raise ConfigurationError(
            f"{file}, line {number}: the network is a classifier, with [{name}] and without [yolo] or [region]; only "
            "detectors are read from darknet's files. Build it as a torch module, and convert that"
        )


def _section(file: str, written: str, line: int, options: Mapping[str, Option]) -> Section:
    name = ALIASES.get(written, written)
    if name not in USED:
        supported = ", ".join(f"[{known}]" for known in USED)
        raise ConfigurationError(
            f"{file}, line {line}: section [{_short(written)}] is not supported; supported are {supported}"
        )
    return Section(file, name, line, options)


def _add_option(section: Section, options: dict[str, Option], line: str, number: int) -> None:
    key, equals, value = line.partition("=")
    if not (key and equals and value):
        raise ConfigurationError(
            f"{section.file}, line {number}, [{section.name}]: {_short(line)} is neither [section] nor key=value"
        )
    if key not in USED[section.name] | UNREAD.get(section.name, frozenset()):
        supported = ", ".join(sorted(USED[section.name]))
        raise ConfigurationError(
            f"{section.file}, line {number}, [{section.name}]: option {_short(key)} is not supported and may change "
            f"what the network computes; supported are {supported}, and options of training"
        )
    if key in options and key in USED[section.name]:
        raise ConfigurationError(
            f"{section.file}, line {number}, [{section.name}]: {key} is given a second time, after line "
            f"{options[key].line}; leave one"
        )
    options[key] = Option(value, number)


def _short(text: str) -> str:
    """Text from a file as an error shows it: printable and not long."""
    return ascii(text if len(text) <= 40 else f"{text[:37]}...")
