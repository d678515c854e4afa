"""Darknet's .cfg: what is read, and that every text which is none is refused where it goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from snnconv import ConfigurationError, StorageError
from snnconv.detection.darknet.config import read_config
from tests.support.darknet_configs import linear, net, region, written


def test_sections_keep_their_order_lines_and_options(tmp_path: Path) -> None:
    text = "# a detector\n\n[net]\nwidth = 32 ; pixels\n height=64\nchannels=3\n[conv]#first\nfilters= 4\n\n[max]\n"
    config = read_config(written(tmp_path, text))
    assert [(s.name, s.line) for s in (config.net, *config.layers)] == [
        ("net", 3),
        ("convolutional", 7),
        ("maxpool", 10),
    ]
    assert config.net.whole("width") == 32 and config.net.whole("height") == 64
    assert config.net.options["height"].line == 5
    assert config.layers[0].whole("filters") == 4 and config.layers[1].whole("size", 2) == 2


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t + " \t"])
def test_line_ends_marks_and_white_space_have_no_meaning(tmp_path: Path, change: object) -> None:
    assert callable(change)
    text = net() + linear(14) + region(2)
    plain = read_config(written(tmp_path, text))
    assert read_config(written(tmp_path, change(text))) == plain


def test_lists_are_separated_by_commas(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, "[network]\n[route]\nlayers = -1, 8\n[region]\nanchors = .5,1e1, 2. ,3\n"))
    assert config.layers[0].wholes("layers") == (-1, 8)
    assert config.layers[1].reals("anchors") == (0.5, 10.0, 2.0, 3.0)


REFUSED = {
    "nothing": ("", r"no section.*\[net\]"),
    "comments": ("# one\n; two\n", r"no section.*\[net\]"),
    "another first section": ("[route]\nlayers=1\n", r"starts with \[route\].*\[net\]"),
    "an option before it": ("width=3\n[net]\n", "line 1: 'width=3' stands before"),
    "a second net": ("[net]\n[route]\n[network]\n", r"line 3, \[net\]: a second \[net\]; the first is in line 1"),
    "an unknown section": ("[net]\n[lstm]\n", r"line 2: section \['lstm'\] is not supported.*\[convolutional\]"),
    "an unknown option": ("[net]\n[maxpool]\nsize=2\nantialiasing=1\n", r"line 4, \[maxpool\]: option 'antialiasing'"),
    "an option of another": (
        "[net]\nfilters=3\n",
        "line 2.*'filters' is not supported.*channels, height, letter_box, width",
    ),
    "an option twice": ("[net]\nwidth=3\n\nwidth=4\n", "line 4.*width is given a second time, after line 2"),
    "a classifier": (
        "[net]\n[avgpool]\n[softmax]\n",
        r"line 3: .* a classifier, with \[softmax\] and without \[yolo\]",
    ),
    "a classifier of layers": ("[net]\n[connected]\noutput=10\n[cost]\n", r"line 4: .* a classifier, with \[cost\]"),
    "an average in a detector": ("[net]\n[avgpool]\n[yolo]\n", r"line 2: section \['avgpool'\] is not supported"),
    "layers of the first detectors": ("[net]\n[connected]\n[detection]\n", r"line 2: section \['connected'\]"),
    "no value": ("[net]\nwidth=\n", "line 2.*'width=' is neither"),
    "no key": ("[net]\n=3\n", "line 2.*'=3' is neither"),
    "prose": ("[net]\nhello world\n", "line 2.*'helloworld' is neither"),
    "an open bracket": ("[net\nwidth=3\n", "line 1"),
    "control characters": ("[net]\n\x01\x1b[2J\n", r"line 2.*'\\x01\\x1b\[2J'"),
    "a long line": ("[net]\n" + "a" * 1000 + "\n", r"'a{37}\.\.\.' is neither"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_text_that_is_no_description_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_config(written(tmp_path, text))
    assert "network.cfg" in str(caught.value)


@pytest.mark.parametrize("option", ["batch=1", "max_epochs = 300", "show_receptive_field=1"])
def test_an_option_of_training_may_be_given_twice(tmp_path: Path, option: str) -> None:
    config = read_config(written(tmp_path, f"[net]\nwidth=8\n{option}\n{option}\n[yolo]\njitter=.3\njitter=.2\n"))
    assert config.net.whole("width") == 8 and config.layers[0].name == "yolo"


@pytest.mark.parametrize("value", ["x", "3.5", "1_0", "0x10", "٣", "1e3", "--1", "9" * 5000, "2000000", "3,", "-1"])
def test_a_malformed_number_is_refused_with_its_line(tmp_path: Path, value: str) -> None:
    section = read_config(written(tmp_path, f"[net]\nheight=1\nwidth={value}\n")).net
    with pytest.raises(ConfigurationError, match=r"line 3, \[net\]: width holds .* must be an integer from 0 to"):
        section.whole("width")


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "1_0", "0x1p3", "1,,2", "."])
def test_a_malformed_real_number_is_refused(tmp_path: Path, value: str) -> None:
    section = read_config(written(tmp_path, f"[net]\n[region]\nanchors={value}\n")).layers[0]
    with pytest.raises(ConfigurationError, match=r"line 3.*anchors holds .* must be a number"):
        section.reals("anchors")


def test_absent_options_lists_and_unknown_words_are_refused(tmp_path: Path) -> None:
    section = read_config(written(tmp_path, "[net]\n[conv]\nsize=3,3\nactivation=selu\n")).layers[0]
    with pytest.raises(ConfigurationError, match=r"line 2.*filters is missing"):
        section.whole("filters")
    with pytest.raises(ConfigurationError, match=r"line 3.*size is a list"):
        section.whole("size")
    with pytest.raises(ConfigurationError, match=r"line 4.*activation holds 'selu'; it must be one of leaky, linear"):
        section.word("activation", ("linear", "leaky"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n", "it holds a picture"),
        (b"[net]\n\xff\n", "no text in UTF-8 .byte 6"),
        (b"[net]\n\x00\n", "is no text"),
        (b"[net]\n#" + b"a" * 2**18, "larger than 262144 bytes"),
    ],
)
def test_a_file_that_is_no_text_of_that_size_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "network.cfg"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=f"network.cfg.*{message}"):
        read_config(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.cfg"):
        with pytest.raises(StorageError, match=f"{path.name} cannot be read"):
            read_config(path)
