"""Random transformers, one a seed: each must fire the same spikes in both simulators, and none through a mask."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.support.random_transformers import Drawn, check_transformer


def main(arguments: list[str]) -> int:
    """Check as many transformers as asked, on from where the file of results stands; 1 where one breaks a promise."""
    parser = argparse.ArgumentParser(prog="transformers", description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="that of the first")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no further one is begun behind these")
    parser.add_argument("--results", type=Path, help="JSON; an existing one is gone on with")
    asked = parser.parse_args(arguments)
    kept = {"seed": asked.seed, "checked": 0, "broken": {}}
    if asked.results is not None and asked.results.exists():
        kept = json.loads(asked.results.read_text())
        if kept["seed"] != asked.seed:
            parser.error(f"{asked.results} is of seed {kept['seed']}; give that, or another file")
    end = time.monotonic() + asked.seconds
    for seed in range(asked.seed + kept["checked"], asked.seed + asked.count):
        if time.monotonic() > end:
            break
        try:
            check_transformer(seed)
        except Exception as error:
            kept["broken"][str(seed)] = f"{type(error).__name__}: {error}"[:2000]
            print(f"seed {seed}, {Drawn.of(seed)}: {kept['broken'][str(seed)]}", flush=True)
        kept["checked"] += 1
        if asked.results is not None:
            asked.results.write_text(json.dumps(kept, indent=1) + "\n")
    print(f"{kept['checked']} transformers, {len(kept['broken'])} of them broke a promise")
    return 1 if kept["broken"] else 0
