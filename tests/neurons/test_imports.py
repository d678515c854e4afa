from __future__ import annotations

import subprocess
import sys


def test_neurons_know_coding_but_neither_the_converter_nor_the_exporter_nor_the_adapted_libraries() -> None:
    names = "('coding', 'snnconv', 'hw_export', 'snntorch', 'norse')"
    code = f"import sys, neurons; print([m for m in {names} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['coding']"
