"""What PyTorch's modes change: the layout of images and kernels, and who runs the layers."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, fx, nn

from convbench.base.errors import Unsupported, telling_line
from convbench.frameworks.modes import SINGLE, parts
from convbench.frameworks.protocol import Libraries


def libraries() -> Libraries:
    """What decides PyTorch's speed on a CPU, as PyTorch says it."""
    built = re.search(r"\bBLAS_INFO=(\w+)", torch.__config__.show())
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return (
        ("instruction set", torch.backends.cpu.get_cpu_capability()),
        ("oneDNN", "on" if onednn else "off"),
        ("BLAS", built[1] if built else "unknown"),
    )


def laid_out(network: nn.Module, mode: str) -> None:
    """Gives every kernel the layout in memory that the mode wants."""
    if "channels_last" in parts(mode):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def placed(images: Any, like: Tensor, mode: str) -> Tensor:
    """Images `(N, C, H, W)` on the device and in the precision of `like`, as the mode lays out."""
    layout = torch.channels_last if "channels_last" in parts(mode) else torch.contiguous_format
    return torch.from_numpy(images).to(like).contiguous(memory_format=layout)


def autocast(device: torch.device, dtype: str) -> AbstractContextManager[Any]:
    """Convolutions and matrix products in half precision, where that is the precision."""
    if dtype == SINGLE:
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, dtype))


def runnable(module: fx.GraphModule, mode: str) -> Any:
    """What is called in the place of a module: in one compiled graph, or the module itself.

    A graph that breaks would run in part eagerly, so `fullgraph` makes that an error.
    """
    return torch.compile(module, fullgraph=True) if "compiled" in parts(mode) else module


def require_compiler() -> None:
    """Raises Unsupported unless `torch.compile` does compile here: it may be switched off."""
    try:
        compiled = bool(torch.compile(_told, fullgraph=True)(torch.zeros(1)).item())
        why = "it is switched off"
    except Exception as error:  # of whatever the compiler, its headers and its cache may want
        compiled, why = False, telling_line(str(error), most=200)
    if not compiled:
        raise Unsupported(
            "mode compiled",
            f"torch.compile does not compile here ({why})",
            "install a C++ compiler such as g++, and unset TORCH_COMPILE_DISABLE",
        )


def _told(x: Tensor) -> Tensor:
    """One more if this is compiled."""
    return x + 1 if torch.compiler.is_compiling() else x
