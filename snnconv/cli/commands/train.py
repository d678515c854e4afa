"""train: a network of spiking neurons that learns from scratch."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from neurons import DoubleExponential
from snnconv import learning
from snnconv.cli.interruption import kept
from snnconv.cli.options import (
    CheckpointFile,
    Device,
    Json,
    Limit,
    NetworkOutput,
    Parts,
    kept_by_checkpoint,
    show,
)
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import samples_of
from snnconv.cli.sharing import shared
from snnconv.errors import ConfigurationError, InputError
from snnconv.learning.rule import RULES

ENCODERS = ("latency", "rate")
LOSSES = ("latency", "count")


def train(
    data: Annotated[
        Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', values [N, n] in 0 to 1, and 'targets'.")
    ],
    output: NetworkOutput,
    validation: Annotated[Path | None, typer.Option(help="Samples by which the best epoch is chosen.")] = None,
    hidden: Annotated[str, typer.Option(help="Neurons of the hidden layers, such as 200,100.")] = "100",
    encoder: Annotated[str, typer.Option(help=f"Input spikes: {' or '.join(ENCODERS)}.")] = "latency",
    steps: Annotated[int, typer.Option(help="Time steps of a sample.")] = 60,
    last: Annotated[int, typer.Option(help="The last step at which an input may fire.")] = 24,
    rule: Annotated[str, typer.Option(help=f"Gradients: {', '.join(RULES)}.")] = "antlr",
    loss: Annotated[str, typer.Option(help=f"Loss on first spikes or on counts: {' or '.join(LOSSES)}.")] = "latency",
    decay: Annotated[float, typer.Option(help="What a step leaves of potentials and currents.")] = 0.95,
    weight_offset: Annotated[float, typer.Option(help="Added to first weights, over the number of inputs.")] = 3.0,
    epochs: Annotated[int, typer.Option(help="How often all samples are seen.")] = 20,
    batch: Annotated[int, typer.Option(help="Samples of one step.")] = 16,
    parts: Parts = 1,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 1e-3,
    patience: Annotated[int | None, typer.Option(help="Epochs without a better one that end training.")] = None,
    checkpoint: CheckpointFile = None,
    seed: Annotated[int, typer.Option(help="Fixes first weights, order and draws.")] = 0,
    limit: Limit = None,
    device: Device = "cpu",
    json_file: Json = None,
) -> None:
    """Train a network of fully connected spiking neurons from scratch, by the gradients of its spikes, and write it.

    --limit is for --data, from which it learns; there is an output for every class in the whole of both files.
    """
    code = _encoder(encoder, steps, last)
    if loss not in LOSSES:
        raise ConfigurationError(f"--loss: unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    gradients = learning.GradientRule(rule)  # type: ignore[arg-type] # what is no rule is refused there
    sizes = _sizes(hidden)
    with shared(device) as ranks:
        everything = _samples(data, code)
        judged = None if validation is None else _samples(validation, code)
        classes = 1 + max(int(each.labels.max()) for each in (everything, judged) if each is not None)
        samples = everything if limit is None else _first(everything, limit)
        torch.manual_seed(seed)
        network = learning.LayeredNetwork(
            [samples.inputs, *sizes, classes],
            neuron=DoubleExponential(decay, decay),
            rule=gradients,
            weight_offset=weight_offset,
        ).to(ranks.device)
        with kept(lambda: kept_by_checkpoint(checkpoint)), progress_bars() as progress:
            log = learning.train(
                network,
                samples,
                epochs=epochs,
                batch=batch,
                parts=parts,
                loss=learning.LatencyLoss() if loss == "latency" else learning.CountLoss(),
                optimizer=functools.partial(torch.optim.Adam, lr=learning_rate),
                validation=judged,
                patience=patience,
                checkpoint=checkpoint,
                seed=seed,
                ranks=ranks,
                progress=progress,
            )
        spiking = learning.spiking_network(network.cpu(), samples)
        ranks.first("writing the network", lambda: spiking.save(output))
        with kept(lambda: f"{output} is written"):
            show(f"{_told(log, epochs)}\nwritten: {output}", json_file, asdict(log))


def _told(log: learning.LearningLog, epochs: int) -> str:
    resumed = [f"resumed after epoch {log.resumed} of {epochs}"] if log.resumed else []
    first, last = log.epochs[0], log.epochs[-1]
    loss = f"loss: {first.loss:.3f} in the first epoch, {last.loss:.3f} in the last"
    return "\n".join([*resumed, loss, f"decided by first spikes in the last: {last.training.by_first:.2f} %"])


def _encoder(name: str, steps: int, last: int) -> learning.Encoder:
    if name not in ENCODERS:
        raise ConfigurationError(f"--encoder: unknown encoder {name!r}; known: {', '.join(ENCODERS)}")
    return learning.LatencyEncoder(steps, last) if name == "latency" else learning.RateEncoder(steps, last=last)


def _sizes(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",") if number]
    except ValueError:
        raise ConfigurationError(f"--hidden must be integers such as 200,100, got {text!r}") from None


def _first(samples: learning.EncodedSamples, limit: int) -> learning.EncodedSamples:
    return learning.EncodedSamples(samples.values[:limit], samples.labels[:limit], samples.encoder)


def _samples(path: Path, encoder: learning.Encoder) -> learning.EncodedSamples:
    inputs, targets = samples_of(path, None)
    if targets is None:
        raise InputError(f"{path} holds no 'targets': a network learns from the class of every sample")
    if inputs.dim() != 2:
        raise InputError(
            f"{path}: inputs have shape {list(inputs.shape)}; a network of layers takes values [samples, inputs]: "
            "flatten them"
        )
    return learning.EncodedSamples(_real(inputs), targets, encoder)


def _real(inputs: Tensor) -> Tensor:
    """Real numbers in single precision, in which networks of layers are made."""
    return inputs.float() if inputs.is_floating_point() else inputs
