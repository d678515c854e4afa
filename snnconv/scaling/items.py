"""An item of work as bytes: a function with its arguments goes out, what it returned or raised comes back."""

from __future__ import annotations

import io
import logging
import os
import pickle
import threading
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle
import torch
from torch import Tensor

from snnconv.errors import ConfigurationError, SnnconvError, WorkerError
from snnconv.scaling.shared import Missing, hold, unsendable

#: Which process this is, also where it was forked from another.
_PROCESS = uuid.uuid4().hex


@dataclass(frozen=True)
class ItemAnswer:
    """What became of an item: its ``value``, or what it ``raised`` there, or the key of what it is ``missing``.

    ``records`` are what the library logged meanwhile.
    """

    value: Any = None
    raised: BaseException | None = None
    missing: str | None = None
    records: tuple[logging.LogRecord, ...] = ()


def packed(what: str, threads: int, function: Callable[..., Any], *arguments: Any) -> bytes:
    """An item that computes with so many ``threads``; raises ``ConfigurationError`` for what cannot be pickled."""
    try:
        return _dumped((_process(), threads, function, arguments))
    except Exception as error:  # whatever the state of a class of others raises
        raise ConfigurationError(unsendable(what, error)) from error


def work(item: bytes, contents: Mapping[str, bytes]) -> bytes:
    """Do an item, in any process, whose shared values may come with it; the answer as bytes."""
    hold(contents)
    records: list[logging.LogRecord] = []
    try:
        process, threads, function, arguments = pickle.loads(item)
        if process == _process():  # a thread beside whoever asks, whose settings and log are its own
            return _dumped(ItemAnswer(function(*arguments)))
        torch.set_num_threads(threads)
        with _Heard(records):
            value = function(*arguments)
        answer = ItemAnswer(value, records=tuple(records))
    except Missing as missing:
        answer = ItemAnswer(missing=missing.key)
    except Exception as error:
        answer = ItemAnswer(raised=sendable(error), records=tuple(records))
    return _dumped(answer)


def unpacked(answer: bytes) -> ItemAnswer:
    """The answer of an item; what was logged there is logged here."""
    found = pickle.loads(answer)
    assert isinstance(found, ItemAnswer)
    for record in found.records:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    return found


class _Heard(logging.Handler):
    """Keeps what this thread logs from reaching others for as long as it lasts, and notes it."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records, self._thread = records, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            record.msg, record.args, record.exc_info = record.getMessage(), None, None
            self._records.append(record)

    def __enter__(self) -> None:
        logging.getLogger("snnconv").addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("snnconv").removeHandler(self)


def _process() -> str:
    return f"{_PROCESS} {os.getpid()}"


def sendable(error: BaseException) -> BaseException:
    """``error`` with where it was raised, or in words where it cannot be pickled."""
    if not isinstance(error, SnnconvError):
        error.add_note(f"raised by a worker:\n{''.join(traceback.format_exception(error))}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return WorkerError(f"a worker failed: {''.join(traceback.format_exception(error))}")
    return error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Sends of a tensor its elements alone, not all of what it is a part of; functions without a module, too."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is Tensor and value.layout is torch.strided and not value.requires_grad and value.numel():
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            return _tensor, (content, value.dtype, tuple(value.shape), str(value.device))
        return super().reducer_override(value)


def _dumped(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


def _tensor(content: bytes, dtype: torch.dtype, shape: tuple[int, ...], device: str) -> Tensor:
    # Cloned into memory as aligned as that of any tensor: where it is not, convolutions round otherwise.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).clone().view(dtype).view(shape).to(device)
