"""``python -m benchmarks [NAME...] [--images N]``: measure, print, and keep the tables in ``benchmarks/results``."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import (
    antlr,
    c_exports,
    codes,
    comparison,
    concept_pictures,
    conversion,
    cost,
    crossbars,
    detection_codes,
    detection_rate,
    exactness,
    example_figures,
    export,
    few_spike_peer,
    graph,
    hybrid,
    imagenet,
    integer_detection,
    kernels,
    learning_cost,
    max_pooling,
    nir_readers,
    papers,
    rate,
    readme_picture,
    scaling,
    smooth,
    speed,
    streams,
    time_to_loss,
    transformers,
    tuning,
    two_digits,
    window_cost,
    window_networks,
)
from benchmarks.results import note
from benchmarks.stored_ratios import SpeedFell
from benchmarks.timing import TooNoisy
from benchmarks.zoo import table as zoo

BENCHMARKS: dict[str, Callable[..., None]] = {
    "speed": speed.run,
    "steps_to_loss": time_to_loss.run,
    "cost": cost.run,
    "window_cost": window_cost.run,
    "window_networks": window_networks.run,
    "kernels": kernels.run,
    "conversion": conversion.run,
    "scaling": scaling.run,
    "streams": streams.run,
    "graph": graph.run,
    "graph_geometric": graph.run_geometric,
    "max_pooling": max_pooling.run,
    "nir_readers": nir_readers.run,
    "few_spike_peer": few_spike_peer.run,
    "comparison": comparison.run,
    "codes": codes.run,
    "rate": rate.run,
    "hybrid": hybrid.run,
    "detection_codes": detection_codes.run,
    "detection_rate": detection_rate.run,
    "int8": export.run_int8,
    "lava": export.run_lava,
    "c": c_exports.run,
    "exactness": exactness.run,
    "integer_detection": integer_detection.run,
    "crossbars": crossbars.run,
    "antlr": antlr.run,
    "tuning": tuning.run,
    "two_digits": two_digits.run,
    "papers": papers.run,
    "learning_cost": learning_cost.run,
    "imagenet": imagenet.run,
    "zoo": zoo.run,
    "smooth": smooth.run,
    "transformers": transformers.run,
    "picture": readme_picture.run,
    "figures": example_figures.run,
    "concepts": concept_pictures.run,
}


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--images", type=int, help="only the first N test images")
    parser.add_argument("--steps", type=int, help=f"time steps of a stream: {_takers('steps')}")
    parser.add_argument("--epochs", type=int, help=f"epochs of training: {_takers('epochs')}")
    parser.add_argument("--rows", nargs="+", metavar="PATTERN", help=f"only rows of these names: {_takers('rows')}")
    parser.add_argument("--device", help=f"a device of torch, such as cuda: {_takers('device')}")
    arguments = vars(parser.parse_args())
    names = arguments.pop("names") or list(BENCHMARKS)
    options: dict[str, Any] = {key: value for key, value in arguments.items() if value is not None}
    for name in names:
        if name not in BENCHMARKS:
            parser.error(f"unknown benchmark {name!r}; known: {', '.join(BENCHMARKS)}")
        for option in options:
            if option not in _options(name):
                parser.error(f"{name} takes no --{option}; name the benchmarks that do: {_takers(option)}")
    failed = False
    for name in names:
        try:
            BENCHMARKS[name](**options)
        except (TooNoisy, SpeedFell) as error:
            note(f"{name}: {error}")
            failed = True
    sys.exit(failed)


def _options(name: str) -> list[str]:
    return list(inspect.signature(BENCHMARKS[name]).parameters)


def _takers(option: str) -> str:
    return ", ".join(name for name in BENCHMARKS if option in _options(name))


if __name__ == "__main__":
    main()
