"""What a spike means: the neural codes and plans that ``snnconv.convert`` takes."""

import coding
from coding import *  # noqa: F403 # one list of names, coding.__all__

__all__: list[str] = []
__all__ += coding.__all__
