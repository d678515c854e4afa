"""SpikingJelly's spatio-temporal approximation (Jiang et al., ICLR 2024) of the small vision transformer.

Its recipe puts encoders of multi-level spikes of both signs behind every layer norm, GELU and attention; these
themselves, queries times keys, and weights times values stay real-valued and are computed again in every step. It takes
no batch norm and no ReLU: it is given the network from the second convolution on, and the first layers run in real
numbers in front of it.
"""

from __future__ import annotations

import contextlib
import copy
import io
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.datasets import batches
from benchmarks.peer_imports import import_peer
from benchmarks.small_vit import DEPTH, HEADS, HIDDEN, TOKENS, WIDTH, SmallViT

#: Images that are simulated at once, and those of a batch that scales are read from.
BATCH = 50
#: Share of the best thresholds that its example on ImageNet takes.
THRESHOLD_SCALE = 0.5


class Approximation(NamedTuple):
    """What came out: class scores ``[N, classes]``, seconds, and what one image takes on average.

    ``spikes`` are events of all encoders, whatever their size; ``accumulates`` those that they cause; ``real_macs`` are
    multiply-accumulates with real operands, ``real_functions`` values of norms, GELU and softmax.
    """

    scores: Tensor
    seconds: float
    spikes: float
    accumulates: float
    real_macs: float
    real_functions: float


class _BehindStem(nn.Module):
    """The network from its second convolution on."""

    def __init__(self, network: SmallViT) -> None:
        super().__init__()
        self.embed, self.position = network.stem[-1], network.position
        self.blocks, self.norm, self.head = network.blocks, network.norm, network.head

    def forward(self, features: Tensor) -> Tensor:
        tokens = self.embed(features).flatten(2).transpose(1, 2) + self.position
        scores: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return scores


class SpatioTemporalApproximation:
    """``network`` as the recipe makes it with the best documented settings, for ``steps`` time steps.

    Raises ``PeerMissing`` where SpikingJelly is not installed.
    """

    def __init__(self, network: SmallViT, calibration: Tensor, steps: int) -> None:
        ann2snn = import_peer("spikingjelly.activation_based.ann2snn")
        self._functional = import_peer("spikingjelly.activation_based.functional")
        self._steps, self._network = steps, network
        self._front = network.stem[:-1]
        with torch.no_grad():
            features = self._front(calibration)
        recipe = ann2snn.STATransformerRecipe(
            dataloader=list(batches(features, BATCH)),
            time_steps=steps,
            mode="spiking_encoder",
            threshold_mode="mse",
            threshold_scale=THRESHOLD_SCALE,
        )
        with contextlib.redirect_stderr(io.StringIO()):
            converted = ann2snn.Converter(recipe=recipe).convert(_BehindStem(copy.deepcopy(network)).eval())
        self._model: nn.Module = converted.eval()
        self._functional.set_step_mode(self._model, "m")

    def run(self, images: Tensor) -> Approximation:
        """Scores of ``images``, and the operations that an image takes."""
        scores = []
        with self._counting() as counted, torch.no_grad():
            started = time.perf_counter()
            for batch in batches(images, BATCH):
                self._functional.reset_net(self._model)
                features = self._front(batch)
                sequence = features.new_zeros(self._steps, *features.shape)
                sequence[0] = features
                scores.append(self._model(sequence).sum(0))
            seconds = time.perf_counter() - started
        macs, functions = self._real_valued()
        spikes, accumulates = (value / len(images) for value in counted)
        return Approximation(torch.cat(scores), seconds, spikes, accumulates, macs, functions)

    @contextlib.contextmanager
    def _counting(self) -> Iterator[list[float]]:
        """Spikes of all encoders, and accumulates behind them: a spike reaches every weight of its layer.

        Those behind attention reach the residual stream alone.
        """
        fan_outs = {"norm1": 3 * WIDTH, "norm2": HIDDEN, "mlp": WIDTH, "norm": 10}
        counted, hooks = [0.0, 0.0], []

        def hook(fan_out: int) -> Any:
            def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
                events = float(output.count_nonzero())
                counted[0] += events
                counted[1] += events * fan_out

            return count

        for name, module in self._model.named_modules():
            if type(module).__name__ == "_STASpikeEncoder":
                layer = name.split("_sta_encoder")[0].split(".")
                fan_out = next((fan_outs[part] for part in reversed(layer) if part in fan_outs), 1)
                hooks.append(module.register_forward_hook(hook(fan_out)))
        try:
            yield counted
        finally:
            for each in hooks:
                each.remove()

    def _real_valued(self) -> tuple[float, float]:
        """Multiply-accumulates with real operands of one image, and values of norms, GELU and softmax.

        Both convolutions see real numbers once. In every step of a block, queries meet keys, weights meet values, and
        the projection behind them sees real numbers. The head takes means of spikes.
        """
        first, embed = (layer for layer in self._network.stem if isinstance(layer, nn.Conv2d))
        pixels = 4 * TOKENS
        convolutions = pixels * first.weight.numel() + TOKENS * embed.weight.numel()
        block = 2 * TOKENS * TOKENS * WIDTH + TOKENS * WIDTH * WIDTH
        functions = TOKENS * (2 * WIDTH + HIDDEN) + HEADS * TOKENS * TOKENS
        head = self._network.head.weight.numel()
        return (
            float(convolutions + self._steps * (DEPTH * block + head)),
            float(self._steps * (DEPTH * functions + TOKENS * WIDTH)),
        )
