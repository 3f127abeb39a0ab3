"""PyTorch's tracer on our own networks, on its totals, and on what it must leave alone."""

from __future__ import annotations

import copy
import sys

import pytest
from attrs import evolve

from convbench.base.errors import Unsupported
from convbench.frameworks.trace import Other, described
from convbench.networks.ops import AvgPool, Conv, Flatten, Input, Pad
from convbench.networks.zoo.names import architecture
from tests.support.small_graphs import GRAPHS, OTHERS

torch = pytest.importorskip("torch")
nn = torch.nn
pytorch = pytest.importorskip("convbench.frameworks.pytorch.model")
pytorch_trace = pytest.importorskip("convbench.frameworks.pytorch.trace.tracer")
trace = pytorch_trace.trace

pytestmark = pytest.mark.pytorch

CANON = (
    *("lenet1", "lenet5", "alexnet", "zfnet", "nin", "vgg11_lrn", "googlenet_aux", "resnet18"),
    *("resnet50", "resnet20_cifar", "preact_resnet50", "squeezenet", "mobilenet_025"),
    *("mobilenet_v2", "efficientnet_b0", "inception_resnet_v2", "xception", "nasnet_mobile"),
    *("inception_v3_aux", "vgg16_cats_dogs_finetuned", "inception_v3_200_finetuned"),
)
IMAGE = (3, 8, 8)


def plain(found):
    """What each step does, with padding in its window's layer, as trees that have no order."""
    trees = []
    for step in found.steps:
        layer, inputs = step.layer, tuple(trees[p] for p in step.inputs)
        if isinstance(layer, Flatten) and found.steps[step.inputs[0]].output[1:] == (1, 1):
            trees.append(inputs[0])  # nothing moves
            continue
        padless = isinstance(layer, Conv | AvgPool) and not any(layer.padding)
        if padless and isinstance(inputs[0][0], Pad) and getattr(layer, "count_padding", True):
            layer, inputs = evolve(layer, padding=inputs[0][0].padding), inputs[0][1]
        held = tuple((h.name, h.shape, h.trainable) for h in step.tensors)
        trees.append(_Tree(layer, inputs, step.output, held))
    return trees


class _Tree(tuple):
    """A layer with its inputs; compared by a digest, since branches share what is before them."""

    __slots__ = ()

    def __new__(cls, layer, inputs, output, held):
        digest = hash((layer, tuple(i[-1] for i in inputs), output, held))
        return super().__new__(cls, (layer, inputs, output, held, digest))


def digests(found):
    trees = plain(found)
    inner = {tree[-1] for tree in trees if not isinstance(tree[0], Pad)}
    return inner, [trees[p][-1] for p in found.outputs]


def built(graph):
    return pytorch.PyTorch().build(graph, allocate=False)


@pytest.mark.parametrize("name", [*GRAPHS, *CANON])
def test_our_own_networks_trace_back_to_what_they_are(name):
    graph = GRAPHS[name]() if name in GRAPHS else architecture(name)
    found = trace(built(graph), name, graph.input)
    assert digests(found) == digests(described(graph))
    assert (found.parameters, found.buffers) == (graph.parameters, graph.buffers)
    assert found.unused == ()
    assert sum(step.macs for step in found.steps) == graph.macs
    assert found.macs == graph.macs or found.notes


@pytest.mark.parametrize("other", OTHERS)
def test_a_network_that_differs_in_one_layer_is_seen(other):
    graph = OTHERS[other]
    found = trace(built(graph), graph.name, graph.input)
    assert digests(found) != digests(described(GRAPHS[graph.name]()))


class Model(nn.Module):
    """One of a kind of each array that a total must count, or leave out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)
        self.aside = nn.Linear(4, 7)
        self.norm.requires_grad_(requires_grad=False)
        self.register_buffer("seed", torch.tensor([1, 2, 3]))

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).mean((2, 3)))


def test_totals_are_the_models_own_and_the_ledger_closes():
    found = trace(Model(), "model", IMAGE)
    owned = [held for step in found.owned for held in step]
    assert found.parameters == 3 * 4 * 9 + 4 + 4 * 2 + 2 + 4 * 7 + 7
    assert found.buffers == 4 * 4
    assert found.printed == found.parameters + 8
    assert [held.path for held in found.unused] == ["aside.weight", "aside.bias"]
    every = [*owned, *found.unused]
    assert sum(h.size for h in every if h.trainable) == found.parameters
    assert sum(h.size for h in every if not h.trainable) == found.buffers
    assert found.macs == sum(step.macs for step in found.steps) == 3 * 4 * 9 * 36 + 8


def test_a_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).eval()
    model[1].train()
    model.aside = torch.ones(3)
    before = copy.deepcopy(model.state_dict())
    objects = {id(p) for p in model.parameters()}
    limit, state = sys.getrecursionlimit(), torch.get_rng_state()
    trace(model, "model", IMAGE)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == [False, False, True, False]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert {id(p) for p in model.parameters()} == objects
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(model.aside, torch.ones(3))
    assert (sys.getrecursionlimit(), torch.equal(torch.get_rng_state(), state)) == (limit, True)


def test_models_without_weights_trace_like_those_with():
    with pytorch_trace.without_weights():
        light = Model()
    assert all(p.is_meta for p in light.parameters())
    assert trace(light, "model", IMAGE) == trace(Model(), "model", IMAGE)


def test_a_model_takes_no_memory_for_weights_or_values():
    with pytorch_trace.without_weights():
        huge = nn.Sequential(nn.Flatten(), nn.Linear(3 * 2**20, 2**20))
    assert trace(huge, "huge", (3, 1024, 1024)).macs == 3 * 2**40


class KeepsItsNorm(nn.Module):
    """Whose `train` forgets to return the model, as people write it, and freezes its norm."""

    def __init__(self):
        super().__init__()
        self.norm = nn.SyncBatchNorm(3)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()

    def forward(self, x):
        return self.norm(x) + torch.zeros(1)


def test_a_model_for_many_devices_traces_on_one_whatever_device_is_the_default():
    with pytorch_trace.without_weights():
        found = trace(KeepsItsNorm(), "model", IMAGE)
    frozen = Other("frozen batch norm", {"epsilon": 1e-05, "momentum": 0.9})
    assert [step.layer for step in found.steps[1:]] == [frozen]


def test_what_does_not_depend_on_the_image_is_left_out_of_the_count_and_said():
    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 1)

        def forward(self, x):
            return x + self.conv(torch.ones(2, 1, 8, 8))

    found = trace(Adds(), "model", IMAGE)
    assert found.macs == sum(step.macs for step in found.steps) == 0
    assert "192 multiply-accumulates" in found.notes[0]
    assert [held.path for held in found.steps[1].tensors] == ["conv.weight", "conv.bias"]


def test_what_is_a_model():
    assert pytorch_trace.is_model(nn.ReLU())
    assert not pytorch_trace.is_model(nn.ReLU)
    assert pytorch_trace.image_of(nn.ReLU()) is None


class Chooses(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(Chooser())

    def forward(self, x):
        return self.inner(x)


class Chooser(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Selects(nn.Module):
    def forward(self, x):
        return x[x > 0]


class TakesTwo(nn.Module):
    def forward(self, x, y):
        return x + y


class Says(nn.Module):
    def forward(self, x):
        return f"{x.shape}"


class Leaves(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy())


class Locked(nn.Module):
    def __init__(self):
        super().__init__()
        self.stream = sys.stdout

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("model", "at", "why", "remedy"),
    [
        (Chooses, "net, inner.0", "asks for the value of a tensor", "torch.where"),
        (Selects, "net", "shape of a tensor depends", "torch.where"),
        (Leaves, "net", "numpy", "torch.where"),
        (TakesTwo, "net", "missing 1 required positional argument: 'y'", "one batch of images"),
        (Says, "net", "what it returns (str)", "return tensors"),
        (lambda: nn.Sequential(nn.Conv2d(5, 2, 3)), "net, 0", "5", "two images of (3, 8, 8)"),
        (lambda: nn.Sequential(nn.LazyConv2d(2, 3)), "net, 0", "no shape", "run the model once"),
        (Locked, "net", "cannot be copied", "outside of the model"),
    ],
)
def test_what_cannot_be_traced_is_said_with_a_remedy(model, at, why, remedy):
    with pytest.raises(Unsupported) as caught:
        trace(model(), "net", IMAGE)
    assert caught.value.what == at
    assert why in caught.value.why
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_model_does_not_show_its_layers():
    scripted = torch.jit.script(nn.Sequential(nn.ReLU()))
    with pytest.raises(Unsupported, match="TorchScript"):
        trace(scripted, "net", IMAGE)


def test_the_first_step_is_the_image_and_each_reads_only_what_is_before_it():
    found = trace(Model(), "model", IMAGE)
    assert found.steps[0].layer == Input(IMAGE)
    assert all(p < i for i, step in enumerate(found.steps) for p in step.inputs)
    assert not any(isinstance(step.layer, Other) for step in found.steps)
