"""Journals: files into which processes write what a run yields; Lava hands out values of variables one by one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_runtime.layout import Shape


@dataclass(frozen=True)
class Page:
    """An array in a file, zero at first, that a process may write while it runs."""

    path: str
    shape: Shape
    dtype: str

    @staticmethod
    def create(path: str, shape: Shape, dtype: str) -> Page:
        """Take the space on the disk now: to write into a file beyond a full disk would kill the process."""
        page = Page(path, shape, dtype)
        with open(path, "wb") as file:
            size = max(1, int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        return page

    def mapped(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The array, as all processes see it."""
        return np.memmap(self.path, dtype=self.dtype, mode="r+", shape=self.shape)


class Recorder:
    """Counts what each neuron sends that is not zero, and keeps all of it if there is a page for it."""

    def __init__(self, spikes: Page, raster: Page | None) -> None:
        self.spikes = spikes.mapped()
        self.raster = None if raster is None else raster.mapped()

    def note(self, sample: int, step: int, payload: np.ndarray) -> None:
        """Take ``payload``, in the order of the bundle, down."""
        fired = payload != 0
        if fired.any():
            self.spikes += fired
            if self.raster is not None:
                self.raster[sample, step] = payload
