"""What all simulators share: samples in chunks that fit the caches, and the seed of what is drawn."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from coding import Concurrent, Draws
from snnconv.data.batches import Inputs
from snnconv.errors import ConfigurationError
from snnconv.graph.interpreter import Handler, laid_out
from snnconv.graph.operators.bilinear import BilinearOperator
from snnconv.graph.operators.pooling import MaximumOperator
from snnconv.simulators.crossbar_noise import CrossbarNoise, CrossbarReads
from snnconv.simulators.observers import Observer, Samples
from snnconv.spiking.base import NetworkBase
from snnconv.spiking.masked_synapses import paths_left
from snnconv.spiking.population import Population

_logger = logging.getLogger(__name__)

#: Decides which samples may stop: (decoded output, steps run) -> bool [N].
Stop = Callable[[Any, int], Tensor]


class Passed:
    """Told how many ``steps`` some samples have taken, tells ``finished`` how many more of them that makes."""

    def __init__(self, samples: int, steps: int, finished: Callable[[int], object] | None) -> None:
        self._samples, self._steps, self._finished = samples, steps, finished
        self._told = 0

    def __call__(self, steps: int) -> None:
        done = self._samples * steps // self._steps
        if self._finished is not None and done > self._told:
            self._finished(done - self._told)
            self._told = done


class Simulator(ABC):
    """Runs a network on batches of inputs; ``steps`` are the time steps that one sample takes at most.

    What is drawn for a sample depends on ``seed`` and on its position alone.
    Raises ``ConfigurationError`` for options that the network's schedule does not support.
    """

    name: ClassVar[str]
    #: Neurons of the widest population, over all samples, that are simulated together on a CPU.
    together: ClassVar[int]

    def __init__(
        self,
        network: NetworkBase,
        *,
        steps: int | None = None,
        stop: Stop | None = None,
        seed: int | None = None,
        noise: CrossbarNoise | None = None,
    ) -> None:
        self.network = network
        schedule = network.plan.schedule
        if network.timing is None:
            assert isinstance(schedule, Concurrent)
            self.steps = (schedule if steps is None else Concurrent(steps)).steps
        else:
            if steps is not None:
                raise ConfigurationError(
                    f"steps={steps} is not supported under Pipeline, where codes set the steps of their windows: "
                    "convert with other codes, or with schedule=Concurrent(steps)"
                )
            if stop is not None:
                raise ConfigurationError("early stopping needs an output after every step: schedule=Concurrent(steps)")
            self.steps = network.timing.latency
        self.stop = stop
        if stop is not None and network.batch_axis is None:
            raise ConfigurationError("early stopping needs a network with a batch axis")
        if seed is not None and not isinstance(seed, int):
            raise ConfigurationError(f"seed must be an integer, got {seed!r}")
        # Without a seed torch's own generator gives one, so that torch.manual_seed fixes spikes too.
        drawing = network.plan.input.spiking or noise is not None
        self.seed = int(torch.randint(2**62, ())) if seed is None and drawing else seed or 0
        #: What reads of crossbars add to currents, if they are noisy.
        self.reads = None if noise is None else CrossbarReads(network, noise)

    def run(
        self,
        inputs: Inputs,
        observers: Sequence[Observer],
        finished: Callable[[int], object] | None = None,
        before: int = 0,
    ) -> tuple[Any, Tensor]:
        """Decoded output of the batch and the time steps that each sample took, ``[N]``.

        What is drawn for samples goes by their position behind those ``before`` them, in other batches. ``finished`` is
        told of samples as they end: how many more, and so of those that run together as many as the steps that they
        have taken make.
        """
        samples = 1 if self.network.batch_axis is None else inputs[0].shape[0]
        for observer in observers:
            observer.begin(samples)
        size = self._chunk_size(samples)
        outputs, lengths = [], []
        with torch.no_grad():
            for start in range(0, samples, size):
                chunk = inputs if samples == 1 else tuple(tensor[start : start + size] for tensor in inputs)
                passed = Passed(min(size, samples - start), self.steps, finished)
                output, taken = self.run_chunk(chunk, start, observers, passed, before)
                outputs.append(output)
                lengths.append(taken)
                passed(self.steps)
        if len(outputs) == 1:
            return outputs[0], lengths[0]
        return tree_map(lambda *parts: torch.cat(parts), *outputs), torch.cat(lengths)

    @abstractmethod
    def run_chunk(
        self, inputs: Inputs, first: int, observers: Sequence[Observer], passed: Passed, before: int
    ) -> tuple[Any, Tensor]:
        """Output and time steps of the samples from position ``first`` of the batch on, which has some ``before`` it.

        ``passed`` hears of steps.
        """

    def _chunk_size(self, samples: int) -> int:
        if self.network.like.device.type != "cpu":
            return samples
        widest = max(population.neurons for population in self.network.populations.values())
        chunks = -(-samples * widest // self.together)
        return -(-samples // min(chunks, samples))  # of even length, so that none is too short to be worth it


class Chunk(ABC):
    """The samples from position ``first`` of a batch on, and what happens at populations and gates meanwhile.

    Samples are drawn for by their position behind those ``before`` the batch.
    """

    def __init__(
        self, simulator: Simulator, inputs: Inputs, first: int, observers: Sequence[Observer], before: int = 0
    ) -> None:
        self.network, self.steps, self.reads = simulator.network, simulator.steps, simulator.reads
        self.execution_plan, self.observers = simulator.network.execution_plan, observers
        self.inputs = tuple(laid_out(tensor) for tensor in inputs)
        count = 1 if self.network.batch_axis is None else inputs[0].shape[0]
        positions = range(before + first, before + first + count)
        self.draws = Draws(simulator.seed, positions, self.network.like.device)
        self.samples = torch.arange(first, first + count, device=inputs[0].device)
        self.of_membranes = [observer for observer in observers if observer.wants_membranes]
        counting = [observer for observer in observers if observer.of_windows == "sums"]
        masks = {name: self.given()[name] for name in simulator.network.graph.masks} if counting else {}
        found = paths_left(simulator.network, masks)
        #: By source, the paths that masks leave each neuron, where somebody counts.
        self.left = found.left
        for observer in counting:
            observer.masked(*found)

    @abstractmethod
    def run(self, passed: Passed | None = None) -> tuple[Any, Tensor]:
        """Decoded output of the samples and the time steps that each took; ``passed`` hears of steps as they pass."""

    @abstractmethod
    def population(self, node: str, population: Population) -> Handler:
        """What stands at the node of a population."""

    @abstractmethod
    def gate(self, node: str, operator: MaximumOperator) -> Handler:
        """What stands at a max pooling of spikes."""

    def product(self, node: str, operator: BilinearOperator) -> Handler:
        """What stands at a product of two signals: the product itself."""
        return operator.evaluate

    def tell_membranes(self, node: str, t: int, state: Any) -> None:
        """Tell observers that want it the potential of a neuron's ``state`` after step ``t``, if it has one."""
        for observer in self.of_membranes:
            if hasattr(state, "potential"):
                observer.membrane(node, t, state.potential, self.positions)

    def handlers(self) -> dict[str, Handler]:
        """What stands at every population, gate and product."""
        found = {node: self.population(node, population) for node, population in self.network.populations.items()}
        found |= {node: self.gate(node, operator) for node, operator in self.execution_plan.gates.items()}
        return found | {node: self.product(node, operator) for node, operator in self.execution_plan.products.items()}

    @property
    def positions(self) -> Samples:
        """Where in the batch the samples are; everything, for a network without a batch axis."""
        return slice(None) if self.network.batch_axis is None else self.samples

    def given(self) -> dict[str, Tensor]:
        """What the network takes of the samples, inputs and masks, by name."""
        return dict(zip(self.network.graph.taken, self.inputs, strict=True))

    def input_offsets(self) -> dict[str, Tensor]:
        """What a spiking input stands for while it is silent, by name: its lowest value."""
        if not self.network.plan.input.spiking:
            return {}
        found = zip(self.network.graph.inputs, self.inputs, self.network.input_ranges, strict=False)  # masks are last
        return {name: seen.low.expand(values.shape) for name, values, seen in found}

    def normalized_input(self, position: int) -> Tensor:
        """Input ``position`` mapped to [0, 1] by the range seen in calibration; logs where that clips it."""
        seen, values = self.network.input_ranges[position], self.inputs[position]
        leaving = seen.leaving(values)
        if leaving.share:
            _logger.warning("%s; its spikes carry it clipped to that range", leaving.text(f"input {position}"))
        return seen.normalize(values)
