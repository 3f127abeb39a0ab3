"""Whichever way people write a layer in PyTorch, its trace has the same words."""

from __future__ import annotations

import pytest

from convbench.base.errors import Unsupported
from convbench.frameworks.trace import Other
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
    Lrn,
    MaxPool,
    Multiply,
    Pad,
    PadChannels,
    Relu,
    Relu6,
    Scale,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Upsample,
)

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
trace = pytest.importorskip("convbench.frameworks.pytorch.trace.tracer").trace

pytestmark = pytest.mark.pytorch

IMAGE = (3, 8, 8)
ONE = Conv(3, 1)
STRIDED = MaxPool(1, stride=2)


class Written(nn.Module):
    """A model whose forward is a function, with modules and arrays as attributes."""

    def __init__(self, forward, **attributes):
        super().__init__()
        self.written = forward
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.written(self, x)


def array(*shape):
    return nn.Parameter(torch.empty(*shape))


def conv():
    return nn.Conv2d(3, 3, 1)


def layers(model):
    return [step.layer for step in trace(model, "model", IMAGE).steps[1:]]


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)


def in_place(model, x):
    y = model.conv(x)
    y += x
    y.relu_()
    return F.hardtanh_(y, 0.0, 6.0)


def gated(model, x):
    factors = torch.sigmoid(model.squeeze(x.mean((2, 3))))
    return x * factors.view(-1, 3, 1, 1).expand_as(x)


def survives(_, x):
    return x * torch.empty(x.shape[0], 1, 1, 1).bernoulli_(0.8).div_(0.8)


def half_a_resnet_shortcut(_, x):
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 3), "constant", 0)


def joined_with_zeros(_, x):
    return torch.cat((x, torch.zeros(x.shape[0], 2, 8, 8, device=x.device)), dim=1)


STYLES = {
    "relu of all kinds": (
        lambda _, x: F.relu_(torch.relu(x.clamp(min=0)).clamp_min(0)),
        [Relu()] * 4,
    ),
    "relu as a maximum": (lambda _, x: torch.maximum(x, torch.zeros_like(x)), [Relu()]),
    "relu6 of all kinds": (lambda _, x: F.relu6(F.hardtanh(x, 0, 6).clamp(0, 6)), [Relu6()] * 3),
    "swish by hand": (lambda _, x: x * torch.sigmoid(x), [Silu()]),
    "swish in place": (lambda _, x: x.mul_(x.sigmoid()), [Silu()]),
    "swish with its own gradient": (lambda _, x: Swish.apply(x), [Silu()]),
    "sigmoid of use elsewhere": (
        lambda _, x: (gate := x.sigmoid()) * x + gate,
        [Sigmoid(), Other("multiply"), Add()],
    ),
    "scaled tanh": (
        lambda _, x: 1.5 * torch.tanh(x * 2 / 4),
        [ScaledTanh(amplitude=1.5, slope=0.5)],
    ),
    "mean, axis by axis": (lambda _, x: x.mean(3).mean(2), [GlobalAvgPool()]),
    "mean of a row": (lambda _, x: x.view(x.size(0), 3, -1).mean(-1), [GlobalAvgPool()]),
    "mean by negative axes": (lambda _, x: x.mean([-1, -2], keepdim=True), [GlobalAvgPool()]),
    "vector without a move": (
        lambda _, x: F.adaptive_avg_pool2d(x, 1).flatten(1).view(-1, 3, 1, 1).squeeze(),
        [GlobalAvgPool()],
    ),
    "flatten of all kinds": (lambda _, x: x.view(x.size(0), -1)[None].squeeze(0), [Flatten()]),
    "flatten in two moves": (lambda _, x: x.flatten(2).flatten(1), [Flatten()]),
    "what changes nothing": (
        lambda _, x: F.dropout(x.contiguous().clone().detach().to(torch.float64), 0.0) * 1 + 0,
        [],
    ),
    "dropout": (lambda _, x: F.dropout(x, 0.25), [Dropout(0.25)]),
    "crop": (lambda _, x: x[..., 1:-1, 2:], [Pad((-1, -1, -2, 0))]),
    "every second": (lambda _, x: x[:, :, ::2, ::2], [STRIDED]),
    "every second, shifted": (lambda _, x: x[:, :, 1::2, 1::2], [Pad((-1, 0, -1, 0)), STRIDED]),
    "every third of some": (
        lambda _, x: x[:, :, :4:3, 1:8:3],
        [Pad((0, -4, -1, 0)), MaxPool(1, stride=3)],
    ),
    "slice of channels": (lambda _, x: x[:, 1:], [Other("slice", {"channels": "1:3"})]),
    "pieces": (
        lambda _, x: torch.cat(torch.split(x, [1, 2], dim=1), 1),
        [
            Other("slice", {"channels": "0:1"}),
            Other("slice", {"channels": "1:3"}),
            Concat(),
        ],
    ),
    "shortcut": (half_a_resnet_shortcut, [STRIDED, PadChannels(3)]),
    "zeros joined": (joined_with_zeros, [PadChannels(2)]),
    "image joined with nothing of itself": (
        lambda _, x: torch.cat((x, x.mul(0)), 1),
        [PadChannels(3)],
    ),
    "joined along rows": (
        lambda _, x: torch.cat((x, x), 2),
        [Other("concatenate", {"axis": 2})],
    ),
    "padding that never wins": (
        lambda _, x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2),
        [MaxPool(3, stride=2, padding=(0, 1, 0, 1))],
    ),
    "padding with ones": (
        lambda _, x: F.pad(x, (1, 1, 2, 2), value=1.0),
        [Other("pad", {"value": 1.0, "padding": (2, 2, 1, 1)})],
    ),
    "ceil mode": (
        lambda _, x: F.avg_pool2d(F.max_pool2d(x, 3, 2, ceil_mode=True), 3, 2, ceil_mode=True),
        [
            MaxPool(3, stride=2, padding=(0, 1, 0, 1)),
            AvgPool(3, stride=2, padding=(0, 1, 0, 1), count_padding=False),
        ],
    ),
    "adaptive to a divisor": (
        lambda _, x: F.adaptive_avg_pool2d(F.adaptive_avg_pool2d(x, (None, 4)), (8, 4)),
        [AvgPool((1, 2), stride=(1, 2), count_padding=False)],
    ),
    "adaptive to no divisor": (
        lambda _, x: F.adaptive_avg_pool2d(x, 3),
        [Other("adaptive average pool", {"output": (3, 3)})],
    ),
    "maximum of all": (lambda _, x: x.amax((2, 3)), [Other("global max pool")]),
    "nearest": (lambda _, x: F.interpolate(x, size=(16, 16)), [Upsample(2)]),
    "numbers": (
        lambda _, x: -(2 - (x / 4 + 3)),
        [
            Scale(0.25),
            Other("add constant", {"value": 3}),
            Other("subtract from", {"value": 2}),
            Scale(-1.0),
        ],
    ),
    "lrn": (
        lambda _, x: F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0),
        [Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)],
    ),
    "softmax of logits": (
        lambda _, x: F.log_softmax(F.softmax(x.mean((2, 3)), dim=-1), dim=1),
        [GlobalAvgPool(), Softmax(), Other("log softmax", {"dim": 1})],
    ),
    "channels last": (
        lambda _, x: x.to(memory_format=torch.channels_last).permute(0, 2, 3, 1),
        [Other("permute", {"axes": (0, 2, 3, 1)})],
    ),
    "a block that is left out at random": (survives, [Other("stochastic depth")]),
}


@pytest.mark.parametrize(("forward", "expected"), STYLES.values(), ids=STYLES)
def test_however_it_is_written_it_is_the_same_layer(forward, expected):
    assert layers(Written(forward)) == expected


WITH_ARRAYS = {
    "functions": (
        lambda: Written(
            lambda m, x: F.linear(F.conv2d(x, m.w, m.b, 2, 1).flatten(1), m.v),
            w=array(4, 3, 3, 3),
            b=array(4),
            v=array(5, 64),
        ),
        [Conv(4, 3, stride=2, padding=1), Flatten(), Dense(5, bias=False)],
        {"w": (4, 3, 3, 3), "b": (4,), "v": (5, 64)},
    ),
    "products of matrices": (
        lambda: Written(lambda m, x: x.flatten(1) @ m.w + m.b, w=array(192, 4), b=array(4)),
        [Flatten(), Dense(4)],
        {"w": (4, 192), "b": (4,)},
    ),
    "addmm": (
        lambda: Written(
            lambda m, x: torch.addmm(m.b, x.flatten(1), m.w.t()), w=array(4, 192), b=array(4)
        ),
        [Flatten(), Dense(4)],
        {"w": (4, 192), "b": (4,)},
    ),
    "a bias added by hand": (
        lambda: Written(
            lambda m, x: F.conv2d(x, m.w) + m.b.view(1, -1, 1, 1), w=array(4, 3, 3, 3), b=array(4)
        ),
        [Conv(4, 3)],
        {"w": (4, 3, 3, 3), "b": (4,)},
    ),
    "a scale of one's own": (
        lambda: Written(lambda m, x: x * m.g, g=array(3, 1, 1)),
        [Other("scale by parameter", {"shape": (3, 1, 1)})],
        {"g": (3, 1, 1)},
    ),
    "in place": (
        lambda: Written(in_place, conv=conv()),
        [ONE, Add(), Relu(), Relu6()],
        {"conv.weight": (3, 3, 1, 1), "conv.bias": (3,)},
    ),
    "a gate": (
        lambda: Written(gated, squeeze=nn.Linear(3, 3)),
        [GlobalAvgPool(), Dense(3), Sigmoid(), Multiply()],
        {"squeeze.weight": (3, 3), "squeeze.bias": (3,)},
    ),
    "a computed kernel": (
        lambda: Written(lambda m, x: F.conv2d(x, m.w / m.w.std()), w=array(4, 3, 1, 1)),
        [
            Other(
                "convolution with a computed kernel",
                {
                    "channels": 4,
                    "kernel": (1, 1),
                    "stride": (1, 1),
                    "padding": (0, 0, 0, 0),
                    "dilation": (1, 1),
                    "groups": 1,
                },
                macs=4 * 3 * 64,
            )
        ],
        {"w": (4, 3, 1, 1)},
    ),
    "norms": (
        lambda: nn.Sequential(
            nn.BatchNorm2d(3, eps=1e-3, momentum=0.01), nn.BatchNorm2d(3, momentum=None)
        ),
        [
            BatchNorm(eps=1e-3, decay=0.99),
            Other("batch norm", {"eps": 1e-05, "decay": 1.0}),
        ],
        {
            f"{i}.{name}": (3,)
            for i in (0, 1)
            for name in ("weight", "bias", "running_mean", "running_var")
        },
    ),
    "padding called same": (
        lambda: nn.Sequential(nn.Conv2d(3, 2, 4, padding="same", bias=False)),
        [Conv(2, 4, padding=(1, 2, 1, 2), bias=False)],
        {"0.weight": (2, 3, 4, 4)},
    ),
    "an unknown layer": (
        lambda: nn.Sequential(nn.GroupNorm(1, 3), nn.PReLU()),
        [Other("group norm", {"num_groups": 1, "eps": 1e-05}), Other("prelu")],
        {"0.weight": (3,), "0.bias": (3,), "1.weight": (1,)},
    ),
}


@pytest.mark.parametrize(("model", "expected", "arrays"), WITH_ARRAYS.values(), ids=WITH_ARRAYS)
def test_arrays_are_found_at_their_layer(model, expected, arrays):
    found = trace(model(), "model", IMAGE)
    assert [step.layer for step in found.steps[1:]] == expected
    assert {h.path: h.shape for step in found.steps for h in step.tensors} == arrays
    assert found.macs == sum(step.macs for step in found.steps)
    assert found.unused == ()


def addresses(model):
    return [step.address for step in trace(model, "model", IMAGE).steps]


def test_addresses_are_paths_with_the_functions_name_where_a_module_has_several():
    block = Written(lambda m, x: m.conv(F.relu(x)) + F.relu(x), conv=conv())
    model = nn.Sequential(
        block, nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3, padding_mode="reflect"))
    )
    assert addresses(model) == [
        *("input", "0.relu", "0.conv", "0.relu_2", "0.add", "1.0", "1.1"),
    ]
    padded = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"))
    assert addresses(padded) == ["input", "0.pad", "0"]


def test_a_module_that_is_used_twice_has_its_arrays_in_both_steps():
    shared = conv()
    found = trace(nn.Sequential(shared, nn.ReLU(), shared), "model", IMAGE)
    assert [step.address for step in found.steps] == ["input", "0", "1", "0_2"]
    assert found.steps[1].tensors == found.steps[3].tensors
    assert [len(held) for held in found.owned] == [0, 2, 0, 0]


def test_a_loop_over_modules_and_nested_answers():
    def forward(model, x):
        seen = []
        for layer in model.layers:
            x = layer(x)
            seen.append(x)
        return {"last": seen[1], "all": (seen[0], [seen[1]])}

    model = Written(forward, layers=nn.ModuleList([conv(), nn.ReLU()]))
    assert trace(model, "model", IMAGE).outputs == (2, 1, 2)


def test_tensors_that_are_no_arrays_of_the_model_are_constants():
    outside = torch.ones(3, 1, 1)
    model = Written(lambda m, x: (x - m.mean) / outside, mean=torch.ones(3, 1, 1))
    shape = {"shape": (3, 1, 1)}
    assert layers(model) == [Other("subtract constant", shape), Other("divide by constant", shape)]


def test_a_function_that_keeps_the_models_own_modules_still_shows_their_arrays():
    model = nn.Sequential(conv())
    inner = model[0]
    model.forward = lambda x: F.relu(inner(x))
    found = trace(model, "model", IMAGE)
    assert [step.layer for step in found.steps[1:]] == [ONE, Relu()]
    assert found.unused == ()


def test_what_is_not_seen_is_the_module_that_hides_it_or_is_said():
    hidden = Written(lambda m, x: torch.vmap(lambda each: each * m.g)(x), g=array(3, 1, 1))
    assert layers(nn.Sequential(hidden)) == [Other("written")]
    with pytest.raises(Unsupported, match="does not show what it does"):
        layers(Written(lambda m, x: torch.vmap(lambda each: each * 2)(m.conv(x)) + 1, conv=conv()))
