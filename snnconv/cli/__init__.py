"""The command line, ``snnconv``: commands for any network, and for detectors those that have "detect" in their name."""

from snnconv.cli.program import main as main
