"""What a Keras model does beside the usual is seen: turned images, statistics, evaluation."""

from __future__ import annotations

import pytest

from convbench.checks.explain.explain import explain
from convbench.networks.builder import Builder
from convbench.networks.ops import BatchNorm, Conv, Dense, Flatten, GlobalAvgPool, Relu, Softmax

keras = pytest.importorskip("keras")

from keras import layers, ops  # noqa: E402

pytestmark = pytest.mark.keras


def paper():
    """A convolution and a classifier."""
    net = Builder("paper", (3, 8, 8))
    x = net("conv", Conv(8, kernel=3, padding=1), net.input)
    x = net("relu", Relu(), net("norm", BatchNorm(eps=1e-3, decay=0.99), x))
    x = net("flatten", Flatten(), net("pool", GlobalAvgPool(), x))
    net("softmax", Softmax(), net("fc", Dense(10), x))
    return net.graph()


class Own(layers.Layer):
    """A convolution from functions; `changed` is called on its bias."""

    def __init__(self, changed):
        super().__init__()
        self.changed = changed

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 8), name="kernel")
        self.shift = self.add_weight(shape=(8,), name="shift")

    def call(self, x):
        return ops.conv(x, self.kernel, padding="same") + self.changed(self.shift)


class Net(keras.Model):
    """The same network; `before` is called on what its convolution reads."""

    def __init__(self, before=lambda x, _: x, conv=None, end=lambda x, _: x, norms=None):
        super().__init__()
        self.conv = conv or layers.Conv2D(8, 3, padding="same")
        self.norm, self.fc = layers.BatchNormalization(), layers.Dense(10)
        self.before, self.end, self.norms = before, end, norms

    def call(self, x, training=False):
        x = self.conv(self.before(x, training))
        x = ops.relu(self.norm(x, training=training if self.norms is None else self.norms))
        return self.end(self.fc(ops.mean(x, (1, 2))), training)


OTHERS = {
    "an image turned round": {"before": lambda x, _: x[:, :, ::-1]},
    "an image upside down": {"before": lambda x, _: x[:, ::-1, :, :]},
    "channels in another order": {"before": lambda x, _: x[..., ::-1]},
    "whole numbers": {"before": lambda x, _: ops.cast(ops.cast(x, "int32"), "float32")},
    "a stopped gradient": {"before": lambda x, _: ops.stop_gradient(x)},
    "a bias that is none": {"conv": lambda: Own(lambda bias: bias * 0)},
    "two softmaxes": {"end": lambda x, _: ops.softmax(ops.softmax(x))},
    "a sigmoid for a softmax": {"end": lambda x, _: ops.sigmoid(x)},
    "frozen statistics": {"norms": False},
    "another evaluation": {"end": lambda x, training: x if training else 3 * x},
}


def net(changes):
    changes = dict(changes)
    return Net(conv=changes.pop("conv", lambda: None)(), **changes)


@pytest.mark.parametrize("change", OTHERS)
def test_what_is_unusual_is_seen(change):
    found = explain(net(OTHERS[change]), paper())
    assert found.closes
    assert not found.same


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"conv": lambda: Own(lambda bias: bias)},
        {"conv": lambda: Own(lambda bias: ops.reshape(bias, (1, 1, 1, -1)))},
        {"end": lambda x, training: x if training else ops.softmax(x)},
        {"before": lambda x, _: ops.cast(ops.cast(x, "float16"), "float32")},
    ],
    ids=["plain", "own", "reshaped", "probabilities", "half precision"],
)
def test_what_changes_nothing_is_the_same(style):
    assert explain(net(style), paper()).same
