"""The command line: ``snnconv demo | preflight | convert | evaluate | sweep``."""

from snnconv.cli.main import main as main
