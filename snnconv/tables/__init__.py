"""Results as tables: rows and heads once, and from them text, CSV, LaTeX and Markdown."""

from snnconv.tables.result_table import Cell, Column, ResultTable, Tabular

__all__ = ["Cell", "Column", "ResultTable", "Tabular"]
