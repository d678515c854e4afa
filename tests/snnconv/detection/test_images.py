"""Pictures of every kind become RGB, broken files errors; resizing and boxes go there and back."""

from __future__ import annotations

import math
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from snnconv import ConfigurationError, InputError
from snnconv.detection.data.images import Preprocessing, image_size, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(folder: Path, image: Image.Image, name: str = "a.png", **options: object) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    assert image_size(path) == (image.height, image.width)
    return np.asarray(image)


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif"])
def test_lossless_pictures_are_read_as_they_are(suffix: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(pixels(saved(tmp_path, Image.fromarray(NOISE), f"a.{suffix}")), NOISE)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "gif"])
def test_lossy_pictures_are_read(suffix: str, tmp_path: Path) -> None:
    assert pixels(saved(tmp_path, Image.new("RGB", (7, 5), (250, 10, 10)), f"a.{suffix}"))[2, 3, 0] > 240


def test_a_single_pixel_is_a_picture(tmp_path: Path) -> None:
    assert pixels(saved(tmp_path, Image.new("RGB", (1, 1), (1, 2, 3)))).tolist() == [[[1, 2, 3]]]


def test_grey_black_and_white_palette_and_cmyk_become_rgb(tmp_path: Path) -> None:
    grey = Image.fromarray(NOISE[..., 0])
    np.testing.assert_array_equal(pixels(saved(tmp_path, grey)), np.repeat(NOISE[..., :1], 3, 2))
    assert set(pixels(saved(tmp_path, grey.convert("1"))).ravel().tolist()) == {0, 255}
    palette = Image.fromarray(NOISE).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(pixels(saved(tmp_path, palette)), np.asarray(palette.convert("RGB")))
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = pixels(saved(tmp_path, ink, "a.jpg", quality=95))[4, 4]
    assert red[0] > 240 and max(red[1:]) < 15


def test_transparent_pixels_lie_over_white(tmp_path: Path) -> None:
    glass = Image.new("RGBA", (3, 1))
    for x, colour in enumerate([(200, 0, 0, 255), (200, 0, 0, 0), (0, 0, 0, 51)]):
        glass.putpixel((x, 0), colour)
    wanted = [[[200, 0, 0], [255, 255, 255], [204, 204, 204]]]
    assert pixels(saved(tmp_path, glass)).tolist() == wanted
    grey = Image.merge("LA", (Image.new("L", (1, 1), 9), Image.new("L", (1, 1), 0)))
    assert pixels(saved(tmp_path, grey)).tolist() == [[[255] * 3]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([5, 5, 5])
    assert pixels(saved(tmp_path, palette, transparency=0)).tolist() == [[[255] * 3]]


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    for suffix in ("png", "tif"):
        found = pixels(saved(tmp_path, Image.fromarray(deep), f"a.{suffix}"))
        assert found[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


@pytest.mark.parametrize(
    ("kind", "message"), [(np.float32, "floating-point values"), (np.int32, "exceed 16 bits")], ids=str
)
def test_measurements_are_no_pictures(kind: type, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.full((2, 2), 70000, kind)), "a.tif")
    with pytest.raises(InputError, match=rf"a\.tif cannot be read as a picture: .*{message}"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_the_camera_was_held(orientation: int, tmp_path: Path) -> None:
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste("white", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(saved(tmp_path, upright, "a.jpg", exif=exif, quality=95))
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a.T, 2),
        8: lambda a: np.rot90(a),
    }
    wanted = turns[orientation](np.asarray(upright)[..., 0] > 127)
    np.testing.assert_array_equal(found[..., 0] > 127, wanted)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("not a picture")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def postscript(path: Path) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n")


def altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncated, empty, text, folder, postscript, altered, Path.unlink])
def test_what_is_no_picture_says_so_with_its_name(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(NOISE))
    damage(path)
    with pytest.raises(InputError, match=r"a\.png (cannot be read as a|is no) picture"):
        read_image(path)


def test_a_picture_too_large_to_unpack_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for width in (10_000, 60_000):
        header = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        for read in (read_image, image_size):
            with pytest.raises(InputError, match=rf"bomb\.png has more than {Image.MAX_IMAGE_PIXELS} pixels"):
                read(path)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'snnconv\[detection\]'"):
        read_image(tmp_path / "a.png")


def literal_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Rows first, then columns, one value after the other; ``image [H, W]`` in double precision."""

    def stretched(line: np.ndarray, length: int) -> np.ndarray:
        out = np.empty(length)
        for x in range(length):
            if x == length - 1 or len(line) == 1:
                out[x] = line[-1]
            else:
                at = x * (len(line) - 1) / (length - 1)
                left = math.floor(at)
                out[x] = line[left] + (at - left) * (line[min(left + 1, len(line) - 1)] - line[left])
        return out

    wide = np.stack([stretched(row, width) for row in image])
    return np.stack([stretched(column, height) for column in wide.T], 1)


@pytest.mark.parametrize("size", [(5, 7), (10, 14), (3, 4), (9, 2), (1, 7), (5, 1), (1, 1), (2, 20)])
def test_resizing_interpolates_between_the_centres_of_the_corners(size: tuple[int, int]) -> None:
    found = Preprocessing(size).to_tensor(Image.fromarray(NOISE))
    assert found.shape == (3, *size) and found.dtype == torch.float32
    for channel in range(3):
        wanted = literal_resize(NOISE[..., channel] / 255.0, *size)
        np.testing.assert_allclose(found[channel], wanted, atol=2e-6)


def test_a_single_pixel_fills_the_input() -> None:
    found = Preprocessing((4, 6)).to_tensor(Image.new("RGB", (1, 1), (255, 0, 51)))
    assert torch.allclose(found, torch.tensor([1.0, 0.0, 0.2]).view(3, 1, 1).expand(3, 4, 6))


def test_letterbox_keeps_the_aspect_ratio_and_fills_with_grey() -> None:
    wide = Preprocessing((8, 8), letterbox=True).to_tensor(Image.new("RGB", (20, 10), "white"))
    assert wide[:, 2:6].eq(1.0).all() and wide[:, :2].eq(0.5).all() and wide[:, 6:].eq(0.5).all()
    high = Preprocessing((8, 8), letterbox=True).to_tensor(Image.new("RGB", (10, 20), "white"))
    assert torch.equal(high, wide.transpose(1, 2))
    thread = Preprocessing((8, 8), letterbox=True).to_tensor(Image.new("RGB", (100, 1), "white"))
    assert int(thread[0].eq(1.0).sum()) == 8 and int(thread[0].eq(0.5).sum()) == 56
    same = Preprocessing((5, 7), letterbox=True).to_tensor(Image.fromarray(NOISE))
    assert torch.equal(same, Preprocessing((5, 7)).to_tensor(Image.fromarray(NOISE)))


def test_pictures_of_other_modes_are_converted_as_from_a_file() -> None:
    assert Preprocessing((2, 2)).to_tensor(Image.new("RGBA", (3, 3))).eq(1.0).all()


def fractions(corners: Tensor, preprocessing: Preprocessing, size: tuple[int, int]) -> Tensor:
    """Boxes on a picture as centre and extent on the input, from the places of white pixels in it."""
    rows = []
    for x1, y1, x2, y2 in corners.long().tolist():
        marked = Image.new("RGB", (size[1], size[0]), "black")
        marked.paste("white", (x1, y1, x2, y2))
        inside = (preprocessing.to_tensor(marked)[0] > 0.75).nonzero()
        (top, left), (bottom, right) = inside.amin(0).tolist(), (inside.amax(0) + 1).tolist()
        rows.append([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
    height, width = preprocessing.size
    return torch.tensor(rows) / torch.tensor([width, height, width, height])


@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("size", [(120, 200), (200, 120), (160, 160), (37, 501)])
def test_what_is_seen_on_the_input_lies_there_on_the_picture(letterbox: bool, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing((320, 416), letterbox)
    height, width = size
    corners = torch.tensor([[5, 3, 25, 30], [0, 0, width, height], [width - 20, height - 15, width - 4, height - 5]])
    found = preprocessing.to_original(fractions(corners, preprocessing, size), size)
    assert (found - corners).abs().max() <= 1.0 + max(width / 416, height / 320)


@pytest.mark.parametrize("letterbox", [False, True])
def test_boxes_come_back_exactly(letterbox: bool) -> None:
    preprocessing, size = Preprocessing((320, 320), letterbox), (100, 200)
    box = torch.tensor([[0.5, 0.5, 0.25, 0.125], [0.0, 0.5, 1.0, 4.0]], dtype=torch.float64)
    middle = [75.0, 37.5, 125.0, 62.5] if letterbox else [75.0, 43.75, 125.0, 56.25]
    assert preprocessing.to_original(box, size).tolist() == [middle, [0.0, 0.0, 100.0, 100.0]]


def test_a_box_that_is_not_finite_becomes_nan() -> None:
    boxes = torch.tensor([[0.5, 0.5, torch.inf, 1.0], [torch.nan, 0.5, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0]])
    found = Preprocessing((8, 8)).to_original(boxes, (10, 10))
    assert found[:2].isnan().all() and found[2].tolist() == [0, 0, 10, 10]
    assert Preprocessing((8, 8)).to_original(boxes[:0], (10, 10)).shape == (0, 4)


@pytest.mark.parametrize("size", [(0, 8), (8, -1), (8,)])
def test_a_size_without_pixels_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="height and a width above 0"):
        Preprocessing(size)  # type: ignore[arg-type]
