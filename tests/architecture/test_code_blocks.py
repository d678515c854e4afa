"""Every Python block of README and of the pages runs as it is written, in the order of its page."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import snnconv
from coding import Rate
from neurons import NEURONS
from snnconv import detection
from snnconv.detection.shapes import SHAPES_CONFIG
from tests.architecture.conftest import Given
from tests.support.language_models import GPT, POSITIONS, WORDS
from tests.support.pictures import picture, written

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {page.relative_to(ROOT).as_posix(): _BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES}
BLOCKS = {page: blocks for page, blocks in BLOCKS.items() if blocks}

MODULE = """
from torch import nn


class MyCNN(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
"""


def start(common: Given, folder: Path) -> Given:
    written(folder / "my_project.py", MODULE)
    torch.manual_seed(0)
    namespace: Given = {}
    exec(MODULE, namespace)
    torch.save(namespace["MyCNN"]().state_dict(), folder / "my_cnn.pth")
    loader = DataLoader(TensorDataset(*common["test_data"]), batch_size=50)
    return {
        "test_loader": loader,
        "calibration_loader": DataLoader(TensorDataset(common["calibration"]), batch_size=50),
    }


def converting(common: Given, folder: Path) -> Given:
    images, labels = common["test_data"]
    return {"first_half": (images[:50], labels[:50]), "second_half": (images[50:], labels[50:])}


def graphs(common: Given, folder: Path) -> Given:
    class GCN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor, adj: torch.Tensor) -> torch.Tensor:
            return adj @ self.second(torch.relu(adj @ self.first(x)))

    torch.manual_seed(0)
    x, adj = torch.rand(12, 5), torch.rand(12, 12) / 12
    return {"gcn": GCN().eval(), "x": x, "adj": adj, "labels": torch.arange(12) % 3, "test_mask": torch.ones(12) > 0}


def detectors(common: Given, folder: Path) -> Given:
    shutil.copy(SHAPES_CONFIG, folder / "yolo.cfg")
    shutil.copy(SHAPES_CONFIG.with_suffix(".weights"), folder / "yolo.weights")
    written(folder / "coco.names", "\n".join(detection.load_shapes_detector().names) + "\n")
    paths = [folder / "coco128" / "images" / "train" / f"{number}.png" for number in range(3)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(path, 48, 48)
        written(folder / "coco128" / "labels" / "train" / f"{path.stem}.txt", "0 0.5 0.5 0.4 0.4\n")
    return {"paths": paths}


def transformers(common: Given, folder: Path) -> Given:
    torch.manual_seed(0)
    longer_ids = torch.randint(WORDS, (8, POSITIONS))
    return {"language_model": GPT().eval(), "ids": longer_ids[:, : POSITIONS - 2], "longer_ids": longer_ids}


GIVEN: dict[str, Callable[[Given, Path], Given]] = {
    "docs/start.md": start,
    "docs/converting.md": converting,
    "docs/graphs.md": graphs,
    "docs/detectors.md": detectors,
    "docs/transformers.md": transformers,
}


@pytest.mark.parametrize("page", BLOCKS)
def test_the_blocks_of_a_page_run_as_they_are_written(page: str, common: Given, folder: Path) -> None:
    namespace: Given = {**common, **GIVEN.get(page, lambda common, folder: {})(common, folder)}
    namespace["__name__"] = "page"
    for number, block in enumerate(BLOCKS[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec", dont_inherit=True), namespace)


def test_pages_with_names_of_their_own_exist() -> None:
    assert set(GIVEN) <= set(BLOCKS) and len(BLOCKS) >= 9


def test_there_is_a_page_that_runs_for_every_family_that_can_be_extended() -> None:
    assert {f"docs/extending/{family}.md" for family in ("code", "neuron", "operator", "exporter")} <= set(BLOCKS)


def test_the_command_of_the_page_on_neurons_reads_a_network_with_one(
    common: Given, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "docs/extending/neuron.md"
    registering = 'from snnconv.neurons import register_neuron\n\nregister_neuron("leaky", LeakyIntegrateFire)\n'
    written(folder / "leaky.py", BLOCKS[page][0] + registering)
    leaky = snnconv.convert(
        common["model"],
        common["calibration"],
        neuron=importlib.import_module("leaky").LeakyIntegrateFire,
        coding=Rate(8),
    )
    leaky.save("leaky.snn")
    del NEURONS["leaky"], sys.modules["leaky"]  # as in a process that begins
    inputs, targets = (each.numpy() for each in common["test_data"])
    np.savez(folder / "test.npz", inputs=inputs, targets=targets)
    (line,) = re.findall(r"^    python -c (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    program, *arguments = shlex.split(line)
    monkeypatch.setattr(sys, "argv", ["-c", *arguments])
    with pytest.raises(SystemExit) as ended:
        exec(compile(program, page, "exec", dont_inherit=True), {})
    assert not ended.value.code
    assert str(snnconv.evaluate(leaky, common["test_data"])).splitlines()[0] in capsys.readouterr().out


EXPORTING = '''
from pathlib import Path


def export_synapses(network: Path, output: Path) -> None:
    """Write NETWORK as lists of synapses to OUTPUT."""
    output.write_text(network.read_text())
'''


def test_the_command_of_the_page_on_exporters_joins_a_program(folder: Path) -> None:
    (folder / "my_package").mkdir()
    written(folder / "my_package" / "exporting.py", EXPORTING)
    written(folder / "network.snn", "as it was")
    namespace: Given = {"Path": Path}
    exec(compile(BLOCKS["docs/extending/exporter.md"][-1], "the command", "exec", dont_inherit=True), namespace)
    app = typer.Typer()
    app.callback()(lambda: None)
    namespace["add_commands"](app)
    assert "Write NETWORK as lists of synapses" in CliRunner().invoke(app, ["--help"]).output
    done = CliRunner().invoke(app, ["export-synapses", "network.snn", "synapses.json", "--quiet"])
    assert done.exit_code == 0 and (folder / "synapses.json").read_text() == "as it was"
