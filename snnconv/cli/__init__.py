"""The command line: ``snnconv demo | preflight | convert | evaluate``."""

from snnconv.cli.main import main as main
