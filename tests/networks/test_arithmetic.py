"""Integer arithmetic against counting by hand."""

from __future__ import annotations

from math import prod
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convbench.base.errors import ShapeMismatch
from convbench.networks import arithmetic, ops
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Input,
    Lrn,
    MaxPool,
    Multiply,
    Pad,
    PadChannels,
    Rbf,
    Relu,
    Relu6,
    Scale,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Subsample,
    TableConv,
    Upsample,
)
from tests.support.builders import alike

IMAGE, VECTOR = (6, 9, 12), (20,)
TABLE = ((0, 1, 2), (3, 4), (5,))
CODES = ((1, -1) * 10, (-1, 1) * 10, (1, 1) * 10)
NORM = Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)
BATCH_NORM = BatchNorm(eps=1e-5, decay=0.9)
NOTHING = ()

LAYERS = [  # layer, input, output, weight, other parameters, buffers, MACs, connections
    (Input(IMAGE), None, IMAGE, None, 0, 0, 0, 0),
    (Conv(8, 3), IMAGE, (8, 7, 10), (8, 6, 3, 3), 8, 0, 8 * 54 * 70, 8 * 55 * 70),
    (Conv(8, 3, bias=False), IMAGE, (8, 7, 10), (8, 6, 3, 3), 0, 0, 8 * 54 * 70, 8 * 54 * 70),
    (Conv(8, 3, groups=2), IMAGE, (8, 7, 10), (8, 3, 3, 3), 8, 0, 8 * 27 * 70, 8 * 28 * 70),
    (Conv(4, (1, 5), stride=2), IMAGE, (4, 5, 4), (4, 6, 1, 5), 4, 0, 4 * 30 * 20, 4 * 31 * 20),
    (Conv(4, 3, padding=1), IMAGE, (4, 9, 12), (4, 6, 3, 3), 4, 0, 4 * 54 * 108, 4 * 55 * 108),
    (TableConv(TABLE, 3), IMAGE, (3, 7, 10), (6, 3, 3), 3, 0, 6 * 9 * 70, (6 * 9 + 3) * 70),
    (Dense(10), VECTOR, (10,), (10, 20), 10, 0, 200, 210),
    (Dense(10, bias=False), VECTOR, (10,), (10, 20), 0, 0, 200, 200),
    (Rbf(CODES), VECTOR, (3,), None, 0, 60, 0, 60),
    (MaxPool(3, stride=2), IMAGE, (6, 4, 5), None, 0, 0, 0, 0),
    (MaxPool(3, stride=2, padding=(0, 0, 0, 1)), IMAGE, (6, 4, 6), None, 0, 0, 0, 0),
    (AvgPool(3, stride=2, count_padding=False), IMAGE, (6, 4, 5), None, 0, 0, 0, 0),
    (AvgPool(3, stride=1, padding=1, count_padding=True), IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Subsample((3, 2)), IMAGE, (6, 3, 6), (6,), 6, 0, 0, 7 * 6 * 18),
    (GlobalAvgPool(), IMAGE, (6, 1, 1), None, 0, 0, 0, 0),
    (BATCH_NORM, IMAGE, IMAGE, (6,), 6, 12, 0, 0),
    (BATCH_NORM, VECTOR, VECTOR, (20,), 20, 40, 0, 0),
    (BatchNorm(eps=1e-3, decay=0.9, scale=False), IMAGE, IMAGE, None, 6, 12, 0, 0),
    (NORM, IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Relu(), IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Relu(), VECTOR, VECTOR, None, 0, 0, 0, 0),
    (Relu6(), IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Silu(), IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Scale(0.3), IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Upsample(2), IMAGE, (6, 18, 24), None, 0, 0, 0, 0),
    (Pad((-1, 1, 0, 2)), IMAGE, (6, 9, 14), None, 0, 0, 0, 0),
    (Sigmoid(), VECTOR, VECTOR, None, 0, 0, 0, 0),
    (ScaledTanh(amplitude=1.7159, slope=2 / 3), IMAGE, IMAGE, None, 0, 0, 0, 0),
    (Softmax(), VECTOR, VECTOR, None, 0, 0, 0, 0),
    (Dropout(0.5), VECTOR, VECTOR, None, 0, 0, 0, 0),
    (Flatten(), IMAGE, (6 * 9 * 12,), None, 0, 0, 0, 0),
    (PadChannels(2), IMAGE, (8, 9, 12), None, 0, 0, 0, 0),
]


@pytest.mark.parametrize(
    ("op", "before", "after", "weight", "others", "buffers", "macs", "connections"), LAYERS
)
def test_one_layer(op, before, after, weight, others, buffers, macs, connections):  # noqa: PLR0913, PLR0917
    inputs = () if before is None else (before,)
    owned = arithmetic.tensors(op, inputs)
    trained = {t.name: t.shape for t in owned if t.trainable}
    first = owned[0].shape if owned else ()
    assert arithmetic.output_shape(op, inputs, "net.x") == after
    assert trained.pop("weight", None) == weight
    assert sum(map(prod, trained.values())) == others
    assert sum(t.size for t in owned if not t.trainable) == buffers
    assert arithmetic.macs(op, first, after) == macs
    assert arithmetic.connections(op, first, after) == connections


def test_every_layer_is_tried():
    assert {type(row[0]) for row in LAYERS} == set(get_args(ops.Op)) - {Add, Concat, Multiply}


def test_joined_branches_have_the_channels_of_all():
    inputs = (IMAGE, (4, 9, 12), (1, 9, 12))
    assert arithmetic.output_shape(Concat(), inputs, "net.x") == (11, 9, 12)
    assert arithmetic.tensors(Concat(), inputs) == NOTHING


def test_a_gated_image_keeps_its_shape():
    inputs = (IMAGE, (6, 1, 1))
    assert arithmetic.output_shape(Multiply(), inputs, "net.x") == IMAGE
    assert arithmetic.tensors(Multiply(), inputs) == NOTHING


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        (Concat(), (IMAGE,)),
        (Concat(), (IMAGE, (6, 9, 11))),
        (Concat(), (VECTOR, VECTOR)),
        (Multiply(), (IMAGE, (5, 1, 1))),
        (Multiply(), (IMAGE, IMAGE)),
        (Multiply(), (IMAGE,)),
    ],
)
def test_branches_that_do_not_fit_are_refused(op, inputs):
    with pytest.raises(ShapeMismatch, match=r"net\.x: wants"):
        arithmetic.output_shape(op, inputs, "net.x")


@pytest.mark.parametrize("inputs", [(IMAGE, IMAGE), (VECTOR, VECTOR, VECTOR)])
def test_a_sum_has_the_shape_of_its_inputs(inputs):
    assert arithmetic.output_shape(Add(), inputs, "net.x") == inputs[0]
    assert arithmetic.tensors(Add(), inputs) == NOTHING


@pytest.mark.parametrize(
    ("op", "inputs", "sentence"),
    [
        (Conv(8, 3), (VECTOR,), "an image (C, H, W), but gets (20,); Conv belongs before Flatten"),
        (Conv(8, 3), (), "one input, but gets 0; Conv does not join branches"),
        (Relu(), (IMAGE, IMAGE), "one input, but gets 2; Relu does not join branches"),
        (
            Conv(8, 3, groups=4),
            (IMAGE,),
            "channels that split into 4 groups, but gets 6 in and 8 out; "
            "do the widths fit the groups?",
        ),
        (
            Conv(7, 3, groups=2),
            (IMAGE,),
            "channels that split into 2 groups, but gets 6 in and 7 out; "
            "do the widths fit the groups?",
        ),
        (
            Conv(8, (9, 13)),
            (IMAGE,),
            "at least 9x13 positions for its kernel, but gets 9x12 with padding; "
            "is the input too small, or a stride too many above?",
        ),
        (
            MaxPool(12, stride=1, padding=1),
            (IMAGE,),
            "at least 12x12 positions for its kernel, but gets 11x14 with padding; "
            "is the input too small, or a stride too many above?",
        ),
        (
            Subsample(10),
            (IMAGE,),
            "at least 10x10 positions for its kernel, but gets 9x12 with padding; "
            "is the input too small, or a stride too many above?",
        ),
        (
            TableConv(((0, 1), (2, 3)), 3),
            (IMAGE,),
            "a table that uses each of the maps 0 to 5, but gets maps [0, 1, 2, 3]; "
            "does the table belong to this layer?",
        ),
        (
            TableConv(((0, 1, 2, 3, 4, 5, 6),), 3),
            (IMAGE,),
            "a table that uses each of the maps 0 to 5, but gets maps [0, 1, 2, 3, 4, 5, 6]; "
            "does the table belong to this layer?",
        ),
        (Dense(10), (IMAGE,), "a vector, but gets (6, 9, 12); is a Flatten missing before it?"),
        (Softmax(), (IMAGE,), "a vector, but gets (6, 9, 12); is a Flatten missing before it?"),
        (
            Rbf(((1, -1),)),
            (VECTOR,),
            "a vector of 2, the length of its codes, but gets one of 20; "
            "do the codes belong to this layer?",
        ),
        (
            Flatten(),
            (VECTOR,),
            "an image (C, H, W), but gets (20,); Flatten belongs before Flatten",
        ),
        (NORM, (VECTOR,), "an image (C, H, W), but gets (20,); Lrn belongs before Flatten"),
        (
            Add(),
            (IMAGE,),
            "two or more inputs of one shape, but gets (6, 9, 12); "
            "does the shortcut miss a stride or a projection?",
        ),
        (
            Add(),
            ((4, 8, 8), (4, 4, 4)),
            "two or more inputs of one shape, but gets (4, 8, 8) and (4, 4, 4); "
            "does the shortcut miss a stride or a projection?",
        ),
    ],
)
def test_what_does_not_fit_is_refused(op, inputs, sentence):
    with pytest.raises(ShapeMismatch) as caught:
        arithmetic.output_shape(op, inputs, "net.x")
    assert str(caught.value) == f"net.x: wants {sentence}"


@st.composite
def convolutions(draw):
    """A convolution and an input that it takes."""
    small, few = st.integers(1, 4), st.integers(0, 2)
    groups = draw(st.integers(1, 3))
    kernel, stride = draw(st.tuples(small, small)), draw(st.tuples(small, small))
    op = Conv(
        groups * draw(small),
        kernel,
        stride=stride,
        padding=draw(st.tuples(few, few, few, few)),
        groups=groups,
        bias=draw(st.booleans()),
    )
    sides = st.integers(max(kernel), 12)
    return op, (groups * draw(small), draw(sides), draw(sides))


def windows(size, kernel, stride, before, after):
    """Where a kernel can stand, tried place by place."""
    return [start for start in range(0, size + before + after, stride)
            if start + kernel <= size + before + after]  # fmt: skip


def positions(op, shape):
    top, bottom, left, right = op.padding
    rows = windows(shape[1], op.kernel[0], op.stride[0], top, bottom)
    columns = windows(shape[2], op.kernel[1], op.stride[1], left, right)
    return len(rows), len(columns)


@alike
@given(convolutions())
def test_convolutions_as_counted_place_by_place(layer):
    op, shape = layer
    rows, columns = positions(op, shape)
    seen = shape[0] // op.groups * prod(op.kernel)
    outputs = op.channels * rows * columns
    owned = arithmetic.tensors(op, (shape,))
    after = arithmetic.output_shape(op, (shape,), "net.x")
    assert after == (op.channels, rows, columns)
    assert sum(t.size for t in owned) == op.channels * (seen + op.bias)
    assert arithmetic.macs(op, owned[0].shape, after) == outputs * seen
    assert arithmetic.connections(op, owned[0].shape, after) == outputs * (seen + op.bias)


@alike
@given(convolutions())
def test_pooling_stands_where_a_convolution_does(layer):
    op, shape = layer
    pool = MaxPool(op.kernel, stride=op.stride, padding=op.padding)
    assert arithmetic.output_shape(pool, (shape,), "net.x") == (shape[0], *positions(op, shape))


@alike
@given(st.integers(3, 40), st.integers(1, 3), st.integers(1, 3))
def test_paddings_of_ops_give_the_sizes_that_they_promise(size, kernel, stride):
    before, after = ops.same(size, kernel, stride)
    last = ops.ceil(size, kernel, stride)
    same = Conv(1, kernel, stride=stride, padding=(before, after, 0, last))
    wanted = (1, len(range(0, size, stride)), len(range(0, size - kernel + stride, stride)))
    assert arithmetic.output_shape(same, ((1, size, size),), "net.x") == wanted
