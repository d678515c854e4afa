"""A network as explicit linear maps between its populations."""

from hw_export.explicit.network import ExplicitNetwork, explicit

__all__ = ["ExplicitNetwork", "explicit"]
