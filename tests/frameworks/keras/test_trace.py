"""Models of all styles, brought into the form in which they are compared."""

from __future__ import annotations

import sys

import pytest

from convbench.base.errors import Unsupported
from convbench.frameworks.trace import Held, Other
from convbench.networks.ops import BatchNorm, Conv, Pad, Silu

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras import layers, ops  # noqa: E402

from convbench.frameworks.keras.trace import tracer  # noqa: E402
from tests.support.keras_traces import closes, followed, functional, layers_of, traced  # noqa: E402

pytestmark = pytest.mark.keras


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("ResNet50", set()),
        ("MobileNetV2", set()),
        ("EfficientNetB0", {"rescaling", "normalization", "stochastic depth"}),
    ],
)
def test_a_model_of_keras_closes(name, others):
    with tracer.without_weights():
        model = getattr(keras.applications, name)(weights=None)
    trace = traced(model, tracer.image_of(model))
    assert closes(trace)
    assert trace.unused == ()
    assert {layer.name for layer in layers_of(trace) if isinstance(layer, Other)} == others
    assert trace.printed == model.count_params()


class Gain(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

    def call(self, x):
        return self.gamma * x


class Block(layers.Layer):
    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(channels, 3, padding="same", activation=tf.nn.relu, name="conv")
        self.bn = layers.BatchNormalization(name="bn")
        self.gain = Gain(name="gain")

    def call(self, x, training=None):
        return ops.concatenate(
            [x, self.gain(ops.relu(self.bn(self.conv(x), training=training)))], axis=-1
        )


class Net(keras.Model):
    def __init__(self):
        super().__init__(name="net")
        self.blocks = [Block(4, name="one"), Block(5, name="two")]
        self.head = keras.Sequential(
            [
                layers.GlobalAveragePooling2D(name="mean"),
                layers.Dropout(0.5, name="dropout"),
                layers.Dense(3, activation="softmax", name="fc"),
            ],
            name="head",
        )

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.mark.parametrize("allocated", [True, False])
def test_a_subclassed_model_is_followed_into_its_blocks(allocated):
    if allocated:
        model = Net()
    else:
        with tracer.without_weights():
            model = Net()
    trace = traced(model)
    addresses = [step.address for step in trace.steps]
    block = ["conv", "conv.relu", "bn", "relu", "gain", "concatenate"]
    assert addresses == [
        "input",
        *(f"one.{part}" for part in block),
        *(f"two.{part}" for part in block),
        *("head.mean", "head.dropout", "head.fc", "head.fc.softmax"),
    ]
    assert trace.steps[1].tensors == (
        Held("net/one/conv/kernel", "weight", (4, 3, 3, 3), True),
        Held("net/one/conv/bias", "bias", (4,), True),
    )
    assert trace.steps[5].layer == Other("scale by parameter")
    assert trace.steps[6].inputs == (0, 5)
    assert [t.output for t in trace.steps[-4:]] == [(12, 1, 1), (12,), (3,), (3,)]
    assert closes(trace)


def test_a_shared_layer_has_its_arrays_once():
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    trace = followed(lambda x: conv(conv(x)))
    assert [step.address for step in trace.steps] == ["input", "conv", "conv_2"]
    assert trace.steps[1].tensors == trace.steps[2].tensors
    assert trace.owned[2] == ()
    assert closes(trace)


def test_nested_models_have_their_name_before_their_layers():
    def twice(x):
        inner = keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Conv2D(3, 1, name="conv"), layers.ReLU(name="relu")],
            name="inner",
        )
        return layers.add([inner(x), inner(x), x])

    trace = followed(twice)
    assert [step.address for step in trace.steps][1:5] == [
        *("inner.conv", "inner.relu", "inner.conv_2", "inner.relu_2"),
    ]
    assert trace.steps[5].inputs == (2, 4, 0)


def test_arrays_of_one_path_are_kept_apart():
    def both(x):
        one, two = (functional(layers.Conv2D(3, 1, name="conv")) for _ in range(2))
        one.name, two.name = "one", "two"
        return two(one(x))

    paths = [step.tensors[0].path for step in followed(both).steps[1:]]
    assert len(set(paths)) == 2


class OwnConv(layers.Layer):
    def build(self, shape):
        self.k = self.add_weight(shape=(3, 3, shape[-1], 5), name="k")
        self.b = self.add_weight(shape=(5,), name="b")

    def call(self, x):
        return ops.conv(x, self.k, padding="same") + ops.reshape(self.b, (1, 1, 1, -1))


class Padded(layers.Conv2D):
    def call(self, x):
        return super().call(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))


class Standardized(layers.Conv2D):
    def convolution_op(self, x, kernel):
        return super().convolution_op(x, kernel - ops.mean(kernel, axis=(0, 1, 2)))


def test_a_layer_of_functions_is_what_its_functions_are():
    trace = followed(OwnConv(name="own"))
    assert layers_of(trace) == [Conv(5, 3, padding=1)]
    assert trace.steps[1].tensors == (
        Held("own/k", "weight", (5, 3, 3, 3), True),
        Held("own/b", "bias", (5,), True),
    )
    assert closes(trace)


def test_a_changed_convolution_is_followed():
    trace = followed(Padded(4, 3, activation="silu", name="conv"))
    assert layers_of(trace) == [Pad(1), Conv(4, 3), Silu()]
    assert trace.doubts == ()


def test_arithmetic_on_weights_is_told():
    trace = followed(Standardized(4, 3, name="conv"))
    assert layers_of(trace) == [Conv(4, 3)]
    assert trace.doubts == ("conv may change conv/kernel before it is used",)


def test_frozen_layers_hold_arrays_that_are_not_trained():
    model = functional(lambda x: layers.BatchNormalization(name="bn")(layers.Conv2D(2, 3)(x)))
    model.layers[1].trainable = False
    trace = traced(model)
    assert [t.trainable for t in trace.steps[1].tensors] == [False, False]
    assert trace.steps[2].layer == BatchNorm(eps=1e-3, decay=0.99)
    assert [t.trainable for t in trace.steps[2].tensors] == [True, True, False, False]
    assert (trace.parameters, trace.buffers, trace.printed) == (4, 60, 64)


def test_the_counter_of_a_normalization_is_no_array():
    trace = followed(layers.Normalization())
    assert [(t.name, t.shape) for t in trace.steps[1].tensors] == [
        ("mean", (3,)),
        ("variance", (3,)),
    ]
    assert (trace.parameters, trace.buffers, trace.printed) == (0, 6, 7)


def test_arrays_that_nothing_uses_are_listed():
    class Idle(Gain):
        def call(self, x):
            return ops.relu(x)

    assert [t.path for t in followed(Idle(name="idle")).unused] == ["idle/gamma"]


def test_outputs_come_in_the_order_of_the_answer():
    trace = followed(lambda x: {"z": layers.ReLU(name="z")(x), "a": layers.Flatten(name="a")(x)})
    assert [trace.steps[i].address for i in trace.outputs] == ["z", "a"]


def test_a_model_is_left_as_it_was():
    model = functional(lambda x: Block(4)(layers.Dropout(0.5)(x)))
    every = model._flatten_layers
    weights = [w.numpy() for w in model.weights]
    facts = [(x, len(x._inbound_nodes), len(x._outbound_nodes), x.trainable) for x in every()]
    before = (sys.getrecursionlimit(), keras.config.is_traceback_filtering_enabled())
    hooked = (keras.Operation.symbolic_call, keras.Layer.symbolic_call, keras.Variable.__mul__)
    traced(model)
    assert [
        (x, len(x._inbound_nodes), len(x._outbound_nodes), x.trainable) for x in every()
    ] == facts
    assert all((a == b.numpy()).all() for a, b in zip(weights, model.weights, strict=True))
    assert before == (sys.getrecursionlimit(), keras.config.is_traceback_filtering_enabled())
    assert hooked == (
        *(keras.Operation.symbolic_call, keras.Layer.symbolic_call, keras.Variable.__mul__),
    )


def test_no_weight_takes_memory():
    with tracer.without_weights():
        model = functional(layers.Dense(7))
    traced(model)
    assert all(w._value is None for w in model.weights)


def test_very_deep_models_can_be_made():
    def deep(x):
        for _ in range(600):
            x = layers.ReLU()(x)
        return x

    with tracer.without_weights():
        model = functional(deep)
    assert len(traced(model).steps) == 601


class Decides(layers.Layer):
    def call(self, x):
        return x if ops.max(x) > 0 else -x


class Raw(keras.Model):
    def __init__(self):
        super().__init__(name="raw")
        self.conv = layers.Conv2D(3, 3)

    def call(self, x):
        return tf.nn.relu(self.conv(x))


def test_what_is_computed_by_tensorflow_alone_is_one_step_and_told():
    trace = followed(layers.Lambda(lambda x: tf.nn.relu(x) + 1, name="raw"))
    assert [(step.address, step.layer) for step in trace.steps[1:]] == [("raw", Other("lambda"))]
    assert trace.doubts == ("raw computes outside keras.ops: what it does is not compared",)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            Raw,
            "model (Raw): A KerasTensor cannot be used as input to a TensorFlow function; "
            "call keras.ops or keras.layers there in place of TensorFlow's functions",
        ),
        (
            lambda: keras.Sequential([Decides(name="decides")]),
            "model (Sequential): Using a symbolic `tf.Tensor` as a Python `bool` is not allowed; "
            "let nothing there depend on the values of the images, only on their shape",
        ),
        (
            lambda: functional(layers.MaxPooling2D(data_format="channels_first")),
            "model: max_pooling2d (MaxPooling2D): it takes images channels first; "
            "build the model after keras.config.set_image_data_format('channels_last')",
        ),
        (
            lambda: keras.Model([a := keras.Input((8, 8, 3)), b := keras.Input((8, 8, 3))], a + b),
            "model: it takes 2 inputs, not one image; "
            "give a model of which the other inputs are made inside",
        ),
    ],
)
def test_what_cannot_be_traced_is_told_with_a_remedy(make, told):
    model = make()
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, layers.MaxPooling2D):
            layer.name = "max_pooling2d"
    before = keras.Layer.symbolic_call
    with pytest.raises(Unsupported) as error:
        traced(model)
    assert str(error.value) == told
    assert keras.Layer.symbolic_call is before


def test_an_image_of_another_size_is_refused():
    with pytest.raises(Unsupported, match="expected shape=\\(None, 8, 8, 3\\)"):
        traced(functional(layers.ReLU()), (3, 9, 9))


def test_a_model_says_what_images_it_takes():
    assert tracer.image_of(functional(layers.ReLU(), (3, 5, 6))) == (3, 5, 6)
    assert tracer.image_of(functional(layers.ReLU(), (3, None, None))) is None
    assert tracer.image_of(Net()) is None


def test_what_is_a_model():
    assert tracer.is_model(Net())
    assert tracer.is_model(layers.ReLU())
    assert not tracer.is_model(Net)
