"""Sphinx's configuration of the site: pages are the files of the repository that people read there too."""

from typing import Any

from snnconv.version import __version__

project = "snnconv"
author = "The snnconv authors"
copyright = "2026, the snnconv authors"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CODE_OF_CONDUCT.md",
    "SECURITY.md",
]
exclude_patterns = ["docs/_build", "docs/jupyter_execute", "docs/site"]

# Links lead to headings as a repository's host names them, so that they work in both places
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "off"  # tutorials hold what their last execution printed
suppress_warnings = ["myst.xref_missing"]  # files that are no pages; tests/architecture checks every link

napoleon_use_ivar = True  # attributes of a class are documented once
autodoc_member_order = "groupwise"
autodoc_preserve_defaults = True  # as they are written: what no text stands for would leave a signature unread
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autoclass_content = "class"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"snnconv {release}"
html_extra_path = ["site"]  # the start page, which leads to the documents
html_copy_source = False
html_show_sourcelink = False


def setup(app: Any) -> None:
    """Let signatures be read whose defaults are made anew: Sphinx leaves one that is no Python as it stands."""
    app.connect("autodoc-process-signature", _readable)


def _readable(app: Any, what: str, name: str, found: Any, options: Any, given: str | None, returned: str | None) -> Any:
    return None if given is None else (given.replace("<factory>", "..."), returned)
