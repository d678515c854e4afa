from __future__ import annotations

import subprocess
import sys


def test_coding_imports_neither_neurons_nor_the_converter_nor_the_exporter() -> None:
    code = "import sys, coding; print([m for m in ('neurons', 'snnconv', 'hw_export') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
