"""Names in C: what a network may be called, and identifiers made of the names of populations, inputs and outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from snnconv.errors import ConfigurationError

#: Words that C99 keeps to itself.
_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Complex
    _Imaginary
"""
KEYWORDS = frozenset(_KEYWORDS.split())
#: Words that C++ keeps as well, which includes the header, and that compilers define.
_OTHERS = """
    alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class co_await co_return co_yield
    compl concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export false friend
    linux mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast
    requires static_assert static_cast template this thread_local throw true try typeid typename typeof unix using
    virtual wchar_t xor xor_eq
"""
_RESERVED = KEYWORDS | frozenset(_OTHERS.split())
#: Characters of an identifier that C99 compilers must tell apart, less those of the longest word in front or behind.
_LONGEST = 24


def check_name(name: str) -> None:
    """Raise ``ConfigurationError`` unless ``name`` can stand in the identifiers of a program and in names of files."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigurationError(
            f"name must be a C identifier, letters, digits and underscores that begin with no digit, got {name!r}"
        )
    if name in KEYWORDS:
        raise ConfigurationError(f"name {name!r} is a keyword of C: take another, such as {name}_network")
    if len(name) > _LONGEST:
        raise ConfigurationError(f"name must have at most {_LONGEST} characters, got {len(name)}: {name!r}")


def identifiers(nodes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """An identifier by node, made of the name that people know it by; no two are alike."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for node, name in nodes:
        wanted = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "node"
        wanted = f"n{wanted}" if wanted[0].isdigit() else wanted
        candidate, number = wanted, 2
        while candidate in taken or candidate in _RESERVED:
            candidate, number = f"{wanted}_{number}", number + 1
        taken.add(candidate)
        found[node] = candidate
    return found


def as_comment(name: str) -> str:
    """``name`` as it may stand in a comment and in a string of C."""
    return re.sub(r"[^A-Za-z0-9_.,:+\-()\[\] ]", "_", name)
