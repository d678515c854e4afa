"""The commands for machines, which join those of snnconv by the entry-point group "snnconv.commands"."""

from __future__ import annotations

import typer

from snnconv.cli.registering import MACHINES, register


def add_commands(app: typer.Typer) -> None:
    """Add ``export`` and ``run-lava`` to the command line."""
    register(
        app,
        MACHINES,
        "hw_export.commands.export:export",
        "export network.snn -o network.npz --data test.npz",
        "export network.snn -o network.npz --data test.npz --weight-bits 4,features.0=8",
        "export network.snn -o network_c --target c --data test.npz",
        "export network.snn -o bits.png --sweep-bits --data test.npz --limit 500",
    )
    register(
        app,
        MACHINES,
        "hw_export.commands.run_lava:run_lava",
        "run-lava network.npz --data test.npz --limit 20",
    )
