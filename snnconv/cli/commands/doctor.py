"""doctor: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import typer

from snnconv.cli.options import Json, show
from snnconv.installation.state import installation_state


def doctor(json_file: Json = None) -> None:
    """Say what is installed, what is missing, and the command that mends it; ends with 1 where snnconv cannot work."""
    found = installation_state()
    show(str(found), json_file, found.to_dict())
    if not found.ok:
        raise typer.Exit(1)
