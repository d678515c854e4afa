"""Mutants of any file: its bytes flipped, cut, doubled, overwritten and moved."""

from __future__ import annotations

import struct
from random import Random

#: Numbers that lengths, offsets and counts are overwritten with.
_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
#: The longest part that is cut, doubled or moved.
_PART = 64


def altered_bytes(content: bytes, random: Random) -> bytes:
    """``content`` after one to three alterations; the most are at its beginning and end, where formats keep headers."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = random.choice(_ALTERATIONS)(content, random)
    return content


def place(content: bytes, random: Random) -> int:
    """A position in ``content``, often in its first or last 256 bytes."""
    if not content:
        return 0
    edge = min(256, len(content))
    return random.choice(
        (random.randrange(edge), len(content) - 1 - random.randrange(edge), random.randrange(len(content)))
    )


def _flip(content: bytes, random: Random) -> bytes:
    at, changed = place(content, random), bytearray(content)
    if changed:
        changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


def _set(content: bytes, random: Random) -> bytes:
    at = place(content, random)
    return content[:at] + bytes([random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))]) + content[at + 1 :]


def _number(content: bytes, random: Random) -> bytes:
    at, width = place(content, random), random.choice((2, 4, 8))
    number = random.choice(_EXTREMES) & ((1 << 8 * width) - 1)
    return content[:at] + number.to_bytes(width, random.choice(("little", "big"))) + content[at + width :]


def _real(content: bytes, random: Random) -> bytes:
    at = place(content, random) // 4 * 4
    value = random.choice((float("nan"), float("inf"), -1.0, 0.0, 3e38, 1e-45))
    return content[:at] + struct.pack("<f", value) + content[at + 4 :]


def _truncate(content: bytes, random: Random) -> bytes:
    return content[: place(content, random)]


def _cut(content: bytes, random: Random) -> bytes:
    at = place(content, random)
    return content[:at] + content[at + random.randint(1, _PART) :]


def _insert(content: bytes, random: Random) -> bytes:
    at = place(content, random)
    return content[:at] + random.randbytes(random.randint(1, _PART)) + content[at:]


def _double(content: bytes, random: Random) -> bytes:
    at = place(content, random)
    part = content[at : at + random.randint(1, _PART)]
    return content[:at] + part * random.choice((2, 2, 3, 1000)) + content[at + len(part) :]


def _move(content: bytes, random: Random) -> bytes:
    at, length = place(content, random), random.randint(1, _PART)
    rest = content[:at] + content[at + length :]
    to = place(rest, random)
    return rest[:to] + content[at : at + length] + rest[to:]


def _zero(content: bytes, random: Random) -> bytes:
    at, length = place(content, random), random.randint(1, 4 * _PART)
    return content[:at] + bytes(len(content[at : at + length])) + content[at + length :]


def _lengthen(content: bytes, random: Random) -> bytes:
    return content + random.choice((b"\0", bytes(4), bytes(4096), random.randbytes(100)))


_ALTERATIONS = (_flip, _flip, _set, _number, _number, _real, _truncate, _cut, _insert, _double, _move, _zero, _lengthen)
