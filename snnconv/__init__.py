"""snnconv converts trained PyTorch networks into spiking neural networks, and measures what comes out."""

import importlib
import typing

import snnconv.shadowing  # noqa: F401 # first: it says so where another file stands in the way of a package

if typing.TYPE_CHECKING:
    from snnconv.public import *  # noqa: F403
    from snnconv.public import __all__ as __all__
    from snnconv.public import __version__ as __version__
else:

    def __getattr__(name: str) -> object:
        """A public name; with the first of them all are loaded, so that a program that starts is interruptible."""
        public = importlib.import_module("snnconv.public")
        globals().update({each: getattr(public, each) for each in (*public.__all__, "__all__")})
        if name not in globals():
            raise AttributeError(f"module 'snnconv' has no attribute {name!r}")
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
