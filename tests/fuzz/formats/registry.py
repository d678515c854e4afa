"""All formats of files that the project reads, by name."""

from __future__ import annotations

from tests.fuzz.formats import detection, machines, models, own, samples
from tests.fuzz.formats.format import FileFormat

FORMATS: dict[str, FileFormat] = {
    each.name: each for module in (own, samples, models, detection, machines) for each in module.FORMATS
}
