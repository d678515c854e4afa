"""One model of the zoo, measured in a process of its own: verdict, errors, seconds and memory."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from benchmarks.datasets import data_file
from benchmarks.zoo.subjects import Built, Subject
from coding import Code, CodingPlan, FewSpike, OneSpike
from snnconv import SnnconvError, UnsupportedModelError
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from snnconv.metrics.held_out_error import warn_of_error
from snnconv.search.error_budget import default_network

#: The codes of the table, the first of which the zoo is judged by; ``None`` is what ``convert`` gives unasked.
CODES: dict[str, Code | None] = {
    "FewSpike(12, spikes=4)": FewSpike(12, spikes=4),
    "default": None,
    "OneSpike(16)": OneSpike(16),
}
#: Seconds after which a model is given up.
LIMIT = 3600
#: Share of the output from which on it differs from sample to sample by more than rounding.
_SAME = 1e-5
#: Pictures that are simulated at once.
BATCH = 16


@dataclass(frozen=True)
class Row:
    """What was found out about one model.

    ``verdict`` is "accepted", "refused", or "failed" for what should not happen. ``reasons`` name every kind of
    problem with its number. ``errors`` are relative errors of the whole output by code, ``differing`` is the first of
    them relative to what differs from sample to sample alone (``None`` where nothing does), ``agreement`` the share of
    samples with the same largest output. ``warnings`` are those of the conversion.
    """

    library: str
    name: str
    verdict: str
    parameters: int = 0
    populations: int = 0
    reasons: str = ""
    errors: Mapping[str, float] = field(default_factory=dict)
    differing: float | None = None
    agreement: Mapping[str, float] = field(default_factory=dict)
    warnings: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def measured(subject: Subject) -> Row:
    """The row of ``subject``, from a forked process that may take ``LIMIT`` seconds."""
    context = multiprocessing.get_context("fork")  # it has the libraries loaded
    data_file("imagenet320.npz")  # without data there is nothing to say of any model
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(subject, sender))
    process.start()
    sender.close()
    try:
        row = receiver.recv() if receiver.poll(LIMIT) else _failed(subject, f"no result after {LIMIT} seconds")
    except EOFError:
        row = _failed(subject, "its process died")
    process.kill()
    process.join()
    return row


def _failed(subject: Subject, reason: str) -> Row:
    return Row(subject.library, subject.name, "failed", reasons=reason)


def _child(subject: Subject, sender: Connection) -> None:
    torch.set_num_threads(1)
    try:
        row = _row(subject)
    except Exception as error:  # whatever it is, it is a row of the table
        row = _failed(subject, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    sender.send(row)
    sender.close()


def _row(subject: Subject) -> Row:
    torch.manual_seed(0)
    built = subject.build()
    parameters = sum(parameter.numel() for parameter in built.model.parameters())
    start = time.perf_counter()
    with _heard() as said:
        calibrator = Calibrator(built.model, built.calibration, built.constants)
        try:
            calibrator.captured  # noqa: B018
        except UnsupportedModelError as error:
            kinds = Counter(problem.op for problem in error.preflight.problems)
            reasons = ", ".join(f"{kind} ({count})" if count > 1 else kind for kind, count in kinds.most_common())
            return Row(subject.library, subject.name, "refused", parameters, reasons=reasons)
        except SnnconvError as error:
            return Row(subject.library, subject.name, "refused", parameters, reasons=str(error).splitlines()[0])
        errors, agreement, populations = {}, {}, 0
        with torch.no_grad():
            wanted = torch.cat([_flat(built.model(*batch)) for batch in _batches(built)])
        for name, code in CODES.items():
            plan, options = CodingPlan() if code is None else CodingPlan(code), Options()
            make = default_network if code is None else assemble
            network = make(calibrator.calibrated(plan, options), plan=plan, options=options)
            if not populations:  # as convert does, for the code that the zoo is judged by
                warn_of_error(network, calibrator.samples.fitted, calibrator.samples.given)
            populations = len(network.populations)
            found = torch.cat([_flat(network(*batch)) for batch in _batches(built, constant=False)])
            errors[name] = float((found - wanted).norm() / wanted.norm())
            agreement[name] = float((found.argmax(1) == wanted.argmax(1)).double().mean())
    share = float((wanted - wanted.mean(0)).norm() / wanted.norm())
    return Row(
        subject.library,
        subject.name,
        "accepted",
        parameters,
        populations,
        errors=errors,
        differing=next(iter(errors.values())) / share if share > _SAME else None,
        agreement=agreement,
        warnings="; ".join(dict.fromkeys(said)),
        seconds=time.perf_counter() - start,
        mebibytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library warns of meanwhile."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("snnconv")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def _batches(built: Built, constant: bool = True) -> list[tuple[Tensor, ...]]:
    if built.constants:  # a graph is one sample
        return [(built.measured, *(built.constants.values() if constant else ()))]
    return [(batch,) for batch in torch.split(built.measured, BATCH)]


def _flat(output: Any) -> Tensor:
    """All outputs in floating point, ``[N, everything]``."""
    leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    return torch.cat([leaf.flatten(1).double() for leaf in leaves], dim=1)
