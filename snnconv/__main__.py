"""``python -m snnconv`` is the command line ``snnconv``."""

from snnconv.cli import app as main

main()
