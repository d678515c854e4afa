"""A table of results: what its columns are, and its rows, which every form is made of."""

from __future__ import annotations

import csv
import io
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from snnconv.tables.escaping import latex_number, latex_text, markdown_text
from snnconv.text import table

#: Text, a number, or ``None`` where there is nothing to say.
Cell = str | int | float | None

#: What stands for ``None``, and for what is no number.
_NOTHING = "-"


@dataclass(frozen=True)
class Column:
    """What the cells of a column are.

    Attributes:
        name: What they are called.
        unit: Their unit, "" where they have none.
        form: How people read a number of them, as a format of Python: ".2f", or ".1%" for a share.
        bounds: Whether numbers of them are, or may be, upper bounds.
        most: The largest size of a number that people read in full; what is beyond is said to be over it.
    """

    name: str
    unit: str = ""
    form: str = ""
    bounds: bool = False
    most: float = math.inf

    @property
    def head(self) -> str:
        """Name and unit, and that numbers are at most so large where they are bounds."""
        name = f"{self.name}, at most" if self.bounds else self.name
        return f"{name} ({self.unit})" if self.unit else name

    def text(self, cell: Cell) -> str:
        """A cell as people read it."""
        if isinstance(cell, str):
            return cell
        if cell is None or _absent(cell):
            return _NOTHING
        if abs(cell) > self.most:
            return f"over {self.most:g}" if cell > 0 else f"below -{self.most:g}"
        return format(cell, self.form)


@dataclass(frozen=True)
class ResultTable:
    """Columns and rows of a result. Prints as text, the first column flush left.

    Attributes:
        columns: What the columns are.
        rows: Rows from top to bottom, a cell for every column.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __str__(self) -> str:
        return table([column.head for column in self.columns], self._texts())

    def to_csv(self) -> str:
        """Comma-separated values below a line of heads: numbers in full, shares as such, nothing where there is none.

        Cells are quoted as RFC 4180 says; lines end in a line feed.
        """
        content = io.StringIO()
        writer = csv.writer(content, lineterminator="\n")
        writer.writerow([column.head for column in self.columns])
        writer.writerows([["" if _absent(cell) else cell for cell in row] for row in self.rows])
        return content.getvalue()

    def to_latex(self) -> str:
        r"""A ``tabular`` of LaTeX, with the rules of the package booktabs: ``\usepackage{booktabs}``."""
        columns = "".join("r" if right else "l" for right in self._flush_right())
        lines = [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row([latex_text(column.head) for column in self.columns]),
            r"\midrule",
            *(_latex_row([self._latex(*pair) for pair in zip(self.columns, row, strict=True)]) for row in self.rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
        return "\n".join(lines) + "\n"

    def to_markdown(self) -> str:
        """A table of Markdown as GitHub and most others read it."""
        texts = [[column.head for column in self.columns], *self._texts()]
        cells = [[markdown_text(each) for each in row] for row in texts]
        widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(self.columns))]
        sides = list(zip(widths, self._flush_right(), strict=True))
        rules = [f"{'-' * (width - right)}{':' * right}" for width, right in sides]
        padded = [
            [cell.rjust(width) if right else cell.ljust(width) for cell, (width, right) in zip(row, sides, strict=True)]
            for row in cells
        ]
        return "".join(f"| {' | '.join(row)} |\n" for row in (padded[0], rules, *padded[1:]))

    def _texts(self) -> list[list[str]]:
        return [[column.text(cell) for column, cell in zip(self.columns, row, strict=True)] for row in self.rows]

    def _flush_right(self) -> list[bool]:
        """By column whether it holds numbers; the first names its row."""
        return [
            place > 0 and not any(isinstance(row[place], str) for row in self.rows)
            for place in range(len(self.columns))
        ]

    @staticmethod
    def _latex(column: Column, cell: Cell) -> str:
        if isinstance(cell, str):
            return latex_text(cell)
        return "--" if _absent(cell) else latex_number(column.text(cell))


class Tabular(ABC):
    """A result that is a table."""

    @abstractmethod
    def to_table(self) -> ResultTable:
        """The rows that it prints, with heads and units."""

    def to_csv(self) -> str:
        """The table as comma-separated values, numbers in full; see ``snnconv.tables.ResultTable``."""
        return self.to_table().to_csv()

    def to_latex(self) -> str:
        """The table in LaTeX, for the package booktabs."""
        return self.to_table().to_latex()

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return self.to_table().to_markdown()


def _absent(cell: Cell) -> bool:
    return cell is None or cell != cell


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
