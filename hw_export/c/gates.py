"""Max pooling of spikes in C: what the largest sum of a window rises by, or the train of its that leads."""

from __future__ import annotations

from string import Template

from hw_export.c.draft import Draft, type_for

_WINDOW = """\
            for (int32_t tap_row = 0; tap_row < $kernel_height; ++tap_row) {
                const int32_t row = place / $width * $down - $top + tap_row * $vertical;
                if (row < 0 || row >= $source_height) {
                    continue;
                }
                for (int32_t tap_column = 0; tap_column < $kernel_width; ++tap_column) {
                    const int32_t column = place % $width * $right - $left + tap_column * $horizontal;
                    if (column < 0 || column >= $source_width) {
                        continue;
                    }
                    const int32_t source = (row * $source_width + column) * $channels + channel;
"""
_HEAD = """\
static void $function($state *state)
{
    for (int32_t place = 0; place < $places; ++place) {
        for (int32_t channel = 0; channel < $channels; ++channel) {
            const int32_t neuron = place * $channels + channel;
            int32_t largest = INT32_MIN;
"""
_END = """\
                }
            }
"""

_SIGN = """\
                    const int32_t sent = (int32_t)$sent[source];
                    const int32_t sign = (sent > 0 ? 1 : 0) - (sent < 0 ? 1 : 0);
                    const int32_t word = neuron * $words + (tap_row * $kernel_width + tap_column) / $bits;
                    const int32_t bit = (tap_row * $kernel_width + tap_column) % $bits;
"""

_ACCUMULATED = Template(
    _HEAD
    + _WINDOW
    + """\
                    if ($total[source] > largest) {
                        largest = $total[source];
                    }
"""
    + _END
    + """\
            const int32_t payload = largest - $passed[neuron];
            if (payload != 0) {
                $passed[neuron] = largest;
                $send(state, place, channel, payload);
            }
        }
    }
}
"""
)

#: A source that is not behind in a window keeps up with it if no other such source's spike is the greater by its sign.
_RANKED = Template(
    _HEAD
    + """\
            int32_t smallest = INT32_MAX;
            int32_t best = -2;
"""
    + _WINDOW
    + """\
                    const int32_t sent = (int32_t)$sent[source];
                    largest = sent > largest ? sent : largest;
                    smallest = sent < smallest ? sent : smallest;
"""
    + _END
    + """\
            if (largest == 0 && smallest == 0) {
                continue;
            }
"""
    + _WINDOW
    + _SIGN
    + """\
                    if (sign > best && ((uint32_t)$behind[word] >> bit & 1U) == 0U) {
                        best = sign;
                    }
"""
    + _END
    + _WINDOW
    + _SIGN
    + """\
                    if (sign < best) {
                        $behind[word] = ($word_type)((uint32_t)$behind[word] | (uint32_t)1U << bit);
                    }
"""
    + _END
    + """\
            if (best > 0) {
                $send(state, place, channel, largest);
            } else if (best < 0) {
                $send(state, place, channel, smallest);
            }
        }
    }
}
"""
)
_WORD_BITS = (8, 16, 32)


def pool(draft: Draft, node: str, send: str) -> str:
    """The function of a step of the max pooling ``node``, whose spikes are given to the function ``send``."""
    gate = draft.integers.explicit.gates[node]
    source, sites = draft.sites[gate.source], draft.sites[node]
    (down, right), (vertical, horizontal) = gate.stride, gate.dilation
    geometry = {
        "send": send,
        "places": sites.places,
        "channels": sites.channels,
        "width": sites.width,
        "source_height": source.height,
        "source_width": source.width,
        "kernel_height": gate.kernel[0],
        "kernel_width": gate.kernel[1],
        "down": down,
        "right": right,
        "vertical": vertical,
        "horizontal": horizontal,
        "top": gate.padding[0][0],
        "left": gate.padding[1][0],
    }
    if not draft.windowed:
        passed = draft.member(node, "passed", "int32_t", sites.neurons)
        return draft.function(node, "pool", _ACCUMULATED, **geometry, total=total(draft, gate.source), passed=passed)
    taps = gate.kernel[0] * gate.kernel[1]
    bits = next((bits for bits in _WORD_BITS if taps <= bits), _WORD_BITS[-1])
    words, word_type = -(-taps // bits), f"uint{bits}_t"
    behind = draft.member(node, "behind", word_type, sites.neurons * words)
    return draft.function(
        node,
        "pool",
        _RANKED,
        **geometry,
        sent=sent(draft, gate.source),
        behind=behind,
        bits=bits,
        words=words,
        word_type=word_type,
    )


def total(draft: Draft, source: str) -> str:
    """What the neurons of ``source`` have sent so far, for max poolings in a stream."""
    return draft.member(source, "total", "int32_t", draft.sites[source].neurons)


def sent(draft: Draft, source: str) -> str:
    """What the neurons of ``source`` send at this step, for max poolings in a pipeline."""
    return draft.member(source, "sent", sent_type(draft, source), draft.sites[source].neurons)


def sent_type(draft: Draft, source: str) -> str:
    """The narrowest type that holds a payload of ``source``."""
    bounds = draft.payloads[source]
    return type_for(bounds.smallest, bounds.largest)
