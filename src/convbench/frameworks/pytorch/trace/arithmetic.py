"""Calls of PyTorch that add, multiply and divide, as people write them between layers."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor

from convbench.frameworks.pytorch.trace.calls import Call, shape_of
from convbench.frameworks.pytorch.trace.recorder import Fixed, Handler, Recorder
from convbench.frameworks.trace import Setting, setting
from convbench.networks.ops import Add, Multiply, Scale


def _operands(recorder: Recorder, call: Call) -> tuple[Any, Any, str]:
    """The value, what it meets, and of what kind that is; the value is the first that is one."""
    x, y = call.get(0, "input"), call.get(1, "other")
    if recorder.position(x) is None:
        x, y = y, x
    return x, y, recorder.kind(y)


def _shape(y: Tensor) -> dict[str, Setting]:
    return {"shape": tuple(y.shape)}


def _scaled(recorder: Recorder, call: Call, x: Any, factor: float) -> None:
    position = recorder.position(x)
    if factor == 1 and position is not None:
        recorder.same(call, position)
    elif factor == 0:
        recorder.know(call.result, Fixed("zeros"))
    else:
        recorder.record(call, Scale(float(factor)), (x,))


def _shifted(recorder: Recorder, call: Call, x: Any, constant: float) -> None:
    position = recorder.position(x)
    if constant == 0 and position is not None:
        recorder.same(call, position)
    else:
        recorder.other(call, "add constant", {"value": setting(constant)})


def _add(recorder: Recorder, call: Call) -> None:
    x, y, kind = _operands(recorder, call)
    alpha = call.kwargs.get("alpha", 1)
    if alpha != 1:
        recorder.other(call, "add", {"alpha": setting(alpha)})
    elif kind == "number":
        _shifted(recorder, call, x, y)
    elif kind == "value" and shape_of(x) == shape_of(y):
        recorder.record(call, Add(), (call.get(0, "input"), call.get(1, "other")))
    elif kind == "zeros" and x.shape == call.result.shape:
        _shifted(recorder, call, x, 0)
    else:
        names = {"value": "add", "arrays": "add parameter", "random": "add noise"}
        recorder.other(call, names.get(kind, "add constant"), _shape(y))


def _sub(recorder: Recorder, call: Call) -> None:
    x, y, kind = _operands(recorder, call)
    first = x is call.get(0, "input")
    if kind == "number" and first and call.kwargs.get("alpha", 1) == 1:
        _shifted(recorder, call, x, -y)
    else:
        names = {"value": "subtract", "arrays": "subtract parameter", "number": "subtract from"}
        settings = _shape(y) if isinstance(y, Tensor) else {"value": setting(y)}
        recorder.other(call, names.get(kind, "subtract constant"), settings)


def _rsub(recorder: Recorder, call: Call) -> None:
    recorder.other(call, "subtract from", {"value": setting(call.get(1, "other"))})


def _mul(recorder: Recorder, call: Call) -> None:
    x, y, kind = _operands(recorder, call)
    if kind == "number":
        _scaled(recorder, call, x, y)
    elif kind == "value":
        _product(recorder, call, x, y)
    elif kind == "random":
        recorder.other(call, "stochastic depth", {})
    elif kind == "zeros":
        recorder.know(call.result, Fixed("zeros"))
    else:
        name = "scale by parameter" if kind == "arrays" else "scale by constant"
        recorder.other(call, name, _shape(y))


def _product(recorder: Recorder, call: Call, x: Tensor, y: Tensor) -> None:
    """The product of two values, of which one may be a factor for each channel."""
    image, gate = (x, y) if x.numel() >= y.numel() else (y, x)
    channels = image.shape[1] if image.ndim == 4 else 0
    one_each = channels and gate.ndim == 4 and prod(shape_of(gate)) == gate.shape[1] == channels
    if one_each and image.shape == call.result.shape:
        recorder.record(call, Multiply(), (image, gate))
    else:
        recorder.other(call, "multiply", {} if x.shape == y.shape else _shape(gate))


def _div(recorder: Recorder, call: Call) -> None:
    x, y, kind = _operands(recorder, call)
    if call.kwargs.get("rounding_mode"):
        recorder.other(call)
    elif kind == "number" and x is call.get(0, "input"):
        _scaled(recorder, call, x, 1 / y)
    else:
        names = {"value": "divide", "arrays": "divide by parameter", "number": "divide number"}
        settings = _shape(y) if isinstance(y, Tensor) else {"value": setting(y)}
        recorder.other(call, names.get(kind, "divide by constant"), settings)


def _rdiv(recorder: Recorder, call: Call) -> None:
    recorder.other(call, "divide number", {"value": setting(call.get(1, "other"))})


def _neg(recorder: Recorder, call: Call) -> None:
    _scaled(recorder, call, call.get(0, "input"), -1.0)


ARITHMETIC: dict[str, Handler] = {
    "add": _add,
    "sub": _sub,
    "rsub": _rsub,
    "mul": _mul,
    "div": _div,
    "rdiv": _rdiv,
    "neg": _neg,
}
"""By the name of the function."""
