"""The form of one call of a function of PyTorch, whichever way it was written."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from torch import Tensor

from convbench.frameworks.trace import Setting, setting
from convbench.networks.ops import Shape

BATCH = 2
"""Images in a trace: batch normalization in training needs more than one."""


@frozen
class Call:
    """One call of a function of PyTorch, and what it returned."""

    function: Any
    name: str
    """`add` for `torch.add`, `x + y`, `x += y` and `x.add_(y)`."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any
    macs: int
    """Multiply-accumulates for one image, as PyTorch's own counter has them."""

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor among the arguments, in order."""
        return tuple(leaves((self.args, dict(self.kwargs))))


_SPELLINGS = {
    "add": ("iadd", "radd"),
    "sub": ("isub", "subtract"),
    "mul": ("imul", "rmul", "multiply"),
    "div": ("truediv", "itruediv", "idiv", "true_divide", "divide"),
    "rdiv": ("rtruediv",),
    "neg": ("negative",),
    "matmul": ("imatmul", "mm"),
    "cat": ("concat", "concatenate"),
    "clamp": ("clip",),
    "permute": ("transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT"),
}
_ALIASES = {other: name for name, others in _SPELLINGS.items() for other in others}


def function_name(function: Any) -> str:
    """One name for all forms of a function: as an operator, in place, of a tensor, of `torch`."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        name = function.__self__.__name__  # what a tensor has as an attribute
    bare = name.partition(".")[0].strip("_")  # an operator has its types behind a dot
    return _ALIASES.get(bare, bare)


def leaves(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists, mappings and objects with fields, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from leaves(getattr(value, name))


def moves_nothing(index: Any) -> bool:
    """Whether what it takes, it takes in order and once: lists and tensors may do otherwise."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(p, slice | int | None) or p is Ellipsis for p in parts)


REFORMED = frozenset(
    {"view", "reshape", "flatten", "squeeze", "unsqueeze", "permute"}
    | {"to", "float", "half", "double", "bfloat16", "type", "type_as", "contiguous", "clone"}
    | {"detach", "data", "view_as", "reshape_as", "cpu", "cuda", "getitem", "expand", "alias"}
)
"""Functions that give the values of a tensor in another form."""


def only_reformed(call: Call, array: Tensor) -> bool:
    """Whether a call returns an array as it is, at most in another form."""
    result = call.result
    if call.name not in REFORMED or not isinstance(result, Tensor):
        return False
    if call.name == "getitem" and not moves_nothing(call.args[1]):
        return False
    return result.numel() == array.numel() and result.is_floating_point()


def shape_of(tensor: Tensor) -> Shape:
    """Shape for one image."""
    shape = tuple(tensor.shape)
    return shape[1:] if shape[:1] == (BATCH,) else shape


def settings_of(call: Call) -> dict[str, Setting]:
    """What a call was told beside tensors."""
    try:
        names = list(inspect.signature(call.function).parameters)
    except (TypeError, ValueError):  # built-in functions do not say what they take
        names = []
    names += [f"argument {i}" for i in range(len(names), len(call.args))]
    told = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
    return {
        name: setting(value)
        for name, value in told.items()
        if isinstance(value, int | float | str | tuple | list | slice)
        and not name.startswith("_")
        and name not in ("inplace", "training")
        and not any(True for _ in leaves(value))
    }
