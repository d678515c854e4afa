"""The limits that Lava's own process models declare, as numbers here and as they stand in an installed lava-nc.

Its simulation in Python enforces few of them; a chip has no more bits than these.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from hw_export.integers.ranges import NeuronLimits

#: Bits by folder of Lava's processes, model, and port or variable: ``LavaPyType(..., precision=bits)``.
DECLARED: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "lif": {
        "PyLifResetModelBitAcc": {
            "a_in": 16,
            "s_out": 24,
            "u": 24,
            "v": 24,
            "du": 12,
            "dv": 12,
            "bias_mant": 13,
            "bias_exp": 3,
            "vth": 17,
        },
    },
    "dense": {"PyDelayDenseModelBitAcc": {"a_out": 16, "weights": 8, "delays": 6}},
    "sparse": {"PyDelaySparseModelBitAcc": {"a_out": 16, "weights": 8, "delays": 6}},
    "conv": {"PyConvModelFixed": {"s_in": 24, "a_out": 24, "weight": 8}},
}
_LIF = DECLARED["lif"]["PyLifResetModelBitAcc"]
#: Potentials have 24 bits, of which 6 are finer than a unit of weights (``vth`` is shifted by them).
FRACTION_BITS = 6
#: Of Lava's own neurons, in units of weights.
LIF = NeuronLimits(
    membrane=2 ** (_LIF["v"] - 1 - FRACTION_BITS) - 1,
    current=2 ** (_LIF["a_in"] - 1) - 1,
    bias=2 ** (_LIF["bias_mant"] - 1) - 1,
)
#: It fires above its threshold, ours fire at it.
LARGEST_LIF_THRESHOLD = 2 ** _LIF["vth"]
LONGEST_DELAY = 2 ** DECLARED["dense"]["PyDelayDenseModelBitAcc"]["delays"] - 1


def declared_bits(process: str, model: str) -> Mapping[str, int]:
    """The bits that ``model`` of the installed lava-nc declares for ``process``, those of its base classes included.

    The file is read and not imported. Raises ``ModuleNotFoundError`` where there is no such process.
    """
    found = importlib.util.find_spec("lava")
    places = found.submodule_search_locations if found else None
    files = [Path(place, "proc", process, "models.py") for place in places or ()]
    for file in files:
        if file.is_file():
            return _bits(ast.parse(file.read_text()), model)
    raise ModuleNotFoundError(f"lava-nc is not installed, or has no process {process!r}")


def _bits(tree: ast.Module, model: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.ClassDef) or statement.name != model:
            continue
        for base in statement.bases:
            if isinstance(base, ast.Name):
                found |= _bits(tree, base.id)
        for line in statement.body:
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(line.target, ast.Name)
                and isinstance(line.value, ast.Call)
            ):
                for option in line.value.keywords:
                    if option.arg == "precision" and isinstance(option.value, ast.Constant):
                        found[line.target.id] = int(str(option.value.value))
    return found
