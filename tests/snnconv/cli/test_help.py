"""The help of the program and of its commands, and what shells ask of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from snnconv.cli.app import add_commands_of_others, app

add_commands_of_others()
LISTED: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS: dict[str, Any] = {name: each.loaded() for name, each in LISTED.items()}
ROOT = Path(__file__).parents[3]


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, list(arguments), prog_name="snnconv").output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_ends_with_examples_that_it_understands(name: str) -> None:
    command = COMMANDS[name]
    head, *examples = command.epilog.split("\n\n")
    assert head == "Examples:" and examples
    for example in examples:
        program, named, *arguments = shlex.split(example.replace("\\[", "["))
        assert (program, named) == ("snnconv", name)
        found, _, _ = command.make_parser(typer.Context(command)).parse_args(list(arguments))
        required = {each.name for each in command.params if each.required}
        assert required <= found.keys() or "config" in found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_under_a_head_and_may_be_quiet(name: str) -> None:
    options = {spelling: each for each in COMMANDS[name].params for spelling in each.opts}
    assert COMMANDS[name].rich_help_panel and {"--quiet", "-q"} <= options.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_one_help_in_the_list_and_alone(name: str) -> None:
    assert COMMANDS[name].help and LISTED[name].help == COMMANDS[name].help


def test_options_of_one_name_are_one_option() -> None:
    """Those that mean the same everywhere are declared once: they have one help, one default and one head."""
    for spelling in ("--quiet", "--json", "--limit", "--workers", "--device", "--trust"):
        found = [each for command in COMMANDS.values() for each in command.params if spelling in each.opts]
        assert len(found) > 1 and len({(each.help, each.default, each.rich_help_panel) for each in found}) == 1


def test_no_help_is_lost_as_markup() -> None:
    """Where a help has a bracket that is not escaped, it is taken for a style, and nothing of it is shown."""
    for name, command in COMMANDS.items():
        for each in command.params:
            told = each.help or ""
            assert Text.from_markup(told).plain == told.replace("\\[", "["), f"{name} {each.name}"


def test_the_help_lists_commands_by_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told = asked(monkeypatch, "--help", COLUMNS="120")
    heads = ("Start", "Convert", "Measure and show", "Train", "Detectors", "Machines")
    places = [told.index(f"─ {head} ─") for head in heads]
    assert places == sorted(places)
    assert (
        told.index("preflight") < told.index("─ Convert ─") < told.index("sweep") < told.index("─ Measure and show ─")
    )


def test_options_that_belong_together_stand_under_one_head(monkeypatch: pytest.MonkeyPatch) -> None:
    told = asked(monkeypatch, "convert", "--help", COLUMNS="120")
    heads = ("Code", "Search for codes", "Parameters of the code", "Conversion", "How it runs")
    assert all(f"─ {head} ─" in told for head in heads)
    assert told.rstrip().splitlines()[-1].strip().startswith("snnconv convert package.module:function")


COMPLETED = {
    "bash": ({"COMP_WORDS": "snnconv ev", "COMP_CWORD": "1"}, "evaluate\nevaluate-detector"),
    "zsh": ({"_TYPER_COMPLETE_ARGS": "snnconv ver"}, '"verify":'),
    "fish": ({"_TYPER_COMPLETE_ARGS": "snnconv ver", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "verify\t"),
}


@pytest.mark.parametrize("shell", COMPLETED)
def test_shells_complete_commands(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment, wanted = COMPLETED[shell]
    assert wanted in asked(monkeypatch, _SNNCONV_COMPLETE=f"complete_{shell}", **environment)


def test_shells_complete_options(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"COMP_WORDS": "snnconv evaluate --ref", "COMP_CWORD": "2"}
    assert asked(monkeypatch, _SNNCONV_COMPLETE="complete_bash", **environment) == "--reference\n"


def test_neither_lists_of_commands_nor_the_version_load_torch() -> None:
    """In a process of its own: whoever presses Tab waits for what is loaded."""
    program = "\n".join(
        (
            "import atexit, sys",
            "from snnconv.cli import main",
            "atexit.register(lambda: print('loaded:', 'torch' in sys.modules, file=sys.stderr))",
            "sys.argv[0] = 'snnconv'",
            "main()",
        )
    )
    completing = {"_SNNCONV_COMPLETE": "complete_bash", "COMP_WORDS": "snnconv ver", "COMP_CWORD": "1"}
    cases: dict[str, tuple[list[str], dict[str, str]]] = {
        "verify": ([], completing),
        "train-detector": (["--help"], {}),
        "snnconv 0": (["--version"], {}),
    }
    for wanted, (arguments, environment) in cases.items():
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert wanted in done.stdout and done.stderr == "loaded: False\n"


@pytest.mark.parametrize("shell", COMPLETED)
def test_the_script_of_a_shell_asks_the_program(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = asked(monkeypatch, "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"_SNNCONV_COMPLETE=complete_{shell}" in told
