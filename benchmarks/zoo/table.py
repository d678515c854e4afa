"""The table of the zoo: resumed row by row, printed, and written as a page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.peer_imports import PeerMissing
from benchmarks.results import FOLDER, note, publish
from benchmarks.zoo import graph_layers, other_libraries, own_networks, vision_models
from benchmarks.zoo.measuring import CODES, Row, measured
from benchmarks.zoo.subjects import Subject

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
#: Relative error in the first code within which a model counts as converted well.
GOOD = 0.02
_SOURCES: tuple[Callable[[], Iterable[Subject]], ...] = (
    own_networks.subjects,
    graph_layers.subjects,
    other_libraries.mtcnn_subjects,
    other_libraries.transformers_subjects,
    vision_models.torchvision_subjects,
    vision_models.backbone_subjects,
    vision_models.timm_subjects,
)
_HEAD = (
    *("model", "verdict", "parameters", "populations", *CODES),
    *("of what differs", "agreement %", "seconds", "MB", "reason or warning"),
)


def run(rows: Sequence[str] | None = None) -> None:
    """Publish the table ``zoo`` and write docs/zoo.md.

    Rows that ``results/zoo_rows.json`` holds already are not measured again: delete it to start over. ``rows`` are
    patterns of "library/model"; what matches them is measured, whether there is a row or not.
    """
    kept, subjects = _kept(), _subjects()
    for subject in subjects:
        wanted = rows is not None and any(fnmatch(subject.key, pattern) for pattern in rows)
        if wanted or (rows is None and subject.key not in kept):
            kept[subject.key] = measured(subject)
            _keep(kept)
            note(f"{subject.key}: {_summary(kept[subject.key])}")
    publish("zoo", "The zoo", _HEAD, [_cells(row) for row in kept.values()])
    PAGE.write_text(page([*kept.values()], [subject.key for subject in subjects if subject.key not in kept]))


def _subjects() -> list[Subject]:
    found: list[Subject] = []
    for source in _SOURCES:
        try:
            found.extend(source())
        except PeerMissing as error:
            note(f"left out: {error}")
    return found


def _rows_file() -> Path:
    return FOLDER / "zoo_rows.json"


def _kept() -> dict[str, Row]:
    if not _rows_file().exists():
        return {}
    stored: dict[str, dict[str, object]] = json.loads(_rows_file().read_text())
    return {key: Row(**row) for key, row in stored.items()}  # type: ignore[arg-type]


def _keep(rows: dict[str, Row]) -> None:
    FOLDER.mkdir(exist_ok=True)
    plain = {key: row.to_dict() for key, row in rows.items()}
    _rows_file().write_text(json.dumps(plain, indent=1) + "\n")


def _summary(row: Row) -> str:
    errors = ", ".join(f"{100 * error:.2f} %" for error in row.errors.values())
    return f"{row.verdict} {errors}{row.reasons} {row.warnings}".strip()


def _cells(row: Row) -> list[object]:
    first = next(iter(CODES))
    return [
        f"{row.library}/{row.name}",
        row.verdict,
        row.parameters,
        row.populations or None,
        *(_percent(row.errors.get(code)) for code in CODES),
        _percent(row.differing),
        _percent(row.agreement.get(first)),
        round(row.seconds, 1) if row.errors else None,
        round(row.megabytes) if row.errors else None,
        row.reasons or row.warnings or None,
    ]


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def page(rows: Sequence[Row], left: Sequence[str] = ()) -> str:
    """The page of the documentation: a summary, then a table for each library; ``left`` were not measured."""
    first = next(iter(CODES))
    accepted = [row for row in rows if row.verdict == "accepted"]
    errors = [row.errors[first] for row in accepted]
    lines = [
        "# Zoo",
        "",
        "Models of other libraries, unchanged, with the random weights that they are built with (MTCNN with its own).",
        "Calibrated with 64 ImageNet pictures, measured on 32 others: relative error of the whole output in percent,",
        "by code (default is what `convert` chooses: few-spike code of 8 steps, and where there are smooth functions",
        "or products, a code for each population), and for the first code relative to what differs from picture to",
        "picture alone. Where a name says",
        "adapted, and in the networks of papers, batch norms hold statistics of the pictures: random layers that",
        "centre what they get multiply any small difference. Written by `python -m benchmarks zoo`; what it needs",
        "beside this project is in `benchmarks/requirements-zoo.txt`.",
        "",
        f"{len(accepted)} of {len(rows)} accepted"
        + (
            f"; {sum(error <= GOOD for error in errors)} of these within {GOOD:.0%} in {first}, "
            f"median {median(errors):.2%}."
            if errors
            else "."
        ),
    ]
    if left:
        lines += ["", f"Not measured: {', '.join(left)}."]
    for library in dict.fromkeys(row.library for row in rows):
        lines += ["", f"## {library}{_version(library)}", "", _table_row((*_HEAD[:2], *_HEAD[3:]))]
        lines.append(_table_row(["---", "---", *["---:"] * (len(CODES) + 5), "---"]))
        for row in rows:
            if row.library == library:
                cells = _cells(row)
                lines.append(_table_row([row.name, cells[1], *cells[3:]]))
    return "\n".join(lines) + "\n"


def _version(library: str) -> str:
    try:
        return f" {version(library.split()[0])}"
    except PackageNotFoundError:
        return ""


def _table_row(cells: Iterable[object]) -> str:
    return "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |"
