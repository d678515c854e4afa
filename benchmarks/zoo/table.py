"""The zoo, measured row by row, each kept as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch

from benchmarks.peer_imports import PeerMissing
from benchmarks.results import note
from benchmarks.zoo import graph_layers, other_libraries, own_networks, page, vision_models
from benchmarks.zoo.measuring import measured
from benchmarks.zoo.subjects import Subject

_SOURCES: tuple[Callable[[], Iterable[Subject]], ...] = (
    own_networks.subjects,
    graph_layers.subjects,
    other_libraries.mtcnn_subjects,
    other_libraries.transformers_subjects,
    vision_models.torchvision_subjects,
    vision_models.backbone_subjects,
    vision_models.timm_subjects,
)


def run(rows: Sequence[str] | None = None) -> None:
    """Measure what docs/zoo.md lacks, and write it there.

    ``rows`` are patterns of "library/model"; what matches them is measured, whether there is a row or not.
    """
    kept, subjects = page.read(), _subjects()
    for subject in subjects:
        wanted = rows is not None and any(fnmatch(subject.key, pattern) for pattern in rows)
        if wanted or (rows is None and subject.key not in kept):
            kept[subject.key] = page.cells(measured(subject))
            note(f"{subject.key}: {', '.join(cell for cell in kept[subject.key] if cell)}")
            page.write(kept, [each.key for each in subjects if each.key not in kept])


def _subjects() -> list[Subject]:
    found: list[Subject] = []
    for source in _SOURCES:
        try:
            found.extend(source())
        except PeerMissing as error:
            note(f"left out: {error}")
    return found
