"""Random networks for as long as asked: each is held to all properties, and what breaks one joins the corpus."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

import snnconv
from tests.properties import corpus
from tests.properties.checking import check
from tests.support.random_networks.codings import Setting
from tests.support.random_networks.codings import settings as drawn_settings
from tests.support.random_networks.script import Script
from tests.support.random_networks.specimen import Specimen, is_refused
from tests.support.random_networks.strategies import scripts

#: Networks of a round: they are drawn from one seed, the plainest first, and results are written behind each round.
ROUND = 25
#: Seconds that making a network smaller, which breaks a property, may take.
SHRINKING = 60.0


@dataclass
class Results:
    """What all rounds so far found.

    ``kept`` counts networks by the property that they were asked for and keep; ``refused`` are settings that a
    pipeline cannot run.
    """

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    networks: int = 0
    refused: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    violations: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Replace the file at ``path`` as a whole."""
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        beside.write_text(json.dumps(asdict(self), indent=1) + "\n")
        beside.replace(path)


class _TimeIsOver(BaseException):
    """Ends a round at once; hypothesis lets through what is no ``Exception``."""


class _Fuzz:
    """One run of rounds until ``end``, a moment of ``time.monotonic``."""

    def __init__(self, results: Results, end: float, folder: Path) -> None:
        self.results, self.end, self.folder = results, end, folder
        self.failing: tuple[Script, Setting, str] | None = None
        self.stop_shrinking, self.begun = float("inf"), results.networks

    def round(self) -> None:
        """Networks of the next seed; the smallest found that breaks a property is kept in the corpus."""
        self.failing, self.stop_shrinking, self.begun = None, float("inf"), self.results.networks

        @seed(self.results.seed * 1_000_003 + self.results.rounds)
        @settings(
            max_examples=ROUND,
            phases=[Phase.generate, Phase.shrink],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(scripts(), drawn_settings())
        def networks(script: Script, setting: Setting) -> None:
            self._network(script, setting)

        try:
            networks()
        except _TimeIsOver:
            pass
        except Exception:  # what was broken, or that it was kept once the time for shrinking was over
            if self.failing is None:
                raise
            script, setting, broke = self.failing
            path = corpus.write(script, setting, broke, self.folder)
            self.results.violations.append({"round": self.results.rounds, "broke": broke, "file": path.name})
            print(f"{path}: {broke}", flush=True)
        self.results.rounds += 1

    def _network(self, script: Script, setting: Setting) -> None:
        now, first = time.monotonic(), self.failing is None
        if first and now > self.end and self.results.networks > self.begun:
            raise _TimeIsOver
        if now > self.stop_shrinking:
            return
        self.results.networks += first
        try:
            specimen = Specimen(script, setting)
            try:
                assert specimen.network
            except snnconv.ConfigurationError as refusal:
                if not is_refused(refusal):
                    raise
                self.results.refused += first
                return
            kept = check(specimen)
        except Exception as error:
            if first:
                self.stop_shrinking = now + SHRINKING
            self.failing = script, setting, f"{type(error).__name__}: {error}"[:2000]
            raise
        if first:
            self.results.kept = dict(Counter(self.results.kept) + Counter(kept))


def main(arguments: list[str]) -> int:
    """Run rounds for the time given, on from where the file of results stands; 1 where a property was broken."""
    parser = argparse.ArgumentParser(prog="networks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="JSON; an existing one is gone on with")
    parser.add_argument("--corpus", type=Path, default=corpus.FOLDER, help="folder of networks that broke a property")
    asked = parser.parse_args(arguments)
    results = Results(asked.seed)
    if asked.results is not None and asked.results.exists():
        results = Results(**json.loads(asked.results.read_text()))
        if results.seed != asked.seed:
            parser.error(f"{asked.results} is of seed {results.seed}; give that, or another file")
    started, before, begun = time.monotonic(), results.seconds, results.rounds
    fuzz = _Fuzz(results, started + asked.seconds, asked.corpus)
    while results.rounds == begun or time.monotonic() < fuzz.end:
        fuzz.round()
        results.seconds = before + time.monotonic() - started
        if asked.results is not None:
            results.write(asked.results)
    print(f"{results.networks} networks in {results.rounds} rounds, {results.refused} of them refused by rule")
    for name, count in results.kept.items():
        print(f"  {name}: kept by {count}")
    print(f"{len(results.violations)} violations")
    return 1 if results.violations else 0
