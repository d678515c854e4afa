"""The evaluation of one shard of a data set, in any process; what was counted on all of them is the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from snnconv.capture.binding import check_call
from snnconv.data.batches import Inputs
from snnconv.data.shards import Shard
from snnconv.graph.graph import refs_in
from snnconv.metrics.calibrated_range import CalibratedRange, LeftRanges
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.costs import Costs
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.metrics.judge import Judgement, TargetJudge
from snnconv.metrics.judge_choice import judge_for
from snnconv.metrics.totals import Totals, totals_of
from snnconv.network import SpikingNetwork
from snnconv.simulators import CrossbarNoise, Stop, simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.storage.carried import Carried


@dataclass(frozen=True)
class EvaluationTally:
    """What was counted on some shards, and how far they left the ranges of calibration."""

    totals: Totals
    counts: Judgement
    left: LeftRanges

    def merge(self, other: EvaluationTally) -> EvaluationTally:
        """Both together. Raises ``InputError`` where they do not belong to one evaluation."""
        return EvaluationTally(
            self.totals.merge(other.totals), self.counts.merge(other.counts), self.left.merge(other.left)
        )

    def evaluation(self) -> Evaluation:
        """The evaluation that follows."""
        return Evaluation.of(self.totals, self.counts)


@dataclass(frozen=True)
class EvaluationTask:
    """What ``evaluate`` does with a shard, by its arguments: see there. What is drawn for a sample goes by its place.

    ``judge`` is settled with the first shard, so that all are judged alike.
    """

    network: SpikingNetwork
    reference: nn.Module | None
    simulator: str
    steps: int | None
    stop: Stop | None
    seed: int
    noise: CrossbarNoise | None
    rate_reference: Costs | None
    judge: TargetJudge | None
    ignore_index: int

    def settled(self, first: Shard) -> EvaluationTask:
        """The task with the judge that fits the ``first`` shard, if none was given."""
        if self.judge is not None:
            return self
        if self.network.learned:
            return replace(self, judge=ClassJudge())
        inputs = self.network.check(first.inputs, "data")
        exact = self._exact(inputs, first.inputs)
        return replace(self, judge=judge_for(self.network.complete_graph(), exact, first.targets))

    def __call__(self, shard: Shard, finished: Callable[[int], object] | None = None) -> EvaluationTally:
        """What is counted on ``shard``; ``finished`` is told of samples as they end."""
        assert self.judge is not None
        network, inputs = self.network, self.network.check(shard.inputs, "data")
        calibrated = CalibratedRange(network)
        calibrated.see(inputs)
        counter = SpikeCounter(network, by_step=network.timing is None)
        tally = self.judge.tally(network.decide, self.ignore_index)
        tally.batch(self._exact(inputs, shard.inputs), shard.targets)
        options: dict[str, Any] = {
            "steps": self.steps,
            "stop": self.stop,
            "seed": self.seed,
            "noise": self.noise,
        }
        chosen = simulator_for(network, self.simulator, **options)
        _, taken = chosen.run(inputs, [counter, tally, calibrated], finished, shard.before)
        rate = self.rate_reference
        rate_run = None if rate is None else (rate.activity.spikes, rate.activity.latency)
        totals = totals_of(network, counter, chosen.steps, int(taken.sum()), rate_run, self.stop is not None)
        compared = self.reference is not None or not network.learned
        return EvaluationTally(totals, tally.counted(chosen.steps, compared), calibrated.left)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "network": Carried(self.network)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def _exact(self, inputs: Inputs, given: Inputs) -> Any:
        """What the original makes of ``given``, which is ``inputs`` to the graph; scores of 0 where there is none."""
        network = self.network
        if self.reference is None:
            if network.learned:
                (population,) = [network.populations[name] for name in refs_in(network.graph.output)]
                return network.like.new_zeros(len(inputs[0]), *population.shape)
            return network.original(inputs)
        check_call(self.reference, given, "reference")
        with torch.no_grad():
            return self.reference(*given)
