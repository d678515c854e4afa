"""Sessions: a bundle on Lava whose start is paid for once, and which runs again and again."""

from __future__ import annotations

import json
import os
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from torch import Tensor

from hw_export.explicit.maps import Array
from hw_export.lava import launch as launching
from hw_export.lava.child import Child, LavaError
from hw_export.lava.execution import OpenBundle, check_options
from hw_export.lava.launch import LavaResult, explained, options_of, read_result, working_folder, write_inputs
from snnconv.errors import ConfigurationError
from snnconv.simulators import Run
from snnconv.surroundings import own_surroundings

_LOOK_SECONDS = 0.02
#: How long a session that is closed may take to end by itself.
_END_SECONDS = 5.0


class Session:
    """A bundle that runs on Lava as often as one likes, in a process of its own that is started once.

    Close it, or use it in a ``with`` block: then nothing of it is left running. See ``hw_export.lava.session``.
    """

    @own_surroundings()
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        record: Sequence[str] = (),
        arithmetic: Literal["fixed", "float"] = "fixed",
        hardware: bool = False,
        interpreter: str | None = None,
        timeout: float = 3600.0,
        batch: int = 64,
    ) -> None:
        check_options(record, arithmetic, timeout)
        if batch < 1:
            raise ConfigurationError(f"batch must be at least 1, got {batch!r}")
        self._bundle, self._timeout, self._batch = OpenBundle.of(path), timeout, batch
        nodes = self._bundle.recorded(record)
        with ExitStack() as stack:
            self._folder, common = stack.enter_context(working_folder())
            options = [f"--session={batch}", *options_of(nodes, arithmetic, "fast", hardware), *common]
            command = [interpreter or sys.executable, str(launching.MAIN), os.path.abspath(path), *options]
            self._child = Child(command, self._folder, asked=True)
            stack.callback(self._child.kill)
            self._finish = weakref.finalize(self, _ended, self._child, stack.pop_all())

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session and all that it started; closing it again does nothing."""
        self._finish()

    @own_surroundings()
    def run(self, inputs: Tensor | Sequence[Tensor]) -> Run:
        """What a run for a batch of ``inputs`` yields, as ``hw_export.lava.run`` says it.

        Raises ``InputError``, and ``LavaError`` for a run that fails or takes longer than the session's ``timeout``,
        which ends the session, and where it has ended.
        """
        tensors = self._bundle.checked(inputs)
        whole = self._bundle.whole(tensors)
        parts = [
            self._run({name: values[start : start + self._batch] for name, values in whole.items()})
            for start in range(0, len(tensors[0]), self._batch)
        ]
        return self._bundle.as_run(tensors, _joined(parts))

    def _run(self, inputs: Mapping[str, Array]) -> LavaResult:
        if not self._finish.alive:
            raise LavaError("the session on Lava has ended: start another one")
        try:
            with explained():
                files = {name: str(self._folder / f"{name}.npz") for name in ("inputs", "result")}
                write_inputs(Path(files["inputs"]), inputs)
                self._ask(json.dumps(files))
                return read_result(Path(files["result"]))
        except BaseException:
            self._child.kill()
            self.close()
            raise

    def _ask(self, question: str) -> None:
        """Have ``question`` answered; ``LavaError`` where the child ends instead, or takes too long."""
        deadline = time.monotonic() + self._timeout
        try:
            self._child.questions.write(question.encode() + b"\n")
            self._child.questions.flush()
        except BrokenPipeError:
            self._child.wait(_END_SECONDS)
        while not wait([self._child.answers.fileno()], _LOOK_SECONDS):  # unlike select, of any number of open files
            if self._child.has_ended:
                break
            if time.monotonic() > deadline:
                self._child.kill()
                raise self._child.timed_out(self._timeout)
        else:
            if self._child.answers.readline() == b"done\n":
                return
            self._child.wait(_END_SECONDS)
        self._child.kill()
        raise self._child.failure() or LavaError("the session on Lava ended before it was asked to")


def _ended(child: Child, stack: ExitStack) -> None:
    """End ``child``, by itself where it can, and remove what it had."""
    with stack:
        child.end(_END_SECONDS)


def _joined(parts: Sequence[LavaResult]) -> LavaResult:
    first = parts[0]
    return LavaResult(
        outputs={name: np.concatenate([part.outputs[name] for part in parts]) for name in first.outputs},
        spikes={name: np.sum([part.spikes[name] for part in parts], axis=0) for name in first.spikes},
        rasters={name: np.concatenate([part.rasters[name] for part in parts]) for name in first.rasters},
        seconds={**first.seconds, "run": sum(part.seconds["run"] for part in parts)},
        steps=sum(part.steps for part in parts),
        python=first.python,
        lava=first.lava,
    )
