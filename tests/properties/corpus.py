"""The corpus: networks that broke a property once, as small files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.support.random_networks.codings import Setting
from tests.support.random_networks.script import Script, Signal, Statement
from tests.support.random_networks.specimen import Specimen

#: Folder of the corpus, one file a network.
FOLDER = Path(__file__).parent / "corpus"


def write(script: Script, setting: Setting, broke: str, folder: Path = FOLDER) -> Path:
    """Keep a network that broke a property, named after what it is; returns its file."""
    network = {"script": asdict(script), "setting": setting.to_dict()}
    text = json.dumps({**network, "broke": broke}, indent=1) + "\n"
    path = folder / f"{hashlib.sha256(json.dumps(network).encode()).hexdigest()[:12]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(path: Path) -> Specimen:
    """The network of a file of the corpus."""
    found = json.loads(path.read_text())
    return Specimen(_script(found["script"]), Setting.from_dict(found["setting"]))


def _script(found: dict[str, Any]) -> Script:
    def signal(each: dict[str, Any]) -> Signal:
        return Signal(each["name"], tuple(each["shape"]))

    statements = tuple(
        Statement(**{**each, "result": signal(each["result"]), "operands": tuple(each["operands"])})
        for each in found["statements"]
    )
    return Script(tuple(map(signal, found["inputs"])), statements, tuple(found["outputs"]), found["seed"])
