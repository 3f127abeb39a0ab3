"""What Keras's layers and functions are in our words."""

from __future__ import annotations

import pytest

from convbench.frameworks.trace import Other
from convbench.networks.ops import (
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Input,
    MaxPool,
    Multiply,
    Pad,
    Relu,
    Scale,
    Silu,
    Softmax,
)

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras import layers, ops  # noqa: E402

from tests.support.keras_traces import IMAGE, closes, followed, layers_of  # noqa: E402

pytestmark = pytest.mark.keras


class Drop(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x, training=None):
        if not training:
            return x
        kept = ops.floor(0.8 + keras.random.uniform((ops.shape(x)[0], 1, 1, 1), seed=self.seed))
        return x / 0.8 * kept


def gate(x):
    return ops.multiply(ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True)), x)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: ops.maximum(x * 2 - 3, 0), [Scale(2.0), Other("add constant"), Relu()]),
        (lambda x: x * ops.sigmoid(x), [Silu()]),
        (lambda x: ops.clip(x, 0, 6) / 4, ["Relu6", Scale(0.25)]),
        (gate, ["GlobalAvgPool", "Sigmoid", Multiply()]),
        (lambda x: x[:, ::2, ::2], [MaxPool(1, stride=2)]),
        (lambda x: x[:, 1:, :-1], [Pad((-1, 0, 0, -1))]),
        (layers.Cropping2D(((1, 0), (0, 2))), [Pad((-1, 0, 0, -2))]),
        (
            layers.MaxPooling2D(3, 2, "same"),
            [MaxPool(3, stride=2, padding=(0, 1) * 2)],
        ),
        (
            lambda x: layers.MaxPooling2D(3, 1)(
                ops.pad(x, ((0, 0), (1, 1), (0, 2), (0, 0)), constant_values=-float("inf"))
            ),
            [MaxPool(3, stride=1, padding=(1, 1, 0, 2))],
        ),
        (
            layers.AveragePooling2D(3, 2, "same"),
            [AvgPool(3, stride=2, padding=(0, 1) * 2, count_padding=False)],
        ),
        (lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, 4))), ["PadChannels"]),
        (lambda x: ops.concatenate([x, ops.zeros((2, 8, 8, 4))], -1), ["PadChannels"]),
        (layers.Reshape((192,)), [Flatten()]),
        (lambda x: layers.Reshape((1, 1, 3))(ops.mean(x, (1, 2))), [GlobalAvgPool()]),
        (layers.Reshape((64, 3)), [Other("reshape", {"shape": (64, 3)})]),
        (lambda x: layers.Dropout(0)(layers.Identity()(x)), []),
        (Drop(), [Scale(1.25), Other("stochastic depth")]),
        (lambda x: layers.Dense(5, use_bias=False)(layers.Flatten()(x)), [Flatten(), "Dense"]),
        (layers.Dense(5), [Other("position-wise dense")]),
        (layers.Conv2D(2, 3, dilation_rate=2), [Other("dilated convolution")]),
        (layers.Conv2DTranspose(2, 3), [Other("transposed convolution")]),
        (layers.UpSampling2D(2), ["Upsample"]),
        (layers.Rescaling(0.5, 1), [Other("rescaling")]),
        (layers.LeakyReLU(), [Other("leaky relu")]),
        (layers.GlobalMaxPooling2D(), [Other("global max pool")]),
        (layers.LayerNormalization(), [Other("layer norm")]),
        (layers.Softmax(), [Other("softmax")]),
        (layers.Activation("hard_silu"), [Other("hard swish")]),
        (layers.Conv2D(2, 3, activation="gelu"), [Conv(2, 3), Other("gelu")]),
        (layers.Conv2D(2, 3, activation=layers.PReLU()), [Conv(2, 3), Other("prelu")]),
        (layers.Conv2D(2, 3, activation=lambda x: tf.square(x) + 1), [Conv(2, 3), Other("lambda")]),
        (lambda x: ops.transpose(x, (0, 2, 1, 3)), [Other("permute")]),
        (lambda x: ops.split(x, 3, -1)[1], [Other("split")] * 3),
        (
            layers.SeparableConv2D(6, 3, activation="relu"),
            [Conv(3, 3, groups=3, bias=False), Conv(6, 1), Relu()],
        ),
        (
            layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2),
            [Conv(6, 3, stride=2, padding=(0, 1) * 2, groups=3)],
        ),
    ],
)
def test_functions_and_layers_in_our_words(function, wanted):
    """Wanted are layers, the names of their kinds, and names of others whatever their settings."""
    trace = followed(function)
    found = layers_of(trace)
    assert len(found) == len(wanted)
    for layer, word in zip(found, wanted, strict=True):
        if isinstance(word, Other) and not word.settings:
            assert (type(layer), layer.name) == (Other, word.name)
        else:
            assert type(layer).__name__ == word if isinstance(word, str) else layer == word
    assert closes(trace)


def test_the_image_goes_before_its_gate():
    assert followed(gate).steps[3].inputs == (0, 2)


def test_macs_of_what_ops_has_no_word_for():
    assert followed(layers.Dense(5)).steps[1].macs == 64 * 3 * 5
    assert followed(layers.Conv2D(2, 3, dilation_rate=2)).steps[1].macs == 2 * 3 * 9 * 16


def test_the_first_step_is_the_image():
    assert followed(layers.ReLU()).steps[0].layer == Input(IMAGE)
    assert isinstance(followed(layers.Softmax()).steps[0].layer, Input)
    assert layers_of(followed(lambda x: layers.Softmax()(layers.Flatten()(x)))) == [
        *(Flatten(), Softmax()),
    ]
    assert isinstance(layers_of(followed(lambda x: layers.Dense(2)(ops.mean(x, (1, 2)))))[1], Dense)
