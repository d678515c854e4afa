"""How a spike is produced: the neurons that ``snnconv.convert`` takes."""

import neurons
from neurons import *  # noqa: F403 # one list of names, neurons.__all__

__all__: list[str] = []
__all__ += neurons.__all__
