"""PyTorch: graphs become `torch.fx.GraphModule`s with one named module per node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from convbench.errors import Unsupported
from convbench.frameworks import Array, DeviceMemory, Pass
from convbench.graph import Graph, Loss, Node
from convbench.observation import Observation, ObservedNode, ObservedTensor
from convbench.ops import (
    Add,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Input,
    Lrn,
    MaxPool,
    PadChannels,
    Padding,
    Rbf,
    Relu,
    ScaledTanh,
    Sigmoid,
    Softmax,
    Subsample,
    TableConv,
)

LEARNING_RATE = 1e-3
MOMENTUM = 0.9


class _PaddedConv2d(nn.Conv2d):
    """A convolution whose padding differs from side to side."""

    def __init__(self, sides: Padding, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        top, bottom, left, right = sides
        self.sides = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self.sides)
        return super().forward(padded)


class _PaddedMaxPool2d(nn.MaxPool2d):
    """A pooling whose padding differs from side to side; padding never wins."""

    def __init__(self, sides: Padding, *args: Any) -> None:
        super().__init__(*args)
        top, bottom, left, right = sides
        self.sides = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = super().forward(F.pad(x, self.sides, value=-torch.inf))
        return padded


class _TableConv2d(nn.Module):
    """LeNet-5's C3: only the connections of the table have weights."""

    index: Tensor

    def __init__(self, op: TableConv, channels: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = op.kernel, (1, 1)
        self.shape = (len(op.table) * channels, *op.kernel)
        self.flat = [out * channels + c for out, maps in enumerate(op.table) for c in maps]
        self.weight = nn.Parameter(torch.empty(len(self.flat), *op.kernel))
        self.bias = nn.Parameter(torch.empty(len(op.table)))
        self.register_buffer("index", torch.tensor(self.flat), persistent=False)

    def fill_index(self) -> None:
        """Where each weight lies in the dense kernel; to be called when there is memory."""
        self.index.copy_(torch.tensor(self.flat))

    def forward(self, x: Tensor) -> Tensor:
        dense = self.weight.new_zeros(self.shape).index_copy(0, self.index, self.weight)
        kernel = dense.reshape(self.bias.numel(), -1, *self.kernel_size)
        return F.conv2d(x, kernel, self.bias)


class _Subsample(nn.Module):
    """LeNet-5's S2 and S4: the sum of a window times a coefficient plus a bias, per map."""

    def __init__(self, op: Subsample, channels: int) -> None:
        super().__init__()
        self.kernel_size = self.stride = op.kernel
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        sums = F.avg_pool2d(x, self.kernel_size, divisor_override=1)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]


class _Rbf(nn.Module):
    """Squared distances to fixed codes."""

    weight: Tensor

    def __init__(self, op: Rbf) -> None:
        super().__init__()
        self.register_buffer("weight", torch.empty(len(op.codes), len(op.codes[0])))

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None, :] - self.weight).square().sum(-1)


class _ScaledTanh(nn.Module):
    def __init__(self, op: ScaledTanh) -> None:
        super().__init__()
        self.amplitude, self.slope = op.amplitude, op.slope

    def forward(self, x: Tensor) -> Tensor:
        return self.amplitude * torch.tanh(self.slope * x)


class _Add(nn.Module):
    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        return sum(others, start=first)


class _PadChannels(nn.Module):
    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


def _module(node: Node, graph: Graph) -> nn.Module:
    channels = graph[node.inputs[0]].output[0] if node.inputs else 0
    match node.op:
        case Input():
            return nn.Identity()
        case Conv() as op:
            return _conv(op, channels)
        case TableConv() as op:
            return _TableConv2d(op, channels)
        case Dense(features=features, bias=bias):
            return nn.Linear(channels, features, bias=bias)
        case Rbf() as op:
            return _Rbf(op)
        case MaxPool() as op:
            return _max_pool(op, node, graph)
        case Subsample() as op:
            return _Subsample(op, channels)
        case GlobalAvgPool():
            return nn.AdaptiveAvgPool2d(1)
        case BatchNorm(eps=eps, decay=decay):
            kind = nn.BatchNorm2d if len(node.output) == 3 else nn.BatchNorm1d
            return kind(channels, eps=eps, momentum=1 - decay)
        case Lrn(size=size, k=k, alpha=alpha, beta=beta):
            # PyTorch divides alpha by the number of channels in the sum, the papers do not.
            return nn.LocalResponseNorm(size, alpha * size, beta, k)
        case Relu():
            return nn.ReLU()
        case Sigmoid():
            return nn.Sigmoid()
        case ScaledTanh() as op:
            return _ScaledTanh(op)
        case Softmax():
            return nn.Softmax(dim=1)
        case Dropout(rate=rate):
            return nn.Dropout(rate)
        case Flatten():
            return nn.Flatten()
        case Add():
            return _Add()
        case PadChannels(extra=extra):
            return _PadChannels(extra)
        case _:
            assert_never(node.op)


def _conv(op: Conv, channels: int) -> nn.Module:
    top, bottom, left, right = op.padding
    described: dict[str, Any] = {"stride": op.stride, "groups": op.groups, "bias": op.bias}
    if (top, left) == (bottom, right):
        return nn.Conv2d(channels, op.channels, op.kernel, padding=(top, left), **described)
    return _PaddedConv2d(op.padding, channels, op.channels, op.kernel, **described)


def _max_pool(op: MaxPool, node: Node, graph: Graph) -> nn.Module:
    top, bottom, left, right = op.padding
    if (top, left) == (bottom, right):
        return nn.MaxPool2d(op.kernel, op.stride, (top, left))
    _, h, w = graph[node.inputs[0]].output
    as_ceil = nn.MaxPool2d(op.kernel, op.stride, (top, left), ceil_mode=True)
    # ceil_mode is how people write it, where it means the same windows.
    meta = torch.empty(1, 1, h, w, device="meta")
    if tuple(as_ceil(meta).shape[2:]) == node.output[1:] and top < bottom and left < right:
        return as_ceil
    return _PaddedMaxPool2d(op.padding, op.kernel, op.stride)


class _Distance(nn.Module):
    """Cross-entropy of the negative distances: LeNet-5's discriminative criterion."""

    def forward(self, distances: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(-distances, labels)


class _Binary(nn.Module):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))


_LOSSES: dict[Loss, Callable[[], nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "binary_cross_entropy": _Binary,
    "distance": _Distance,
}


class Network(fx.GraphModule):
    """A compiled network that knows the description it came from."""

    description: Graph


def _trace(graph: Graph, output: str) -> fx.Graph:
    """The part of the network that leads to `output`, as calls of its named modules."""
    traced = fx.Graph()
    values: dict[str, fx.Node] = {}
    for node in graph:
        if isinstance(node.op, Input):
            values[node.address] = traced.placeholder(node.address)
        else:
            inputs = tuple(values[name] for name in node.inputs)
            values[node.address] = traced.call_module(node.address, inputs)
        if node.address == output:
            break
    traced.output(values[output])
    return traced


class PyTorch:
    """PyTorch, eager, as its documentation says to run it."""

    name = "pytorch"

    def __init__(self) -> None:
        self._device = torch.device("cpu")

    def version(self) -> str:
        return f"torch {torch.__version__}"

    def prepare(self, device: str, threads: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise Unsupported(
                "device cuda", "PyTorch sees no CUDA device", "choose --bench-device cpu"
            )
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def build(self, graph: Graph, *, allocate: bool) -> Network:
        with torch.device("meta"):
            modules = {n.address: _module(n, graph) for n in graph if not isinstance(n.op, Input)}
            network = Network(modules, _trace(graph, graph.output.address), graph.name)
        network.description = graph
        if allocate:
            network.to_empty(device=self._device)
            for module in network.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.reset_running_stats()
                elif isinstance(module, _TableConv2d):
                    module.fill_index()
        return network.eval()

    def observe(self, model: Network) -> Observation:
        """Reads shapes off a real forward pass of one image, through hooks on every module."""
        seen: dict[str, ObservedNode] = {}

        def hook(address: str) -> Callable[[nn.Module, Any, Tensor], None]:
            def note(module: nn.Module, _: Any, output: Tensor) -> None:
                seen[address] = ObservedNode(
                    tuple(output.shape[1:]),
                    _tensors(module),
                    _window(module, "kernel_size"),
                    _window(module, "stride"),
                )

            return note

        handles = [
            model.get_submodule(n.target).register_forward_hook(hook(n.target))
            for n in model.graph.nodes
            if n.op == "call_module"
        ]
        parameters = list(model.parameters())
        device = parameters[0].device
        graph = model.description
        images = torch.zeros(1, *graph.input, device=device, dtype=parameters[0].dtype)
        try:
            with torch.inference_mode():
                model.eval()(images)
        finally:
            for handle in handles:
                handle.remove()
        buffers = (b for b in model.buffers() if b.is_floating_point())
        images_node = {graph.nodes[0].address: ObservedNode(tuple(images.shape[1:]), {})}
        return Observation(
            self.name,
            images_node | seen,
            sum(p.numel() for p in parameters if p.requires_grad),
            sum(b.numel() for b in buffers)
            + sum(p.numel() for p in parameters if not p.requires_grad),
        )

    def load(self, model: Network, values: Callable[[str, tuple[int, ...]], Array]) -> None:
        with torch.no_grad():
            for key, tensor in _arrays(model):
                tensor.copy_(torch.from_numpy(values(key, tuple(tensor.shape))))

    def read(self, model: Network) -> dict[str, Array]:
        return {key: tensor.detach().cpu().numpy().copy() for key, tensor in _arrays(model)}

    def run(self, model: Network, images: Array) -> Array:
        model.eval()
        with torch.inference_mode():
            answer: Tensor = model(torch.from_numpy(images).to(self._device))
        return answer.cpu().numpy()

    def step(self, model: Network, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        x = torch.from_numpy(images).to(self._device)
        y = torch.from_numpy(labels).to(self._device)
        if pass_ == "forward":
            return self._forward(model.eval(), x)
        graph = model.description
        trained = fx.GraphModule(model, _trace(graph, graph.logits.address)).train()
        return self._training(trained, _LOSSES[graph.loss](), x, y, pass_ == "train_step")

    def _forward(self, model: nn.Module, x: Tensor) -> Callable[[], None]:
        def step() -> None:
            with torch.inference_mode():
                model(x)
            self._finish()

        return step

    def _training(
        self, model: nn.Module, loss: nn.Module, x: Tensor, y: Tensor, update: bool
    ) -> Callable[[], None]:
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

        def step() -> None:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            if update:
                optimizer.step()
            self._finish()

        return step

    def _finish(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def device_memory(self) -> DeviceMemory | None:
        if self._device.type != "cuda":
            return None
        return DeviceMemory(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())


def framework() -> PyTorch:
    """PyTorch in this process."""
    return PyTorch()


def _arrays(model: Network) -> list[tuple[str, Tensor]]:
    """`address/parameter` and tensor of everything that is a value of the network."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return [("/".join(name.rsplit(".", 1)), t) for name, t in named if t.is_floating_point()]


def _tensors(module: nn.Module) -> dict[str, ObservedTensor]:
    named = [*module.named_parameters(), *module.named_buffers()]
    return {
        name: ObservedTensor(tuple(t.shape), t.requires_grad)
        for name, t in named
        if t.is_floating_point()  # a count of batches is not a value of the network
    }


def _window(module: nn.Module, name: str) -> tuple[int, int] | None:
    value = getattr(module, name, None)
    return (value, value) if isinstance(value, int) else value
