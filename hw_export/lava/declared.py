"""The limits that Lava's own process models declare, as numbers here and as they stand in an installed lava-nc.

Its simulation in Python enforces few of them; a chip has no more bits than these.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from hw_export.integers.ranges import NeuronLimits

#: Bits by module, model, and port or variable: ``LavaPyType(..., precision=bits)``.
DECLARED: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "lava.proc.lif.models": {
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
    "lava.proc.dense.models": {"PyDelayDenseModelBitAcc": {"a_out": 16, "weights": 8, "delays": 6}},
    "lava.proc.sparse.models": {"PyDelaySparseModelBitAcc": {"a_out": 16, "weights": 8, "delays": 6}},
    "lava.proc.conv.models": {"PyConvModelFixed": {"s_in": 24, "a_out": 24, "weight": 8}},
}
_LIF = DECLARED["lava.proc.lif.models"]["PyLifResetModelBitAcc"]
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
LONGEST_DELAY = 2 ** DECLARED["lava.proc.dense.models"]["PyDelayDenseModelBitAcc"]["delays"] - 1


def declared_bits(module: str, model: str) -> Mapping[str, int]:
    """The bits that ``model`` of the installed ``module`` declares, those of its base classes in the file included.

    The file is read and not imported. Raises ``ModuleNotFoundError`` where there is no such module.
    """
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{module} is not installed")
    return _bits(ast.parse(Path(found.origin).read_text()), model)


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
