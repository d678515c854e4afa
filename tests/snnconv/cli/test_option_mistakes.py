"""Options of a conversion with values, and beside others, that cannot be: an exit code, and one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import failure

CONVERT = ("--calibration", "samples.npz", "-o", "n.snn")
PROGRAM = ("convert", "model.pt2", "--trust")
SWEEP = ("sweep", "model.pt2", "--trust", "--calibration", "samples.npz", "--data", "samples.npz", "-o", "swept")

ERRORS: dict[str, tuple[tuple[str, ...], str]] = {
    "shape in words": (("preflight", "model.pt2", "--trust", "--shape", "six"), "--shape must be positive numbers"),
    "shape of zero": (("preflight", "model.pt2", "--trust", "--shape", "3,0"), "--shape must be positive numbers"),
    "unknown code": ((*PROGRAM, *CONVERT, "--coding", "morse"), "unknown code 'morse'"),
    "spikes of ttfs": (
        (*PROGRAM, *CONVERT, "--coding", "ttfs", "--spikes", "2"),
        "--spikes: ttfs code has no such parameter; it has steps, tau, delay, rounding",
    ),
    "base of rate": (
        (*PROGRAM, *CONVERT, "--coding", "rate", "--base", "2"),
        "--base: rate code has no such parameter; it has steps",
    ),
    "steps of a search": (
        (*PROGRAM, *CONVERT, "--coding", "auto", "--steps", "4", "--base", "2"),
        "--coding auto chooses base, steps itself: leave them out",
    ),
    "bound without a search": (
        (*PROGRAM, *CONVERT, "--max-loss", "2"),
        "--max-loss 2.0 is for --coding auto: leave it out",
    ),
    "a stream and a pipeline": (
        (*PROGRAM, *CONVERT, "--stride", "4", "--concurrent", "8"),
        "--stride belongs to a pipeline and --concurrent to a stream",
    ),
    "parameter of an input": (
        (*PROGRAM, *CONVERT, "--input", "phase:tau=5"),
        "'tau=5' is no parameter of phase code with its value; it has steps, base, threshold",
    ),
    "parameter of an input in words": (
        (*PROGRAM, *CONVERT, "--input", "phase:steps=many"),
        "'many' is no number",
    ),
    "potential": (
        (*PROGRAM, *CONVERT, "--initial-potential", "2"),
        "initial_potential must lie in [0, 1), got 2.0",
    ),
    "parameter of no code of a sweep": (
        (*SWEEP, "--codes", "rate,phase", "--tau", "5"),
        "--tau: no code of rate, phase has it",
    ),
    "base in words": ((*PROGRAM, *CONVERT, "--base", "two"), "--base must be a number or fit"),
    "base too small": (
        (*PROGRAM, *CONVERT, "--base", "0.5"),
        "base must be 'fit' or a number above 1",
    ),
    "stride": (
        (*PROGRAM, *CONVERT, "--stride", "0"),
        "stride must be None or an integer from 1",
    ),
    "stride of burst": (
        (*PROGRAM, *CONVERT, "--coding", "burst", "--stride", "2"),
        "no window form",
    ),
    "input to be fitted": (
        (*PROGRAM, *CONVERT, "--input", "one-spike"),
        "nothing is fitted to an input",
    ),
    "random input of windows": (
        (*PROGRAM, *CONVERT, "--input", "poisson"),
        "poisson input is a stream",
    ),
    "unknown input": ((*PROGRAM, *CONVERT, "--input", "smell"), "unknown input code 'smell'"),
    "unknown neuron": (
        (*PROGRAM, *CONVERT, "--neuron", "brain"),
        "neuron 'brain' is unknown; give one of integrate-fire, corrective, or",
    ),
    "percentile": (
        (*PROGRAM, *CONVERT, "--percentile", "most"),
        "--percentile must be a number",
    ),
    "steps": ((*PROGRAM, *CONVERT, "--steps", "0"), "steps must be an integer"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_option_that_cannot_be_ends_with_two_and_one_clear_line(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, message = ERRORS[kind]
    written = failure(capsys, monkeypatch, *arguments)
    assert written.startswith("error: ") and message in written
    assert not (folder / "n.snn").exists() and not (folder / "swept").exists()
