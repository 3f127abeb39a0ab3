"""PyTorch's side of a profile: the modules of a network one by one, on their real inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from convbench.frameworks.protocol import NodeStep


def node_steps(
    network: fx.GraphModule, images: Tensor, finish: Callable[[], None], *, training: bool
) -> Iterator[NodeStep]:
    """Each module of a traced network, in order; a value is kept until it was last used.

    In training a step is the module's forward, and the gradients that the network wants of it.
    """
    values: dict[fx.Node, Tensor] = {}
    uses = Counter(source for node in network.graph.nodes for source in node.all_input_nodes)
    for node in network.graph.nodes:
        if node.op == "output":
            return
        inputs = [values[source] for source in node.all_input_nodes] or [images]
        module = _module(network, node)
        make = _trained if training else _inferred
        run = make(module, inputs)
        values[node] = run()
        yield str(node.target), _finished(run, finish)
        uses.subtract(node.all_input_nodes)
        for source in node.all_input_nodes:
            if not uses[source]:
                del values[source]


def _module(network: fx.GraphModule, node: fx.Node) -> nn.Module:
    if node.op == "placeholder":
        return nn.Identity()
    return network.get_submodule(str(node.target))


def _inferred(module: nn.Module, inputs: Sequence[Tensor]) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.inference_mode():
            answer: Tensor = module(*inputs)
        return answer

    return run


def _trained(module: nn.Module, inputs: Sequence[Tensor]) -> Callable[[], Tensor]:
    """Forward and vector-Jacobian product; what leaves it is a leaf that wants a gradient."""
    wanted: list[Any] = [x for x in inputs if x.requires_grad]
    wanted += [p for p in module.parameters() if p.requires_grad]
    if not wanted:
        return lambda: module(*inputs).detach()
    with torch.no_grad():
        vector = torch.randn_like(module(*inputs))

    def run() -> Tensor:
        answer: Tensor = module(*inputs)
        torch.autograd.grad(answer, wanted, vector)
        return answer.detach().requires_grad_()

    return run


def _finished(run: Callable[[], Tensor], finish: Callable[[], None]) -> Callable[[], None]:
    def step() -> None:
        run()
        finish()

    return step
