"""What a call of PyTorch does beside what it returns: it changes memory, or cuts gradients off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from attrs import define, field
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def versions(tensors: Iterable[Tensor]) -> list[tuple[Tensor, int]]:
    """How often each fake tensor was changed in place so far."""
    return [(t, t._version) for t in tensors if isinstance(t, FakeTensor)]


def gradient_of_its_own(tensor: Tensor) -> str:
    """Whose rule, not PyTorch's, gives the gradient of a tensor; empty if nobody's."""
    hooks: dict[int, Any] = tensor._backward_hooks or {}
    if not all(_of_torch(hook) for hook in hooks.values()):  # its counter has hooks too
        return "a hook"
    made_by = getattr(tensor.grad_fn, "_forward_cls", None)
    return "" if made_by is None or _of_torch(made_by) else str(made_by.__name__)


def _of_torch(what: Any) -> bool:
    return str(getattr(what, "__module__", "")).startswith("torch.")


def assigns(function: Any) -> bool:
    """Whether it is `tensor.data = ...`, which counts as no change of the tensor."""
    attribute = getattr(getattr(function, "__self__", None), "__name__", "")
    return getattr(function, "__name__", "") == "__set__" and attribute == "data"


@define
class Memory:
    """Which tensors share their values."""

    _sharing: dict[int, list[Tensor]] = field(factory=dict)

    def add(self, tensor: Tensor) -> None:
        """Takes a tensor in."""
        if isinstance(tensor, FakeTensor) and tensor.layout is torch.strided:
            self._sharing.setdefault(_storage(tensor), []).append(tensor)

    def others(self, tensor: Tensor) -> Iterator[Tensor]:
        """Every other tensor in the same memory."""
        known: list[Any] = self._sharing.get(_storage(tensor), [])
        yield from (other for other in known if other is not tensor)


def _storage(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address
