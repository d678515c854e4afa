"""The part on detections: pictures with the boxes of both networks side by side, those that differ marked."""

from __future__ import annotations

from collections.abc import Sequence

from snnconv.reporting.charts import legend
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.detected import SAME, SCORE, ComparedPicture, FoundBox
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.wording import counted

#: Height of the letters on a picture, as a share of its width.
_LETTERS = 1 / 22


def boxes_part(contents: Contents) -> Part | None:
    """Every picture twice, with the original's and with the spiking detector's boxes; ``None`` without pictures."""
    pictures = contents.pictures
    if not pictures:
        return None
    differing = sum(picture.differing for picture in pictures)
    keys = legend([("frame", "found by both"), ("frame alone", "above that score in this network alone")])
    lead = (
        f"Boxes with a score above {SCORE:g}. Two are the same if they are of one class and overlap by {SAME:g} or more"
    )
    lead += f"; {counted(differing, 'box differs', 'boxes differ')}." if differing else "; none differs."
    if differing:
        lead += " The other network may have it with a score just below."
    return Part("detections", "Detections", lead, joined([keys, *map(_picture, pictures, range(len(pictures)))]))


def _picture(picture: ComparedPicture, number: int) -> Markup:
    """Both networks' boxes on one picture, which the file holds once."""
    image = f"picture-{number}"
    width, height = (str(size) for size in picture.size)
    own = tag("image", href=f"data:image/jpeg;base64,{picture.content}", width=width, height=height, id=image)
    again = tag("use", href=f"#{image}")
    sides = [_side(picture, "original", picture.original, own), _side(picture, "spiking", picture.spiking, again)]
    return tag("figure", tag("div", *sides, class_="maps"), tag("figcaption", picture.label), class_="pictures")


def _side(picture: ComparedPicture, network: str, boxes: Sequence[FoundBox], image: Markup) -> Markup:
    width, height = picture.size
    found = counted(len(boxes), "object")
    listed = [f"{box.name} {box.score:.2f}{' (alone)' if box.alone else ''}" for box in boxes]
    says = f"{network} network finds {found} in {picture.label}{': ' if listed else ''}{', '.join(listed[:20])}"
    frames = [_frame(box, width, height) for box in reversed(boxes)]
    drawn = tag("svg", tag("title", says), image, *frames, viewBox=f"0 0 {width} {height}", role="img", aria_label=says)
    items = [
        tag(
            "li",
            box.name,
            f" {box.score:.2f}",
            tag("strong", " alone") if box.alone else None,
            class_="alone" if box.alone else None,
        )
        for box in boxes
    ]
    return tag("div", tag("p", f"{network}: {found}", class_="who"), drawn, tag("ul", *items, class_="found"))


def _frame(box: FoundBox, width: int, height: int) -> Markup:
    left, top, right, bottom = box.corners
    size = _LETTERS * width  # pictures are shown as wide as their column
    name = tag(
        "text",
        box.name,
        x=number(left * width + size / 4, 1),
        y=number(top * height + size, 1),
        font_size=number(size, 1),
        class_="alone" if box.alone else None,
    )
    frame = tag(
        "rect",
        tag("title", f"{box.name} {box.score:.2f}"),
        x=number(left * width, 1),
        y=number(top * height, 1),
        width=number((right - left) * width, 1),
        height=number((bottom - top) * height, 1),
        class_="box alone" if box.alone else "box",
    )
    return joined([frame, name])
