"""Layers are frozen values that refuse what no network can have."""

from __future__ import annotations

from typing import get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.base.errors import BadLayer
from convbench.networks import ops
from convbench.networks.ops import BatchNorm, Conv, Dense, Dropout, Input, Lrn, MaxPool, PadChannels
from tests.support.builders import alike

sizes = st.integers(min_value=1, max_value=60)
kernels = st.integers(min_value=1, max_value=11)
strides = st.integers(min_value=1, max_value=5)


@pytest.mark.parametrize(
    ("value", "want"), [(3, (3, 3)), ((1, 7), (1, 7)), (0, (0, 0)), ((2, 2), (2, 2))]
)
def test_pair(value, want):
    assert ops.pair(value) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [(0, (0, 0, 0, 0)), (2, (2, 2, 2, 2)), ((1, 3), (1, 1, 3, 3)), ((0, 1, 2, 3), (0, 1, 2, 3))],
)
def test_sides(value, want):
    assert ops.sides(value) == want


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "want"),
    [
        (224, 7, 2, (2, 3)),
        (112, 3, 2, (0, 1)),
        (5, 3, 1, (1, 1)),
        (5, 1, 1, (0, 0)),
        (4, 1, 3, (0, 0)),
        (6, 2, 1, (0, 1)),
    ],
)
def test_same_pads_more_at_the_end(size, kernel, stride, want):
    assert ops.same(size, kernel, stride) == want


@alike
@given(sizes, kernels, strides)
def test_same_is_the_least_padding_with_a_window_per_stride(size, kernel, stride):
    before, after = ops.same(size, kernel, stride)
    starts = [s for s in range(0, size, stride) if s + kernel <= size + before + after]
    assert len(starts) == len(range(0, size, stride))
    assert after - before in (0, 1)
    if before + after:
        assert starts[-1] + kernel == size + before + after


@alike
@given(sizes, kernels, strides)
def test_ceil_completes_the_last_window(size, kernel, stride):
    extra = ops.ceil(size, kernel, stride)
    assert 0 <= extra < stride
    assert (size + extra - kernel) % stride == 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Conv(0, 3),
            "Conv: channels must be positive whole numbers, but is 0",
        ),
        (
            lambda: Conv(8, (3, 0)),
            "Conv: kernel must be positive whole numbers, but is (3, 0)",
        ),
        (
            lambda: Conv(8, 3, stride=-1),
            "Conv: stride must be positive whole numbers, but is (-1, -1)",
        ),
        (
            lambda: Conv(8, 3, padding=(0, -1)),
            "Conv: padding must be whole numbers of 0 or more, but is (0, 0, -1, -1)",
        ),
        (
            lambda: Conv(8, 3, groups=0),
            "Conv: groups must be positive whole numbers, but is 0",
        ),
        (
            lambda: Dense(1.5),
            "Dense: features must be positive whole numbers, but is 1.5",
        ),
        (
            lambda: MaxPool(2.0, stride=2),
            "MaxPool: kernel must be positive whole numbers, but is 2.0",
        ),
        (
            lambda: Input((3, 0, 8)),
            "Input: shape must be positive whole numbers, but is (3, 0, 8)",
        ),
        (
            lambda: Lrn(size=0, k=2, alpha=1e-4, beta=0.75),
            "Lrn: size must be positive whole numbers, but is 0",
        ),
        (
            lambda: PadChannels(0),
            "PadChannels: extra must be positive whole numbers, but is 0",
        ),
        (
            lambda: Dropout(1),
            "Dropout: rate must be a share of 0 to below 1, but is 1",
        ),
        (
            lambda: BatchNorm(eps=1e-5, decay=-0.1),
            "BatchNorm: decay must be a share of 0 to below 1, but is -0.1",
        ),
    ],
)
def test_an_impossible_layer_is_refused(make, sentence):
    with pytest.raises(BadLayer) as caught:
        make()
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "make",
    [
        lambda: BatchNorm(eps=1e-5),
        lambda: BatchNorm(decay=0.9),
        lambda: MaxPool(2),
        lambda: Lrn(size=5, k=2.0, alpha=1e-4),
        lambda: ops.ScaledTanh(amplitude=1.7),
        Dropout,
    ],
)
def test_what_papers_or_frameworks_disagree_on_has_no_default(make):
    with pytest.raises(TypeError, match="missing"):
        make()


@pytest.mark.parametrize("kind", get_args(ops.Op))
def test_layers_cannot_be_changed(kind):
    assert attrs.has(kind)
    blank = kind.__new__(kind)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        blank.channels = 3


def test_layers_are_values():
    assert Conv(8, 3, padding=1) == Conv(8, (3, 3), padding=(1, 1, 1, 1))
    assert len({Conv(8, 3), Conv(8, 3), Conv(8, 3, bias=False)}) == 2
