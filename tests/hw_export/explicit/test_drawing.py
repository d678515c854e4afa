from __future__ import annotations

import re

from hw_export.explicit.drawing import dot
from hw_export.explicit.network import explicit
from tests.support.exported import converted


def test_a_drawing_holds_every_part_and_every_connection_once() -> None:
    network = explicit(converted("leaky", "rate"))
    text = dot(network)
    for node in (*network.inputs, *network.shapes, *network.outputs):
        assert len(re.findall(rf'^  "{re.escape(node)}" \[shape=', text, re.MULTILINE)) == 1
    solid = re.findall(r'^  "([^"]+)" -> "([^"]+)" \[label="(\w+)\\n(\d+) synapses"\];', text, re.MULTILINE)
    assert [pair[:2] for pair in solid] == [(each.source, each.target) for each in network.connections]
    assert [int(pair[3]) for pair in solid] == [each.map.synapses for each in network.connections]
    dashed = re.findall(r'^  "([^"]+)" -> "([^"]+)" \[style=dashed\];', text, re.MULTILINE)
    assert dashed == [(gate.source, node) for node, gate in network.gates.items()]
    assert "2 x 8 x 8" in text and text.endswith("}\n")
