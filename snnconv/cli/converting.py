"""What commands that convert share: a model becomes a network, in a file if one is named, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import snnconv
from snnconv.cli.interruption import kept
from snnconv.cli.models import load_model, moved
from snnconv.cli.options import show, workers_of
from snnconv.cli.progress import progress_bars, search_announced
from snnconv.cli.samples import in_precision, samples_of
from snnconv.network import SpikingNetwork
from snnconv.text import code_text


def convert_to_file(
    model: str,
    weights: Path | None,
    trust: bool,
    calibration: Path,
    output: Path | None,
    *,
    limit: int | None,
    device: str,
    workers: str | None,
    json_file: Path | None,
    arguments: Mapping[str, Any],
) -> None:
    """Convert ``model`` with these ``arguments`` of convert(), write it to ``output`` and say what came of it.

    The error of every population is measured on samples held out, once the network is written.
    """
    processes = workers_of(workers)
    inputs, _ = samples_of(calibration, limit)
    original = moved(load_model(model, weights, trust=trust), device)
    inputs = in_precision(inputs, original, "calibration").to(device)
    with search_announced(), progress_bars() as progress:
        network = snnconv.convert(original, inputs, progress=progress, workers=processes, **arguments)
    if output is not None:
        network.save(output)
    with kept(lambda: "" if output is None else f"{output} is written; the same command verifies it again"):
        told, figures = [network.report()], _figures(network)
        if network.search_log is not None:
            told.insert(0, str(network.search_log))
        if network.held_out:
            with progress_bars() as progress:
                verification = snnconv.verify(network, progress=progress, workers=processes)
            told.append(str(verification))
            figures["verification"] = verification.to_dict()
        if output is not None:
            told.append(f"written: {output}")
        show("\n".join(told), json_file, figures)


def _figures(network: SpikingNetwork) -> dict[str, Any]:
    """The codes of ``network``, and what a search for them tried, ready for JSON."""
    populations = [
        {"name": each.name, "code": code_text(each.code), "neurons": math.prod(each.shape)}
        for each in network.populations.values()
    ]
    log = network.search_log
    return {
        "populations": populations,
        "latency": None if network.timing is None else network.timing.latency,
        **({} if log is None else {"search": asdict(log)}),
    }
