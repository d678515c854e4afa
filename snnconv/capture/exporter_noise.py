"""What torch's exporter says of its internals, kept from users, while other threads are heard."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import IO, Any, cast

from snnconv.surroundings import one_at_a_time


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Without what torch's exporter warns, logs and prints of its internals: our own report says what matters.

    One thread at a time, as filters and levels are everybody's; what other threads print goes on.
    """
    loggers = [
        logging.getLogger(name)
        for name in ("torch.fx.experimental.symbolic_shapes", "torch.export", "torch._subclasses")
    ]
    with one_at_a_time(), warnings.catch_warnings(), _OthersOutput(sys.stderr).redirected():
        levels = [logger.level for logger in loggers]
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class _OthersOutput:
    """A stream without what the thread writes that made this, as long as standard error is redirected here."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._silent = stream, threading.get_ident()

    @contextmanager
    def redirected(self) -> Iterator[None]:
        """Standard error goes here; another thread that redirects it, too, may leave it here for longer."""
        try:
            with redirect_stderr(cast("IO[str]", self)):
                yield
        finally:
            self._silent = 0

    def write(self, text: str) -> int:
        silent = self._stream is None or threading.get_ident() == self._silent
        return len(text) if silent else int(self._stream.write(text))

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
