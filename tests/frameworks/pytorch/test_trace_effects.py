"""What a model of PyTorch does beside what it returns is seen: memory, gradients, statistics."""

from __future__ import annotations

import pytest

from convbench.base.errors import Unsupported
from convbench.checks.explain.explain import explain
from convbench.networks.builder import Builder
from convbench.networks.ops import (
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
    Relu,
    Softmax,
)

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

pytestmark = pytest.mark.pytorch


def paper():
    """A residual block and a classifier."""
    net = Builder("paper", (3, 8, 8))
    x = net("one", Conv(8, kernel=3, padding=1, bias=False), net.input)
    x = p = net("relu", Relu(), net("norm", BatchNorm(eps=1e-5, decay=0.9), x))
    x = net("sum", Add(), net("two", Conv(8, kernel=3, padding=1), x), p)
    x = net("flatten", Flatten(), net("pool", MaxPool(2, stride=2), x))
    net("softmax", Softmax(), net("fc", Dense(10), x))
    return net.graph()


class Net(nn.Module):
    """The same network; `before` is called on what the second convolution reads."""

    def __init__(self, before=lambda net, x: x, two=None, end=lambda net, x: x):  # noqa: ARG005
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(128, 10)
        self.before, self.convolved, self.end = before, two or (lambda net, x: net.two(x)), end

    def forward(self, x):
        x = p = F.relu(self.norm(self.one(x)))
        x = self.convolved(self, self.before(self, x)) + p
        return self.end(self, self.fc(F.max_pool2d(x, 2).flatten(1)))


class Reversed(torch.autograd.Function):
    """The gradient's sign is turned round."""

    @staticmethod
    def forward(ctx, x):  # noqa: ARG004
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):  # noqa: ARG004
        return -gradient


def without_gradient(net, x):
    with torch.no_grad():
        return net.two(x)


def zeroed(net, x):  # noqa: ARG001
    x[:, :4].zero_()
    return x


def doubled_view(net, x):  # noqa: ARG001
    x.view(-1).mul_(2)
    return x


def decayed(net, x):
    net.two.weight.data.mul_(0.9)
    return net.two(x)


def renormed(net, x):
    net.two.weight.data = torch.renorm(net.two.weight.data, 2, 0, 1)
    return net.two(x)


def hooked(net, x):  # noqa: ARG001
    x.register_hook(lambda gradient: gradient * 0)
    return x


def repeated_kernel(net, x):
    return F.conv2d(x, net.two.weight[:, [0] * 8], net.two.bias, padding=1)


def fixed_kernel(net, x):
    return F.conv2d(x, net.two.weight.detach(), net.two.bias, padding=1)


OTHERS = {
    "a gradient stopped on the way": {"before": lambda _, x: x.detach()},
    "a layer without gradient": {"two": without_gradient},
    "weights without gradient": {"two": fixed_kernel},
    "a gradient of its own": {"before": lambda _, x: Reversed.apply(x)},
    "a gradient changed by a hook": {"before": hooked},
    "channels set to zero through a view": {"before": zeroed},
    "values changed through a view": {"before": doubled_view},
    "values changed past the gradient": {"before": lambda _, x: x.data.mul_(2)},
    "weights that decay while the model runs": {"two": decayed},
    "weights that are put in place of others": {"two": renormed},
    "a kernel that is one channel many times": {"two": repeated_kernel},
    "an image turned round by a list": {"before": lambda _, x: x[:, :, list(range(7, -1, -1))]},
    "one channel many times": {"before": lambda _, x: x[:, [0] * 8]},
    "the first image twice": {"before": lambda _, x: x[[0, 0]]},
    "whole numbers": {"before": lambda _, x: x.to(torch.int32).to(x.dtype)},
    "bits read as numbers": {"before": lambda _, x: x.view(torch.int32).float()},
    "two softmaxes": {"end": lambda _, x: F.softmax(F.softmax(x, 1), 1)},
    "a sigmoid for a softmax": {"end": lambda _, x: torch.sigmoid(x)},
}


@pytest.mark.parametrize("change", OTHERS)
def test_what_the_calls_do_not_return_is_seen(change):
    found = explain(Net(**OTHERS[change]), paper())
    assert found.closes
    assert not found.same


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"before": lambda _, x: x.clone()},
        {"before": lambda _, x: x[:, :, 0:8][..., None][..., 0]},
        {"end": lambda _, x: F.log_softmax(x, 1)},
        {"end": lambda net, x: x if net.training else F.softmax(x, 1)},
        {"end": lambda _, x: (x, x)},
    ],
    ids=["plain", "copied", "sliced", "logarithm", "probabilities", "twice"],
)
def test_what_changes_nothing_is_the_same(style):
    assert explain(Net(**style), paper()).same


def test_an_activation_in_place_changes_what_shares_its_memory():
    """As `nn.ReLU(inplace=True)` does behind a view of what it reads, which is then the same."""

    def in_place(net, x):  # noqa: ARG001
        F.relu_(x.view(x.shape))
        return x

    class Plain(Net):
        def forward(self, x):
            x = p = self.before(self, self.norm(self.one(x)))
            return self.fc(F.max_pool2d(self.two(x) + p, 2).flatten(1))

    assert explain(Plain(before=in_place), paper()).same
    assert not explain(Plain(), paper()).same


def test_a_stopped_gradient_is_a_difference_by_that_name():
    found = explain(Net(before=lambda _, x: x.detach()), paper())
    assert [(e.kind, e.text) for e in found.ledger.entries] == [("layer extra", "stopped gradient")]


def test_statistics_that_training_does_not_use_are_a_difference():
    class Frozen(Net):
        def train(self, mode=True):
            super().train(mode)
            self.norm.eval()
            return self

    found = explain(Frozen(), paper())
    assert [(e.kind, e.text) for e in found.ledger.entries] == [
        ("normalization", "frozen batch norm instead of batch norm")
    ]
    assert found.doubts == ()


def test_a_further_answer_is_a_difference():
    class Telling(Net):
        def forward(self, x):
            features = F.relu(self.norm(self.one(x)))
            x = F.max_pool2d(self.two(features) + features, 2)
            return self.fc(x.flatten(1)), features

    found = explain(Telling(), paper())
    assert [(e.kind, e.text) for e in found.ledger.entries] == [("output extra", "ReLU")]


def test_the_answer_has_to_be_that_of_the_last_layer():
    class Unread(Net):
        def forward(self, x):
            super().forward(x)
            return F.relu(self.norm(self.one(x)))

    assert not explain(Unread(), paper()).same


def test_evaluation_is_held_against_training():
    found = explain(Net(end=lambda net, x: x if net.training else 3 * x), paper())
    assert found.ledger.same
    assert found.doubts == (
        "in evaluation it is another network than in training: layer extra (scaling) at mul",
    )


def test_what_cannot_be_followed_in_evaluation_is_a_doubt():
    def end(net, x):
        return x if net.training else x[: int(x.sum())]

    found = explain(Net(end=end), paper())
    assert found.doubts == (
        "in evaluation it cannot be followed: it asks for the value of a tensor",
    )


def test_dropout_that_is_never_off_is_a_doubt():
    net = Builder("paper", (3, 8, 8))
    x = net("flatten", Flatten(), net.input)
    net("softmax", Softmax(), net("fc", Dense(10), net("drop", Dropout(0.5), x)))

    class Always(nn.Module):
        def __init__(self, on):
            super().__init__()
            self.fc, self.on = nn.Linear(192, 10), on

        def forward(self, x):
            return self.fc(F.dropout(x.flatten(1), 0.5, self.training or self.on))

    assert explain(Always(on=False), net.graph()).same
    assert not explain(Always(on=True), net.graph()).same


def test_a_loop_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr("convbench.frameworks.pytorch.trace.recorder.MOST_STEPS", 100)

    def end(net, x):  # noqa: ARG001
        while True:
            x = x + 1

    with pytest.raises(Unsupported, match="more than 100 steps, if it ends at all; see that each"):
        explain(Net(end=end), paper())
