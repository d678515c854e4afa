"""Reports of small networks of every kind; each is made once a process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch

import snnconv
from coding import Burst, Concurrent, FewSpike, Rate
from snnconv import Report, SpikingNetwork
from snnconv.detection import Detector, draw_shapes, load_shapes_detector
from snnconv.learning import spiking_network
from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.metrics.verification_result import verification_of
from snnconv.reporting.contents import Contents
from snnconv.reporting.measuring import CloseLook
from snnconv.reporting.page import page
from snnconv.reporting.summary import sentences
from snnconv.sweeps.results import Measured
from snnconv.sweeps.table import Failed, Sweep
from tests.snnconv.learning.training_runs import small_samples, trained
from tests.support.conversion import converted
from tests.support.networks import GraphConvolution, draw, make, network_of, prepared, zoo
from tests.support.transformers import transformer

#: Names that would break a page which does not escape them.
HOSTILE = '<script>alert("1 & 2")</script>'


def renamed(network: SpikingNetwork, name: str) -> SpikingNetwork:
    """``network`` whose first population has another ``name``."""
    first = next(iter(network.populations))
    populations = {
        node: replace(each, name=name) if node == first else each for node, each in network.populations.items()
    }
    return network.with_(populations=populations)


def swept(label: str, code: str, steps: int, accuracy: float, spikes: float) -> Measured:
    """A row of a sweep, measured by nobody."""
    figures: dict[str, Any] = {"accuracy": accuracy, "reference_accuracy": 99.0, "loss": 99.0 - accuracy}
    figures |= {"samples": 40, "steps": steps, "latency": steps, "standard_error": 1.0, "agreement": accuracy}
    figures |= {"neurons": 32, "spikes_per_neuron": spikes, "synops": 40 * spikes, "analog_macs": 0}
    figures |= {
        "reference_macs": 400,
        "e2": 1e-9 * steps,
        "e2_reference": 2e-9,
        "e3": 4e-9 * steps,
        "e3_reference": 4e-9,
    }
    return Measured(label, code, **figures)


def stream() -> Report:
    """Rate code, with targets, names of classes, a sweep, and names that want to be escaped."""
    model, x = make("deep")
    with torch.no_grad():
        data = (x, model(x).argmax(1))
    rows = [("rate 4", "rate", 4, 80.0, 1.5), ("rate 8", "rate", 8, 95.0, 2.5), ("phase 8", "phase", 8, 97.5, 2.0)]
    rows += [(HOSTILE, "rate", 16, 98.0, 4.0), ("never fires", "one-spike", 4, 10.0, 0.0)]
    sweep = Sweep(tuple(swept(*row) for row in rows), (Failed("none", f"no code is called {HOSTILE}"),))
    names = (HOSTILE, "dog's", "<i>", "ü")
    return snnconv.report(
        renamed(network_of("deep"), HOSTILE), data, reference=model, names=names, sweep=sweep, title=f"Deep {HOSTILE}"
    )


def weighted() -> Report:
    """Burst code in a stream, whose spikes carry different amounts, with negative ones."""
    _, x = make("leaky relu")
    network = zoo("leaky relu", coding=Burst(16), schedule=Concurrent(16))
    return snnconv.report(network, x, title="Leaky ReLU")


def pipeline() -> Report:
    """Few-spike code in windows, on the samples that were held out."""
    return snnconv.report(zoo("residual", coding=FewSpike(6)), title="Residual")


def from_file() -> Report:
    """A network without any samples."""
    return snnconv.report(zoo("perceptron", coding=FewSpike(4)).with_(held_out=()), title="Perceptron")


def one_sample() -> Report:
    """One sample, without targets."""
    _, x = make("deep")
    return snnconv.report(network_of("deep"), x[:1], samples=5)


def silent() -> Report:
    """A network in which no neuron fires."""
    network = zoo("perceptron", coding=Rate(4))
    (node, population), *_ = network.populations.items()
    network = network.with_(populations={node: replace(population, scale=population.scale * 1e6)})
    _, x = make("perceptron")
    return snnconv.report(network, x[:4])


def learned() -> Report:
    """A network that learned through its own spikes."""
    samples = small_samples()
    network = spiking_network(trained(samples)[0], samples)
    return snnconv.report(network, (samples.values, samples.labels), title="Learned")


def attention() -> Report:
    """A transformer."""
    _, x = transformer("attention")
    return snnconv.report(converted("attention", lambda: transformer("attention"), coding=FewSpike(8)), x[:6])


def graph() -> Report:
    """A network that takes one sample per call."""
    model, x = prepared(GraphConvolution), draw(6, 5)
    return snnconv.report(snnconv.convert(model, [x], coding=FewSpike(6)), (x, torch.arange(6) % 3), title="Graph")


def values() -> Report:
    """Targets that are values."""
    model, x = make("deep")
    with torch.no_grad():
        return snnconv.report(network_of("deep"), (x, model(x) + 0.1), reference=model)


@functools.cache
def detectors() -> tuple[Detector, SpikingNetwork, list[Any]]:
    """The detector of shapes, what it became, and pictures."""
    from PIL import Image

    original = load_shapes_detector()
    images, _ = draw_shapes(10, 2)
    network = snnconv.convert(original.network, images[:4], coding=FewSpike(5))
    pictures = [Image.fromarray((each * 255).byte().permute(1, 2, 0).numpy()) for each in images[4:7]]
    return original, network, pictures


def detector() -> Report:
    """A detector, on pictures."""
    original, network, pictures = detectors()
    return snnconv.report(network, detector=original, pictures=pictures, title="Shapes")


def exported() -> Report:
    """With what an export said."""
    export = {
        "ram": 1200,
        "flash": 34_000,
        "steps": 8,
        "cores": {"fewest": 2, "most": 3, "fit": "fits"},
        "placements": [{"name": HOSTILE, "neurons": 12, "built_in": True, "where": "host", "threshold": None}],
        "notes": [f"weights were {HOSTILE}"],
        "fidelity": {"integers": {"error": 0.01, "agreement": None, "samples": 40}},
    }
    return snnconv.report(zoo("perceptron", coding=FewSpike(4)).with_(held_out=()), export=export)


def huge(populations: int = 10_000) -> Report:
    """Very many populations, of which only some can be listed."""
    network = network_of("deep")
    some = next(iter(network.populations.values()))
    names = [f"layers.{number}.a_rather_long_name_of_a_module" for number in range(populations)]
    stand_in: Any = SimpleNamespace(
        populations={name: replace(some, name=name) for name in names},
        plan=network.plan,
        timing=None,
        learned=False,
        batch_axis=0,
    )
    sums = {
        name: ErrorSums(1.0, 100.0, 0.1, 100.0, total=10, own2=float(number % 97), received2=1000.0)
        for number, name in enumerate(names)
    }
    found = verification_of(24, VerificationSums(8, sums, ErrorSums(1.0, 100.0)), False, frozenset())
    contents = Contents("Huge", stand_in, look=CloseLook(8, found, (), (), ()))
    return Report(sentences(contents), page(contents))


#: Reports by what they show, each with the parts that it has.
KINDS: dict[str, tuple[Callable[[], Report], set[str]]] = {
    "stream": (stream, {"course", "populations", "spikes", "energy", "levels", "sweep"}),
    "weighted": (weighted, {"course", "populations", "spikes", "energy"}),
    "pipeline": (pipeline, {"populations", "spikes", "levels"}),
    "from file": (from_file, {"populations", "levels"}),
    "one sample": (one_sample, {"course", "populations", "spikes", "energy", "levels"}),
    "silent": (silent, {"course", "populations", "spikes", "energy", "levels"}),
    "learned": (learned, {"course", "populations", "spikes", "energy", "levels"}),
    "attention": (attention, {"populations", "spikes", "attention", "energy", "levels"}),
    "graph": (graph, {"populations", "spikes", "energy", "levels"}),
    "values": (values, {"course", "populations", "spikes", "energy", "levels"}),
    "detector": (detector, {"populations", "spikes", "detections", "energy", "levels"}),
    "exported": (exported, {"populations", "levels", "export"}),
    "huge": (huge, {"populations", "levels"}),
}


@functools.cache
def report_of(kind: str) -> Report:
    """The report of this kind."""
    return KINDS[kind][0]()
