"""PyTorch's side of parity: everything that a training step computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx, nn

from convbench.frameworks.arrays import Keep
from convbench.frameworks.protocol import EXAMINED_MOMENTUM, EXAMINED_RATE, Array


def examine(
    model: fx.GraphModule,
    answer: Callable[[], tuple[Tensor, ...]],
    loss: Callable[[tuple[Tensor, ...]], Tensor],
    steps: int,
    keep: Keep,
) -> None:
    """Keeps outputs, gradients and statistics of the first step, and the losses of all.

    `answer` runs the model, in whatever mode: logits first, and then what leaves every node.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    before = {key: value.clone() for key, value in _statistics(model)}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=EXAMINED_RATE, momentum=EXAMINED_MOMENTUM)
    for step in range(steps):
        optimizer.zero_grad()
        found = answer()
        value = loss(found)
        counts = _keep_outputs(model, found, keep) if step == 0 else {}
        del found  # what no gradient needs
        value.backward()  # type: ignore[no-untyped-call]
        keep("loss", str(step), np.asarray(value.item()))
        if step == 0:
            _keep_gradients(model, keep)
            for key, now in _statistics(model):
                keep("statistic", key, _array(_biased(model, key, before[key], now, counts)))
        optimizer.step()


def _keep_outputs(model: fx.GraphModule, found: tuple[Tensor, ...], keep: Keep) -> dict[str, int]:
    """Keeps what left each node; tells how many values each channel had there."""
    addresses = [str(node.target) for node in model.graph.nodes if node.op == "call_module"]
    outputs = dict(zip(addresses, found[-len(addresses) :], strict=True))
    for address, output in outputs.items():
        keep("output", address, _array(output))
    return {address: output.numel() // output.shape[1] for address, output in outputs.items()}


def _keep_gradients(model: nn.Module, keep: Keep) -> None:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} takes no part"
            keep("gradient", _key(name), _array(parameter.grad))


def _biased(
    model: nn.Module, key: str, before: Tensor, now: Tensor, counts: dict[str, int]
) -> Tensor:
    """A running variance with the batch's biased variance in it, as the papers define it.

    PyTorch puts the unbiased one there, which is n / (n - 1) times as large.
    """
    address, _, name = key.rpartition("/")
    if name != "running_var" or torch.equal(before, now):
        return now
    momentum = model.get_submodule(address).momentum
    assert isinstance(momentum, float)
    count, kept = counts[address], before.double() * (1 - momentum)
    return kept + (now - kept) * (count - 1) / count


def _statistics(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(_key(name), b) for name, b in model.named_buffers() if "running_" in name]


def _key(name: str) -> str:
    return "/".join(name.rsplit(".", 1))


def _array(values: Tensor) -> Array:
    """Values as numpy has them, which knows no bfloat16."""
    values = values.detach().cpu()
    return (values.float() if values.dtype is torch.bfloat16 else values).numpy()
