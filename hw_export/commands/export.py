"""``export``: write a network for a machine, or measure what fewer bits lose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import snnconv
from hw_export import c, lava, netx
from hw_export.c.identifiers import check_name
from snnconv.cli.given import refuse
from snnconv.cli.interruption import kept
from snnconv.cli.options import Json, Limit, drawable, show, writable
from snnconv.cli.progress import progress_bars
from snnconv.cli.samples import samples_of
from snnconv.data.file_kinds import BUNDLE, kind_of
from snnconv.errors import ConfigurationError
from snnconv.storage.atomic import check_new_folder

_EXPORTS: dict[str, Callable[..., Any]] = {"lava": lava.export, "c": c.export, "netx": netx.export}
#: What says, by target, that the output can be written, before the work is done.
_CHECKS: dict[str, Callable[[Path], object]] = {"lava": writable, "c": check_new_folder, "netx": writable}


def export(
    context: typer.Context,
    network: Annotated[Path, typer.Argument(help="A file that convert wrote; for C also a bundle of Lava.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, such as network.npz; for C a new folder.")
    ],
    target: Annotated[str, typer.Option(help="Target: lava, netx, or c, a program in C99.")] = "lava",
    per: Annotated[
        str | None, typer.Option(help="Step of integer weights: one per channel (default), or population.")
    ] = None,
    input_bits: Annotated[
        int | None, typer.Option(help="Bits of an integer input, its sign included; by default chosen by measure.")
    ] = None,
    weight_bits: Annotated[
        str | None,
        typer.Option(
            help="Bits of integer weights, 2 to 8, by default 8: a number, and others by the name of the population or "
            "output that receives them, such as 4,features.0=8."
        ),
    ] = None,
    reset: Annotated[str, typer.Option(help="zero: use the neurons built into Lava and netx, for rate code.")] = "",
    name: Annotated[
        str | None, typer.Option(help="What the program in C and its files are called; by default network.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Samples on which to measure the loss of export.")] = None,
    allow_loss: Annotated[
        float, typer.Option(help="Percent of the decisions that integers may lose; more is refused.")
    ] = 1.0,
    sweep_bits: Annotated[
        bool,
        typer.Option(
            "--sweep-bits", help="Instead of an export, measure fewer bits on --data and draw that to --output (.png)."
        ),
    ] = False,
    limit: Limit = None,
    json_file: Json = None,
) -> None:
    """Write a converted network for a neuromorphic machine or as a program in C, and say what became of it."""
    if data is None:
        refuse(context, "counts samples of --data: give that too, or leave it out", "limit")
        refuse(context, "is measured on --data: give that too, or leave it out", "allow_loss")
    if target == "c" and kind_of(network) is BUNDLE:
        refuse(context, "a bundle is in integers already, and loses nothing: leave it out", "allow_loss")
    if sweep_bits:
        if target != "lava" or reset or name is not None or weight_bits is not None:
            raise ConfigurationError(
                "--target, --reset, --name and --weight-bits are not for --sweep-bits, which exports nothing and tries "
                "all bits"
            )
        _sweep_bits(network, output, per, input_bits, data, limit, allow_loss, json_file)
        return
    if target not in _EXPORTS:
        hint = "; NIR graphs are written in Python, by hw_export.nir.export" if target == "nir" else ""
        raise ConfigurationError(f"--target must be one of {', '.join(_EXPORTS)}, got {target!r}{hint}")
    if reset not in ("", "zero"):
        raise ConfigurationError(f"--reset must be zero or left out, got {reset!r}")
    if reset and target not in ("lava", "netx"):
        raise ConfigurationError("--reset is for --target lava and netx")
    if per is not None and target == "netx":
        raise ConfigurationError("--per is for --target lava and c: weights for netx share a step in each population")
    if weight_bits is not None and target == "netx":
        raise ConfigurationError("--weight-bits is for --target lava and c: weights for netx have 8 bits")
    if name is not None and target != "c":
        raise ConfigurationError("--name is for --target c")
    _CHECKS[target](output)
    if name is not None:
        check_name(name)
    bits = None if weight_bits is None else _weight_bits(weight_bits)
    chosen = {"per": per, "reset": reset or None, "name": name, "weight_bits": bits}
    with progress_bars() as progress:
        report = _EXPORTS[target](
            _loaded(network, target),
            output,
            **{option: value for option, value in chosen.items() if value is not None},
            input_bits=input_bits,
            samples=None if data is None else samples_of(data, limit)[0],
            allow_loss=allow_loss,
            progress=progress,
        )
    with kept(lambda: f"{output} is written"):
        show(f"{report}\nwritten: {output}", json_file, report.to_dict())


def _weight_bits(text: str) -> int | dict[str, int]:
    """The bits that ``text`` means, such as "4" or "4,features.0=8": one number, or one by name, "*" for the rest."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, bits = part.rpartition("=")
        name = name.strip() if equals else "*"
        if not bits.strip().isdecimal() or name in found:
            raise ConfigurationError(
                f"--weight-bits takes a number, and numbers by name, such as 4,features.0=8, got {text!r}"
            )
        found[name] = int(bits)
    return found["*"] if [*found] == ["*"] else found


def _loaded(path: Path, target: str) -> Any:
    """What is in the file ``path``: a network, or for programs in C a bundle, too."""
    return lava.read(path) if target == "c" and kind_of(path) is BUNDLE else snnconv.load(path)


def _sweep_bits(
    network: Path,
    output: Path,
    per: str | None,
    input_bits: int | None,
    data: Path | None,
    limit: int | None,
    allow_loss: float,
    json_file: Path | None,
) -> None:
    from hw_export.integers import bit_sweep  # late, as exports are: it takes a while to load

    if data is None:
        raise ConfigurationError("--sweep-bits measures on samples: give --data")
    drawable(output)
    chosen: dict[str, Any] = {
        "per": None if per is None else (per,),
        "input_bits": None if input_bits is None else (input_bits,),
    }
    samples, targets = samples_of(data, limit)
    with progress_bars() as progress:
        sweep = bit_sweep(
            snnconv.load(network),
            samples,
            targets,
            **{option: value for option, value in chosen.items() if value is not None},
            allow_loss=allow_loss,
            progress=progress,
        )
    sweep.plot(output)
    with kept(lambda: f"{output} is written"):
        show(f"{sweep}\nwritten: {output}", json_file, sweep.to_dict())
