"""``python -m snnconv`` is the command line ``snnconv``."""

from snnconv.cli import main

main()
