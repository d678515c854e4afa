"""Where the command line writes: figures and reports to standard output, what went wrong to standard error."""

from rich.console import Console

console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)
