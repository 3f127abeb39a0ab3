"""PyTorch's side of parity: everything that a training step computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from convbench.evidence import Keep
from convbench.frameworks import EXAMINED_MOMENTUM, EXAMINED_RATE, Array


def examine(
    model: fx.GraphModule,
    loss: Callable[[Any, Tensor], Tensor],
    batch: tuple[Array, Array],
    steps: int,
    keep: Keep,
) -> None:
    """Keeps outputs, gradients and statistics of the first step, and the losses of all."""
    dtype = next(model.parameters()).dtype
    images, labels = torch.from_numpy(batch[0]).to(dtype), torch.from_numpy(batch[1])
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    before = {key: value.clone() for key, value in _statistics(model)}
    seen = _Outputs(model, keep)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=EXAMINED_RATE, momentum=EXAMINED_MOMENTUM)
    for step in range(steps):
        optimizer.zero_grad()
        value = loss(model(images), labels)
        value.backward()  # type: ignore[no-untyped-call]
        keep("loss", str(step), np.asarray(value.item()))
        if step == 0:
            seen.close()
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    assert parameter.grad is not None, f"{name} takes no part"
                    keep("gradient", _key(name), parameter.grad.numpy())
            for key, now in _statistics(model):
                keep("statistic", key, seen.biased(key, before[key], now).numpy())
        optimizer.step()


class _Outputs:
    """Hooks that keep what leaves each node, and how many values each mean is taken of."""

    def __init__(self, model: fx.GraphModule, keep: Keep) -> None:
        self._counts: dict[str, int] = {}
        self._decays: dict[str, float] = {}
        self._handles = [
            model.get_submodule(str(node.target)).register_forward_hook(
                self._hook(str(node.target), keep)
            )
            for node in model.graph.nodes
            if node.op == "call_module"
        ]

    def _hook(self, address: str, keep: Keep) -> Callable[[nn.Module, Any, Tensor], None]:
        def note(module: nn.Module, _: Any, output: Tensor) -> None:
            keep("output", address, output.detach().numpy())
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                self._counts[address] = output.numel() // output.shape[1]
                self._decays[address] = 1 - (module.momentum or 0.0)

        return note

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def biased(self, key: str, before: Tensor, now: Tensor) -> Tensor:
        """A running variance with the batch's biased variance in it, as the papers define it.

        PyTorch puts the unbiased one there, which is n / (n - 1) times as large.
        """
        address, _, name = key.rpartition("/")
        if name != "running_var" or torch.equal(before, now):
            return now
        count, kept = self._counts[address], before * self._decays[address]
        return kept + (now - kept) * (count - 1) / count


def _statistics(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(_key(name), b) for name, b in model.named_buffers() if "running_" in name]


def _key(name: str) -> str:
    return "/".join(name.rsplit(".", 1))
