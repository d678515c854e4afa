"""The version of snnconv; the package's metadata read it here."""

__version__ = "0.2.0"
