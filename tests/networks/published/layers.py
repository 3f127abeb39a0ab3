"""Parameters of layers, in the order in which papers write a layer."""

from __future__ import annotations

from itertools import pairwise


def conv(kernel, before, after):
    """Weights and biases of a convolution."""
    return (kernel**2 * before + 1) * after


def dense(*widths):
    return sum((before + 1) * after for before, after in pairwise(widths))


def tower(before, *steps, norm=2):
    """Convolutions one upon the other, as (places of a kernel, maps), each batch-normalized.

    `norm` is how many values a map's normalization has: a scale and a shift, or a shift alone.
    """
    total = 0
    for places, after in steps:
        total += (places * before + norm) * after
        before = after
    return total
