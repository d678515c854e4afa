"""Pages in a browser without a window, each in a frame of a given width, looked at by a script from outside."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

#: Programs that are the same browser by other names.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 120
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # which the superuser of a container has none of
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--enable-logging=stderr",
    "--virtual-time-budget=60000",
    "--dump-dom",
)
_HARNESS = """<!doctype html><meta charset="utf-8"><body><script>
const pages = %s, widths = %s, look = %s, results = {};
(async () => {
  for (const [name, page] of Object.entries(pages)) for (const width of widths) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width:${width}px;height:700px;border:0`;
    frame.srcdoc = page;
    const loaded = new Promise((done) => frame.addEventListener("load", done));
    document.body.append(frame);
    await loaded;
    try { results[`${name} ${width}`] = look(frame.contentDocument, frame.contentWindow); }
    catch (error) { results[`${name} ${width}`] = { error: String(error) }; }
    frame.remove();
  }
  document.body.textContent = JSON.stringify(results);
})();
</script></body>
"""


def browser() -> str:
    """The program; the test is skipped where there is none, in CI too, since not every machine can have one."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed (make browser tries the system's package)")
    return found


def looked_at(
    pages: Mapping[str, str], widths: tuple[int, ...], look: str, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """What the function ``look`` of (document, window), in JavaScript, makes of every page in every width.

    With it comes what the console was told. ``folder`` takes files of the browser.
    """
    program, file = browser(), folder / "harness.html"
    parts = (json.dumps(dict(pages)).replace("</", "<\\/"), json.dumps(widths), look)
    file.write_text(_HARNESS % parts, encoding="utf-8")
    command = [program, *_OPTIONS, f"--user-data-dir={folder / 'profile'}", file.as_uri()]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=environment)
    found = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert found, f"{done.returncode}: {done.stdout[-500:]} {done.stderr[-2000:]}"
    results = json.loads(html.unescape(found[1]))
    return results, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
