"""Functions of signals that no operation of a model computes with spikes, rewritten into those that do."""

from __future__ import annotations

from collections.abc import Set

from snnconv.capture.divisions_last import divisions_behind_products
from snnconv.capture.norms import layer_norms_written_out
from snnconv.capture.one_variable import functions_as_tables
from snnconv.capture.quotients import quotients_as_ratios, tables_that_divide
from snnconv.capture.softmax import softmaxes_as_ratios
from snnconv.graph.graph import Graph


def functions_as_stations(graph: Graph, real_valued: Set[str] = frozenset()) -> Graph:
    """``graph``, in which norms, softmax, quotients and functions of one signal are tables, gates and ratios.

    Only what weights or populations depend on is rewritten; weighted operations that are ``real_valued`` by leave are
    none of these. What only the output depends on stays what it is.
    """
    graph = layer_norms_written_out(graph, real_valued)
    graph = softmaxes_as_ratios(graph, real_valued)
    graph = quotients_as_ratios(graph, real_valued)
    graph = divisions_behind_products(graph)
    return tables_that_divide(functions_as_tables(graph, real_valued))
