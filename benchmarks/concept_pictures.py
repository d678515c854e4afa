"""The pictures of docs/concepts, by the pages that they are on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from benchmarks.concepts import arithmetic, networks, structures, trains
from benchmarks.results import note

PICTURES: dict[str, Callable[[], None]] = {
    "how-it-works": trains.how_it_works,
    "codes": trains.codes,
    "schedules": trains.schedules,
    "max-pooling": arithmetic.max_pooling,
    "products": arithmetic.products,
    "ratios": arithmetic.ratios,
    "tables": arithmetic.tables,
    "energy": networks.energy,
    "measures": networks.measures,
    "attention": networks.attention,
    "gradients": networks.gradients,
    "crossbars": networks.crossbars,
    "capture": structures.capture,
    "integers": structures.integers,
    "sequences": structures.sequences,
}


def run(rows: Sequence[str] = ("*",)) -> None:
    """Draw the pictures of the pages whose names are among ``rows``."""
    for page, draw in PICTURES.items():
        if any(fnmatchcase(page, pattern) for pattern in rows):
            draw()
            note(f"docs/concepts/{page}.png")
