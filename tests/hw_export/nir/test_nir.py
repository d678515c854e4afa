"""NIR graphs: what is written, what is refused, and what is read of others."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snnconv
from coding import Burst, Concurrent, OneSpike, Pipeline, Rate
from hw_export.explicit.rate import strict_threshold
from hw_export.integers.quantization import quantize
from hw_export.integers.simulation import integer_simulation
from hw_export.nir import export, load
from snnconv.errors import ConfigurationError, InputError, StorageError
from tests.hw_export.nir.nir_networks import MODELS, STEPS, assert_same_spikes, clock, converted
from tests.support.networks import Between, GraphConvolution, Named, TwoInputs, draw, make, network_of, prepared


def kinds(graph: Any) -> list[str]:
    return [type(node).__name__ for node in graph.nodes.values()]


def test_a_convolutional_network_keeps_its_layers() -> None:
    graph = export(converted("digits")[0])
    layers = ["Input", *["Conv2d", "IF"] * 3, "Affine", "Flatten", "IF", "Affine", "Output"]
    assert kinds(graph) == layers
    assert [tuple(node.output_type["output"]) for node in graph.nodes.values() if isinstance(node, nir.IF)] == [
        (4, 8, 8),
        (6, 4, 4),
        (6, 2, 2),
        (10,),
    ]


def test_a_shortcut_is_a_second_edge_and_its_bias_is_added_once() -> None:
    network, _ = converted("skip", exact=False)
    graph = export(network)
    before = [source for source, target in graph.edges if target == "relu_2"]
    assert sorted(before) == ["relu_1_to_relu_2", "relu_to_relu_2"]
    assert sum(bool(graph.nodes[name].bias.any()) for name in before) == 1


def test_kernels_are_square_and_without_groups() -> None:
    graph = export(converted("odd")[0])
    shapes = {
        (node.metadata["source"], node.metadata["target"]): node.weight.shape
        for node in graph.nodes.values()
        if isinstance(node, nir.Conv2d)
    }
    assert shapes == {("x", "relu"): (4, 2, 3, 3), ("relu", "relu_1"): (4, 4, 3, 3)}
    # A width of 4 over 6 columns leaves no square kernel of the same size; uneven borders leave no bias a channel.
    assert kinds(graph).count("Affine") == 3


def test_metadata_survives_the_file(tmp_path: Path) -> None:
    network, _ = converted("digits", "subtract")
    export(network, tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    assert graph.metadata == {
        "format": "snnconv",
        "version": 2,
        "code": "rate",
        "steps": STEPS,
        "dt": 1.0,
        "profile": "NIR",
    }
    for population in network.populations.values():
        (said,) = (n.metadata for n in graph.nodes.values() if n.metadata.get("name") == population.name)
        assert (said["code"], said["reset"], said["subtracted"]) == ("rate", "subtract", 1.0)
        assert said["initial_potential"] == 0.5
        np.testing.assert_array_equal(said["scale"].reshape(-1), population.scale)
        assert tuple(said["shape"]) == population.shape
    assert graph.nodes["output"].metadata["decoded"] == "mean over steps"


def test_shifts_are_part_of_the_current() -> None:
    network, x = copy.deepcopy(converted("skip", "subtract"))
    before = clock(network, x)[1]
    for population in network.populations.values():
        population.shift.fill_(0.125)
    rasters = clock(network, x)[1]
    assert any(not torch.equal(rasters[name], before[name]) for name in rasters)
    assert_same_spikes(load(export(network)).run(x)[1], rasters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_thresholds_are_exceeded_where_the_clock_fires(dtype: torch.dtype) -> None:
    network, _ = converted("deep", dtype=dtype)
    threshold = export(network).nodes["layers_1"].v_threshold
    assert threshold.dtype == str(dtype).removeprefix("torch.") and np.unique(threshold).size == 1
    potential = torch.full((3,), float(threshold[0]), dtype=dtype)
    potential[1] = torch.nextafter(potential[1], torch.ones((), dtype=dtype))
    potential[2] = 1.0
    assert Rate(4).fire(potential, 0, None)[0].tolist() == [0.0, 1.0, 1.0]
    assert float(threshold[0]) == strict_threshold(dtype)


@pytest.mark.parametrize("profile", ["sinabs", "spikingjelly"])
def test_readers_that_fire_at_the_threshold_get_another_and_we_the_same(profile: Any) -> None:
    network, _ = converted("deep")
    node = export(network, profile=profile).nodes["layers_1"]
    strict = torch.tensor(strict_threshold(torch.float32))
    assert float(node.v_threshold[0]) == float(torch.nextafter(strict, torch.ones(()))) == 1.0 - 2.0**-20
    part = load(export(network, profile=profile)).program.part("layers_1")
    assert torch.equal(part.get_buffer("threshold"), strict.expand(16))


def test_a_warning_says_what_only_we_read(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        export(converted("deep", "standard")[0])
        assert not caplog.records
        export(converted("deep", "zero")[0])
        assert "initial potentials (layers.1, layers.3" in caplog.text and "subtraction" not in caplog.text
        export(converted("deep", "subtract")[0])
        assert "reset by subtraction (layers.1, layers.3" in caplog.text


def test_other_networks_are_refused() -> None:
    model, x = make("perceptron")
    cases = [
        (network_of("leaky relu"), "activation: NIR cannot represent SignedIntegrateFire neurons"),
        (network_of("perceptron", neuron="corrective"), "relu: NIR cannot represent CorrectiveIntegrateFire neurons"),
        (network_of("max pooling"), "max pooling max_pool2d .*use average pooling"),
        (
            snnconv.convert(model, x, coding=Rate(8), schedule=Pipeline()),
            "relu: NIR cannot represent rate code in a pipeline",
        ),
        (snnconv.convert(model, x), "relu: NIR cannot represent few-spike code in a pipeline"),
        (
            snnconv.convert(prepared(lambda: Between(nn.SiLU())), x, coding=OneSpike(8)),
            "activation: NIR cannot represent silu.* export to Lava",
        ),
        (
            snnconv.convert(model, x, coding=Burst(8), schedule=Concurrent(8)),
            "relu: NIR cannot represent IntegrateFire .* burst code",
        ),
        (snnconv.convert(model, x, coding=Rate(8), input="poisson"), "an input that spikes"),
        (integer_simulation(quantize(converted("deep", "subtract")[0], input_bits=8)), "rounded to integers"),
    ]
    softmax = nn.Sequential(model, nn.Softmax(1))
    cases.append((snnconv.convert(softmax, x, coding=Rate(8)), "without softmax"))
    named = prepared(Named)
    cases.append((snnconv.convert(named, draw(40, 6), coding=Rate(8)), "more than one affine map"))
    two = prepared(TwoInputs)
    cases.append((snnconv.convert(two, [((draw(40, 6), draw(40, 3)), None)], coding=Rate(8)), "2 inputs"))
    one = prepared(GraphConvolution)
    cases.append((snnconv.convert(one, draw(6, 5), coding=Rate(8)), "one sample per call"))
    for network, reason in cases:
        with pytest.raises(ConfigurationError, match=reason):
            export(network)
    with pytest.raises(ConfigurationError, match="norse, sinabs, snntorch, spikingjelly, got 'LIF'"):
        export(converted("deep")[0], profile="LIF")  # type: ignore[arg-type]


def test_matrices_are_written_piece_by_piece_and_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = converted("odd", "subtract")
    wanted = export(network)
    monkeypatch.setattr("hw_export.explicit.rate._AT_ONCE", 1)
    found = export(network)
    for name, node in wanted.nodes.items():
        if isinstance(node, nir.Affine):
            np.testing.assert_array_equal(found.nodes[name].weight, node.weight)
    monkeypatch.setattr("hw_export.explicit.rate.MATRIX_LIMIT", 100)
    with pytest.raises(ConfigurationError, match=r"from relu_1 to relu_2 .* 90 x 144 neurons, which is too large"):
        export(network)


def test_a_refused_network_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        export(network_of("max pooling"), tmp_path / "a.nir")
    with pytest.raises(StorageError, match="cannot be written"):
        export(converted("deep")[0], tmp_path / "missing" / "a.nir")
    assert not list(tmp_path.iterdir())


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.nir", "b.nir"):
        export(converted("skip")[0], tmp_path / name)
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


def neurons(*shape: int, threshold: float = 1.0, **others: Any) -> nir.IF:
    return nir.IF(np.ones(shape), np.full(shape, threshold), **others)


def test_graphs_of_others_are_read() -> None:
    weight = draw(4, 2, 3, 3).numpy()
    nodes = [
        nir.Input(np.array([2, 6, 6])),
        nir.Conv2d((6, 6), weight, 1, "same", 1, 1, np.zeros(4)),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([1, 1])),
        nir.IF(np.full((4, 4, 4), 0.5), np.full((4, 4, 4), 2.0), np.full((4, 4, 4), -0.25)),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten(np.array([4, 2, 2]), start_dim=-3),
        nir.Linear(draw(3, 16, seed=1).numpy()),
        nir.Output(np.array([3])),
    ]
    x = draw(2, 2, 6, 6)
    current = F.conv2d(x, torch.from_numpy(weight), padding=1)
    current = 0.5 * F.avg_pool2d(current, 2, padding=1, divisor_override=1)
    potential, spikes = torch.zeros_like(current), []
    for _ in range(12):
        potential = potential + current
        fired = potential > 2.0
        spikes.append(fired.double())
        potential = torch.where(fired, -0.25, potential)
    output, found = load(nir.NIRGraph.from_list(nodes)).run(x, 12)
    (raster,) = found.values()
    assert torch.equal(raster, torch.stack(spikes)) and raster.any()
    wanted = F.avg_pool2d(torch.stack(spikes).mean(0), 2).flatten(1) @ torch.from_numpy(nodes[6].weight).T
    torch.testing.assert_close(output, wanted)


def test_steps_have_to_be_known() -> None:
    module = load(nir.NIRGraph.from_list(nir.Input(np.array([3])), neurons(3), nir.Output(np.array([3]))))
    x = torch.full((1, 3), 0.4, dtype=torch.float64)
    with pytest.raises(ConfigurationError, match="give steps"):
        module.run(x)
    assert module.run(x, 6)[1]["if"].sum(0).tolist() == [[2.0] * 3]


def test_other_input_is_refused() -> None:
    network, x = converted("deep")
    module = load(export(network))
    with pytest.raises(InputError, match="shape"):
        module(x[:, :-1])
    with pytest.raises(InputError, match="float64"):
        module(x.double())


def test_state_is_explicit() -> None:
    network, x = converted("odd", "subtract")
    module = load(export(network))
    rasters = clock(network, x)[1]
    state, other = None, None
    for t in range(6):
        _, state = module(x, state)
        _, other = module(-x, other)  # another run in between changes nothing
        for name, raster in rasters.items():
            assert torch.equal(state.spikes[name], raster[t])


@pytest.mark.parametrize("name", MODELS)
def test_nir_reads_what_was_written(name: str, tmp_path: Path) -> None:
    graph = export(converted(name)[0], tmp_path / "a.nir")
    read = nir.read(tmp_path / "a.nir")
    assert read.nodes.keys() == graph.nodes.keys() and sorted(read.edges) == sorted(graph.edges)
    for key, node in graph.nodes.items():
        for field in ("weight", "bias", "v_threshold", "v_reset", "r"):
            if hasattr(node, field):
                np.testing.assert_array_equal(getattr(read.nodes[key], field), getattr(node, field))


def test_nothing_optional_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, hw_export.nir, hw_export.interop; "
        "print(*{'h5py', 'nir', 'nirtorch', 'norse', 'sinabs', 'snntorch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ""


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ConfigurationError, match=r"nir cannot be imported.*snnconv\[nir\]"):
        export(converted("deep")[0])
