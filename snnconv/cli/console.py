"""Where the command line writes: figures and reports to standard output, what went wrong to standard error."""

import os
import sys

from rich.console import Console

from snnconv.cli.interruption import output_closed


class _Output(Console):
    """Standard output, whose end by its reader interrupts the command."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python still holds goes there at its end
        raise output_closed()


class _Errors(Console):
    """Standard error; without a reader the command goes on in silence."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


console = _Output(soft_wrap=True, highlight=False)
errors = _Errors(stderr=True, soft_wrap=True, highlight=False)
