"""Recordings in the layout of N-MNIST, written here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from snnconv import ConfigurationError, InputError
from snnconv.data.events import read_events
from snnconv.learning import EventSamples, LayeredNetwork, measure, train

EVENTS = [(0, 0, 0, 0), (33, 33, 1, 999), (5, 7, 1, 1000), (5, 7, 1, 1500), (9, 2, 0, 299_999), (1, 1, 1, 2**23 - 1)]


def content(events: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(
        bytes((x, y, polarity << 7 | time >> 16, time >> 8 & 0xFF, time & 0xFF)) for x, y, polarity, time in events
    )


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "00001.bin"
    path.write_bytes(content(EVENTS))
    events = read_events(path)
    found = zip(*(part.tolist() for part in (events.x, events.y, events.polarity, events.time)), strict=True)
    assert list(found) == EVENTS and len(events) == 6


def test_spikes_are_one_where_an_event_fell_in_a_step(tmp_path: Path) -> None:
    path = tmp_path / "00001.bin"
    path.write_bytes(content(EVENTS))
    spikes = read_events(path).spikes(300)
    assert spikes.shape == (300, 2 * 34 * 34)
    at = {(step, neuron) for step, neuron in spikes.nonzero().tolist()}
    assert at == {(0, 0), (0, 2 * 34 * 34 - 1), (1, 34 * 34 + 7 * 34 + 5), (299, 2 * 34 + 9)}
    with pytest.raises(ConfigurationError):
        read_events(path).spikes(0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (content(EVENTS)[:-1], "29 bytes, which is no multiple of 5"),
        (content([(34, 0, 0, 0)]), r"event 0 is at pixel \(34, 0\), outside 34 x 34"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "outside 34 x 34"),
    ],
)
def test_truncated_and_foreign_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "00001.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_events(path)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.bin", tmp_path, "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            read_events(path)


def test_a_network_learns_from_recordings(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    recordings = []
    for number in range(6):
        times = torch.randint(0, 20_000, (40,), generator=generator).tolist()
        events = [(number % 2 * 4 + k % 4, k % 8, k % 2, time) for k, time in enumerate(sorted(times))]
        path = tmp_path / f"{number}.bin"
        path.write_bytes(content(events))
        recordings.append(read_events(path, size=(8, 8)))
    samples = EventSamples(recordings, torch.arange(6) % 2, steps=30)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LayeredNetwork([128, 10, 2], weight_offset=2.0)
    train(network, samples, epochs=15, batch=3, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
    assert measure(network, samples).by_first == 100.0
    with pytest.raises(InputError, match="sizes"):
        EventSamples([recordings[0], read_events(tmp_path / "1.bin")], torch.arange(2))
    with pytest.raises(ConfigurationError):
        EventSamples(recordings, torch.arange(6) % 2, steps=0)
