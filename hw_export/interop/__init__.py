"""Rate-coded networks as modules of other libraries, spike for spike."""

from hw_export.interop.norse import to_norse
from hw_export.interop.sinabs import to_sinabs
from hw_export.interop.snntorch import to_snntorch

__all__ = ["to_norse", "to_sinabs", "to_snntorch"]
