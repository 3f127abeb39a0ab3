"""PyTorch: graphs become `torch.fx.GraphModule`s with one named module per node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from convbench.base.errors import Unsupported
from convbench.frameworks.arrays import Keep
from convbench.frameworks.modes import DEFAULT, SINGLE, parts
from convbench.frameworks.observation import Observation, ObservedNode, ObservedTensor
from convbench.frameworks.protocol import (
    LEARNING_RATE,
    MOMENTUM,
    Array,
    DeviceClock,
    DeviceMemory,
    Libraries,
    NodeStep,
    Values,
)
from convbench.frameworks.pytorch.cuda import Queue, in_turn
from convbench.frameworks.pytorch.examine import examine
from convbench.frameworks.pytorch.layers import allocate_arrays, module_for
from convbench.frameworks.pytorch.modes import (
    autocast,
    laid_out,
    libraries,
    placed,
    require_compiler,
    runnable,
)
from convbench.frameworks.pytorch.nodes import node_steps
from convbench.frameworks.pytorch.peaks import PyTorchPeaks
from convbench.frameworks.registry import FRAMEWORKS, require_mode
from convbench.networks.graph import Graph
from convbench.networks.layer_row import Loss
from convbench.networks.ops import BatchNorm, Input
from convbench.networks.passes import PASSES, Pass


class _Distance(nn.Module):
    """Cross-entropy of the negative distances: LeNet-5's discriminative criterion."""

    def forward(self, distances: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(-distances, labels)


class _Binary(nn.Module):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))


class _SquaredError(nn.Module):
    """Squared error to +1 for the class and -1 for the others."""

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        targets = 2 * F.one_hot(labels, outputs.shape[1]).to(outputs.dtype) - 1
        return F.mse_loss(outputs, targets)


_LOSSES: dict[Loss, Callable[[], nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "binary_cross_entropy": _Binary,
    "distance": _Distance,
    "squared_error": _SquaredError,
}


_Loss: TypeAlias = Callable[[Any, Tensor], Any]


_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


class Network(fx.GraphModule):
    """A compiled network that knows the description it came from."""

    description: Graph
    mode: str
    dtype: str


def _trace(
    graph: Graph, outputs: tuple[str, ...], also: tuple[str, ...] = (), *, copied: bool = False
) -> fx.Graph:
    """The part of the network that leads to `outputs`, as calls of its named modules.

    What leaves the nodes in `also` is answered too, behind the outputs and without gradients.
    """
    traced = fx.Graph()
    values: dict[str, fx.Node] = {}
    for node in graph.leading_to((*outputs, *also)):
        if isinstance(node.op, Input):
            values[node.address] = traced.placeholder(node.address)
        else:
            inputs = tuple(values[name] for name in node.inputs)
            values[node.address] = traced.call_module(node.address, inputs)
    found = tuple(values[output] for output in outputs)
    for address in also:
        seen = traced.call_method("detach", (values[address],))
        found += (traced.call_method("clone", (seen,)) if copied else seen,)
    traced.output(found if len(found) > 1 else found[0])
    return traced


class PyTorch:
    """PyTorch: by default eager, as its documentation says to run it."""

    name = "pytorch"
    modes = FRAMEWORKS["pytorch"].modes or ()

    def __init__(self) -> None:
        self._device = torch.device("cpu")
        self._queue = Queue()

    def version(self) -> str:
        return f"torch {torch.__version__}"

    def libraries(self) -> Libraries:
        return libraries()

    def prepare(self, device: str, threads: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise Unsupported(
                "device cuda", "PyTorch sees no CUDA device", "choose --bench-device cpu"
            )
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def build(
        self, graph: Graph, *, allocate: bool, mode: str = DEFAULT, dtype: str = SINGLE
    ) -> Network:
        require_mode(self, mode)
        if "compiled" in parts(mode) and allocate:
            require_compiler()
        with torch.device("meta"):
            modules = {
                n.address: module_for(n, graph) for n in graph if not isinstance(n.op, Input)
            }
            network = Network(modules, _trace(graph, graph.outputs), graph.name)
        network.description, network.mode, network.dtype = graph, mode, dtype
        laid_out(network, mode)
        if allocate:
            allocate_arrays(network, self._device)
        for node in graph:
            if node.frozen and node.tensors:
                network.get_submodule(node.address).requires_grad_(requires_grad=False)
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

    def load(self, model: Network, values: Values) -> None:
        with torch.no_grad():
            for key, tensor in _arrays(model):
                tensor.copy_(torch.from_numpy(values(key, tuple(tensor.shape))))

    def read(self, model: Network) -> dict[str, Array]:
        return {key: tensor.detach().cpu().numpy().copy() for key, tensor in _arrays(model)}

    def run(self, model: Network, images: Array) -> Array:
        model.eval()
        with torch.inference_mode(), autocast(self._device, model.dtype):
            answer: Tensor = _inference(model)(_placed(model, images))
        return answer.float().cpu().numpy()

    def step(self, model: Network, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        x, y = _placed(model, images), torch.from_numpy(labels).to(self._device)
        facts = PASSES[pass_]
        if not facts.goes_backward:
            return self._forward(_inference(model.eval()), x, model.dtype)
        trained = runnable(_training(model), model.mode)
        return self._training(trained, _criterion(model), x, y, facts.trains, model.dtype)

    def takes(self, model: Any) -> bool:
        return isinstance(model, nn.Module)

    def answer(self, model: nn.Module, images: Array) -> tuple[int, ...] | None:
        model.to(self._device).eval()
        with torch.no_grad():  # what lazy layers make in inference_mode could not be trained
            found = model(torch.from_numpy(images).to(self._device))
        return tuple(found.shape) if isinstance(found, Tensor) else None

    def own_step(
        self, model: nn.Module, pass_: Pass, images: Array, labels: Array, loss: _Loss | None
    ) -> Callable[[], None]:
        x = torch.from_numpy(images).to(self._device)
        facts = PASSES[pass_]
        if not facts.goes_backward:
            return self._forward(model.eval(), x)
        y = torch.from_numpy(labels).to(self._device)
        criterion = loss or nn.CrossEntropyLoss()
        return self._training(model.train(), criterion, x, y, facts.trains)

    def _forward(self, model: nn.Module, x: Tensor, dtype: str = SINGLE) -> Callable[[], None]:
        def over(x: Tensor) -> Callable[[], None]:
            def step() -> None:
                with torch.inference_mode(), autocast(self._device, dtype):
                    model(x)
                self._finish()

            return step

        return self._over(x, over)

    def _training(
        self,
        model: nn.Module,
        loss: _Loss,
        x: Tensor,
        y: Tensor,
        update: bool,
        dtype: str = SINGLE,
    ) -> Callable[[], None]:
        # Gradients in float16 would vanish unscaled; in other precisions this does nothing.
        scaler = torch.amp.GradScaler(self._device.type, enabled=dtype == "float16")
        optimizer = torch.optim.SGD(
            [p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, momentum=MOMENTUM
        )

        def over(x: Tensor) -> Callable[[], None]:
            def step() -> None:
                optimizer.zero_grad()
                with autocast(self._device, dtype):
                    value = loss(model(x), y)
                torch.autograd.backward(scaler.scale(value))
                if update:
                    scaler.step(optimizer)
                    scaler.update()
                self._finish()

            return step

        return self._over(x, over)

    def _over(
        self, batch: Tensor, over: Callable[[Tensor], Callable[[], None]]
    ) -> Callable[[], None]:
        """A step over a batch; on a GPU, over copies of it in turn."""
        return in_turn(over, batch) if self._device.type == "cuda" else over(batch)

    def _finish(self) -> None:
        if self._device.type == "cuda":
            self._queue.finish()

    def device_clock(self) -> DeviceClock | None:
        return self._queue.timed if self._device.type == "cuda" else None

    def examine(
        self,
        graph: Graph,
        values: Values,
        batch: tuple[Array, Array],
        steps: int,
        keep: Keep,
        *,
        mode: str = DEFAULT,
        dtype: str = "float64",
    ) -> None:
        model = self.build(graph, allocate=True, mode=mode).to(_DTYPES[dtype])
        self.load(model, values)
        trained = _training(model, also=tuple(n.address for n in graph.nodes[1:]))
        network, loss = runnable(trained, mode), _criterion(model)
        x, y = _placed(model, batch[0]), torch.from_numpy(batch[1]).to(self._device)
        examine(trained, lambda: network(x), lambda answer: loss(answer, y), steps, keep)

    def node_steps(self, model: Network, pass_: Pass, images: Array) -> Iterator[NodeStep]:
        if "compiled" in parts(model.mode):
            why = "what torch.compile makes of a network has no nodes"
            raise Unsupported("a profile of mode compiled", why, "choose another mode")
        training = PASSES[pass_].goes_backward
        network = _training(model) if training else _inference(model.eval())
        return node_steps(network, _placed(model, images), self._finish, training=training)

    def peaks(self, dtype: str) -> PyTorchPeaks:
        return PyTorchPeaks(self._device, getattr(torch, dtype), self._finish)

    def device_memory(self) -> DeviceMemory | None:
        if self._device.type != "cuda":
            return None
        return DeviceMemory(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())


def framework() -> PyTorch:
    """PyTorch in this process."""
    return PyTorch()


def _placed(model: Network, images: Array) -> Tensor:
    """Images where the model is, as it wants them."""
    return placed(images, next(model.parameters()), model.mode)


def _inference(model: Network) -> Any:
    """The network without what only training needs, as its mode runs it."""
    graph = model.description
    if len(graph.outputs) > 1:
        traced = _trace(graph, (graph.output.address,))
        return runnable(fx.GraphModule(model, traced).eval(), model.mode)
    return runnable(model, model.mode)


def _training(model: Network, also: tuple[str, ...] = ()) -> fx.GraphModule:
    """The network up to what enters the loss, in training mode but for what is frozen.

    It answers with the logits of all heads, and then with the nodes that are wanted `also`.
    """
    graph = model.description
    logits = tuple(head.logits for head in graph.heads)
    # Where one output of a compiled graph is a detached view of another, no gradient comes back.
    copied = "compiled" in parts(model.mode)
    trained = fx.GraphModule(model, _trace(graph, logits, also, copied=copied))
    trained.train()
    for node in graph:
        if node.frozen and isinstance(node.op, BatchNorm):
            model.get_submodule(node.address).eval()
    return trained


def _criterion(model: Network) -> _Loss:
    """The loss of all heads, each with its weight, of what a network in training answers."""
    graph = model.description
    one = _LOSSES[graph.loss]()
    weights = [head.weight for head in graph.heads]

    def total(answer: Any, labels: Tensor) -> Tensor:
        outputs = answer if isinstance(answer, tuple) else (answer,)
        losses = [w * one(output, labels) for w, output in zip(weights, outputs, strict=False)]
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    return total


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
