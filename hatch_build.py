"""What an index of packages shows of a release: README with links that lead from there, and the project's addresses."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: Names the repository's address, such as "https://github.com/owner/name". Without it links stay as they are.
ADDRESS = "SNNCONV_ADDRESS"
#: A link to a file of the repository, or to a picture if "!" stands before it.
_LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!\w+:|#)([^)\s]+)\)")


class Published(MetadataHookInterface):
    """README and addresses; those of a source archive stay what they are."""

    def update(self, metadata: dict[str, Any]) -> None:
        address = os.environ.get(ADDRESS, "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if address:
            tag = f"v{metadata['version']}"
            text = _LINK.sub(
                lambda found: f"{found[1]}{found[2]}({address}/{'raw' if found[1] else 'blob'}/{tag}/{found[3]})", text
            )
            metadata.setdefault(
                "urls",
                {
                    "Source": address,
                    "Documentation": f"{address}/blob/{tag}/docs/index.md",
                    "Changelog": f"{address}/blob/{tag}/CHANGELOG.md",
                    "Issues": f"{address}/issues",
                },
            )
        metadata.setdefault("readme", {"content-type": "text/markdown", "text": text})
