"""Calls of PyTorch that are layers: convolutions, pools, normalization, activations."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from convbench.frameworks.pytorch.trace.calls import Call, shape_of
from convbench.frameworks.pytorch.trace.recorder import Handler, Recorder
from convbench.frameworks.trace import Other, Setting, setting
from convbench.networks.ops import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalAvgPool,
    Lrn,
    MaxPool,
    Op,
    Padding,
    Pair,
    Relu,
    Relu6,
    Shape,
    Sigmoid,
    Silu,
    Softmax,
    same,
)


def _two(value: Any) -> Pair:
    """`(height, width)` of what PyTorch takes for it."""
    if isinstance(value, int):
        return (value, value)
    first, *rest = value
    return (int(first), int(rest[0] if rest else first))


def _conv2d(recorder: Recorder, call: Call) -> None:
    x, weight = call.get(0, "input"), call.get(1, "weight")
    bias = call.get(2, "bias")
    stride, dilation = _two(call.get(3, "stride", 1)), _two(call.get(5, "dilation", 1))
    groups, kernel = call.get(6, "groups", 1), _two(weight.shape[2:])
    padding = _conv_padding(call.get(4, "padding", 0), kernel, dilation)
    held = recorder.held(weight, "weight"), recorder.held(bias, "bias")
    settings: dict[str, Setting] = {
        "channels": int(weight.shape[0]),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    if held[0] is None or (bias is not None and held[1] is None):
        recorder.other(call, "convolution with a computed kernel", settings)
    elif recorder.position(x) is None:
        recorder.other(call, "convolution of a constant", settings)
    elif dilation != (1, 1):
        recorder.other(call, "dilated convolution", settings)
    else:
        op = Conv(
            int(weight.shape[0]),
            kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            bias=bias is not None,
        )
        recorder.record(call, op, (x,), held)


def _conv_padding(padding: Any, kernel: Pair, dilation: Pair) -> Padding:
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":
        spans = ((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
        (top, bottom), (left, right) = (same(span, span, 1) for span in spans)
        return (top, bottom, left, right)
    vertical, horizontal = _two(padding)
    return (vertical, vertical, horizontal, horizontal)


def _transposed(recorder: Recorder, call: Call) -> None:
    recorder.other(call, "transposed convolution")


def _linear(recorder: Recorder, call: Call) -> None:
    x, weight, bias = call.get(0, "input"), call.get(1, "weight"), call.get(2, "bias")
    _dense(recorder, call, x, weight, bias)


def _matmul(recorder: Recorder, call: Call) -> None:
    """`x @ w` with an array of the model."""
    x, weight = call.get(0, "input"), call.get(1, "other")
    if recorder.kind(weight) != "arrays" or weight.ndim != 2:
        recorder.other(call)
        return
    _dense(recorder, call, x, weight, None, transposed=True)


def _addmm(recorder: Recorder, call: Call) -> None:
    """`b + x @ w` with arrays of the model."""
    bias, x, weight = (call.get(i, name) for i, name in enumerate(("input", "mat1", "mat2")))
    plain = call.kwargs.get("alpha", 1) == 1 == call.kwargs.get("beta", 1)
    if not plain or recorder.kind(weight) != "arrays" or recorder.kind(bias) != "arrays":
        recorder.other(call)
        return
    _dense(recorder, call, x, weight, bias, transposed=True)


def _dense(
    recorder: Recorder,
    call: Call,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    transposed: bool = False,
) -> None:
    shown = weight.t() if transposed else weight
    recorder.know(shown, recorder.origin(weight))
    held = recorder.held(shown, "weight"), recorder.held(bias, "bias")
    features = int(shown.shape[0])
    if held[0] is None or (bias is not None and held[1] is None):
        recorder.other(call, "dense with a computed weight")
    elif recorder.position(x) is None:
        recorder.other(call, "dense of a constant")
    elif prod(shape_of(x)) != x.shape[-1]:
        recorder.other(call, "position-wise dense", {"features": features})
    else:
        op = Dense(features, bias=bias is not None)
        recorder.record(call, op, (x,), held, output=(features,))


def _hangs_over(sizes: Shape, outputs: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Padding:
    """Padding with which whole windows give the outputs: ceil mode adds some at the end."""
    sides: list[int] = []
    for n, out, k, s, p in zip(sizes, outputs, kernel, stride, padding, strict=True):
        sides += [p, p + max((out - 1) * s + k - n - 2 * p, 0)]
    return (sides[0], sides[1], sides[2], sides[3])


def _max_pool(recorder: Recorder, call: Call) -> None:
    x, kernel = call.get(0, "input"), _two(call.get(1, "kernel_size"))
    stride = _two(call.get(2, "stride") or kernel)
    padding, dilation = _two(call.get(3, "padding", 0)), _two(call.get(4, "dilation", 1))
    if dilation != (1, 1) or not isinstance(call.result, Tensor):
        recorder.other(call, "max pool")
        return
    sides = _hangs_over(x.shape[-2:], call.result.shape[-2:], kernel, stride, padding)
    recorder.record(call, MaxPool(kernel, stride=stride, padding=sides), (x,))


def _avg_pool(recorder: Recorder, call: Call) -> None:
    x, kernel = call.get(0, "input"), _two(call.get(1, "kernel_size"))
    stride, padding = _two(call.get(2, "stride") or kernel), _two(call.get(3, "padding", 0))
    counted, divisor = call.get(5, "count_include_pad", True), call.get(6, "divisor_override")
    sides = _hangs_over(x.shape[-2:], call.result.shape[-2:], kernel, stride, padding)
    over = (sides[0], sides[2]) != (sides[1], sides[3])
    if divisor not in (None, prod(kernel)) or (over and counted and any(padding)):
        # In ceil mode PyTorch counts the padding, but not what hangs over its end.
        settings: dict[str, Setting] = {
            "kernel": kernel,
            "stride": stride,
            "padding": sides,
            "divisor": setting(divisor),
        }
        recorder.other(call, "sum pool" if divisor == 1 else "average pool", settings)
        return
    counts = (counted and not over) or divisor is not None
    op = AvgPool(kernel, stride=stride, padding=sides, count_padding=counts)
    recorder.record(call, op, (x,))


def _adaptive_avg_pool(recorder: Recorder, call: Call) -> None:
    x = call.get(0, "input")
    sizes, outputs = tuple(x.shape[-2:]), tuple(call.result.shape[-2:])
    position = recorder.position(x)
    if sizes == outputs and position is not None:
        recorder.same(call, position)
    elif outputs == (1, 1):
        recorder.record(call, GlobalAvgPool(), (x,))
    elif any(n % out for n, out in zip(sizes, outputs, strict=True)):
        recorder.other(call, "adaptive average pool", {"output": outputs})
    else:
        kernel = (sizes[0] // outputs[0], sizes[1] // outputs[1])
        recorder.record(call, AvgPool(kernel, stride=kernel, count_padding=False), (x,))


def _adaptive_max_pool(recorder: Recorder, call: Call) -> None:
    outputs = next(iter(call.result)) if isinstance(call.result, tuple) else call.result
    if tuple(outputs.shape[-2:]) == (1, 1):
        recorder.other(call, "global max pool", {})
    else:
        recorder.other(call, "adaptive max pool", {"output": tuple(outputs.shape[-2:])})


def _axes(call: Call, x: Tensor) -> tuple[int, ...]:
    """The axes that a function reduces, the batch being 0."""
    told = call.get(1, "dim", call.kwargs.get("axis"))
    if told is None or told == ():
        return tuple(range(x.ndim))
    return tuple(sorted(axis % x.ndim for axis in ((told,) if isinstance(told, int) else told)))


def _mean(recorder: Recorder, call: Call) -> None:
    x = call.get(0, "input")
    axes, position = _axes(call, x), recorder.position(x)
    if position is not None and x.ndim == 4 and all(x.shape[a] == 1 for a in axes):
        recorder.same(call, position)
    elif axes == (2, 3) and x.ndim == 4:
        recorder.record(call, GlobalAvgPool(), (x,), output=(int(x.shape[1]), 1, 1))
    else:
        recorder.other(call, "mean", {"axes": axes})


def _maximum_over(recorder: Recorder, call: Call) -> None:
    x = call.get(0, "input")
    axes = _axes(call, x)
    if axes == (2, 3) and x.ndim == 4:
        recorder.other(call, "global max pool", {})
    else:
        recorder.other(call, "max over axes", {"axes": axes})


_BATCH_NORM = (
    *("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
)
_OPERATOR_BATCH_NORM = (
    *("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
)
"""`torch.batch_norm` and what TorchScript calls take the same in another order."""


def _batch_norm(recorder: Recorder, call: Call) -> None:
    functional = call.function is torch.nn.functional.batch_norm
    names = _BATCH_NORM if functional else _OPERATOR_BATCH_NORM
    told = {name: call.get(i, name) for i, name in enumerate(names)}
    roles = ("weight", "bias", "running_mean", "running_var")
    held = [recorder.held(told[role], role) for role in roles]
    momentum = 0.1 if told["momentum"] is None else told["momentum"]
    eps = 1e-5 if told["eps"] is None else told["eps"]
    decay = round(1 - momentum, 12)
    computed = any(told[r] is not None and h is None for r, h in zip(roles, held, strict=True))
    if computed or not 0 <= decay < 1 or recorder.position(told["input"]) is None:
        # Momentum 0 is also what a mean over all batches looks like from here.
        recorder.other(call, "batch norm", {"eps": setting(eps), "decay": setting(decay)})
        return
    if recorder.training and not told["training"] and held[2] is not None:
        settings = {"epsilon": setting(eps), "momentum": setting(decay)}
        recorder.record(call, Other("frozen batch norm", settings), (told["input"],), held)
        return
    op = BatchNorm(eps=eps, decay=decay, scale=told["weight"] is not None)
    recorder.record(call, op, (told["input"],), held)


def _lrn(recorder: Recorder, call: Call) -> None:
    x, size = call.get(0, "input"), call.get(1, "size")
    alpha, beta, k = (
        call.get(2, "alpha", 1e-4),
        call.get(3, "beta", 0.75),
        call.get(4, "k", 1.0),
    )
    alpha = float(f"{alpha / size:.12g}")  # PyTorch divides the sum by its size, the papers do not
    recorder.record(call, Lrn(size=size, k=k, alpha=alpha, beta=beta), (x,))


def _simple(op: Op) -> Handler:
    """What records an op of one input without settings."""

    def handler(recorder: Recorder, call: Call) -> None:
        recorder.record(call, op, (call.get(0, "input"),))

    return handler


def _hardtanh(recorder: Recorder, call: Call) -> None:
    _clamped(recorder, call, call.get(1, "min_val", -1.0), call.get(2, "max_val", 1.0))


def _clamp(recorder: Recorder, call: Call) -> None:
    _clamped(recorder, call, call.get(1, "min"), call.get(2, "max"))


def _clamp_min(recorder: Recorder, call: Call) -> None:
    _clamped(recorder, call, call.get(1, "min"), None)


def _clamped(recorder: Recorder, call: Call, least: Any, most: Any) -> None:
    """Values held between two numbers, or above one."""
    from_zero = isinstance(least, int | float) and least == 0
    if from_zero and most is None:
        recorder.record(call, Relu(), (call.get(0, "input"),))
    elif from_zero and isinstance(most, int | float) and most == 6:
        recorder.record(call, Relu6(), (call.get(0, "input"),))
    else:
        recorder.other(call)


def _threshold(recorder: Recorder, call: Call) -> None:
    if call.get(1, "threshold") == 0 == call.get(2, "value"):
        recorder.record(call, Relu(), (call.get(0, "input"),))
    else:
        recorder.other(call)


def _maximum(recorder: Recorder, call: Call) -> None:
    """The maximum of two tensors, or over axes."""
    x, y = call.get(0, "input"), call.get(1, "other")
    if not isinstance(y, Tensor):
        _maximum_over(recorder, call)
        return
    kinds = [recorder.kind(x), recorder.kind(y)]
    if sorted(kinds) == ["value", "zeros"]:
        recorder.record(call, Relu(), (x, y))
    else:
        recorder.other(call, "maximum")


def _softmax(recorder: Recorder, call: Call) -> None:
    x, axis = call.get(0, "input"), call.get(1, "dim", call.kwargs.get("axis"))
    whole = axis is not None and x.shape[axis] == prod(shape_of(x)) and axis % x.ndim > 0
    if whole:
        recorder.record(call, Softmax(), (x,), output=(int(x.shape[axis]),))
    else:
        recorder.other(call, "softmax", {"axis": setting(axis)})


def _dropout(recorder: Recorder, call: Call) -> None:
    x, rate = call.get(0, "input"), call.get(1, "p", 0.5)
    training = call.get(2, "train" if "train" in call.kwargs else "training", True)
    position = recorder.position(x)
    if position is not None and (not training or rate == 0):
        recorder.same(call, position)
    elif call.name == "dropout" and rate < 1:
        recorder.record(call, Dropout(rate), (x,))
    else:
        recorder.other(call, call.name.replace("_", " "), {"rate": setting(rate)})


LAYERS: dict[str, Handler] = {
    "conv2d": _conv2d,
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    "linear": _linear,
    "matmul": _matmul,
    "addmm": _addmm,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive_avg_pool,
    "adaptive_max_pool2d": _adaptive_max_pool,
    "mean": _mean,
    "amax": _maximum_over,
    "max": _maximum,
    "maximum": _maximum,
    "batch_norm": _batch_norm,
    "local_response_norm": _lrn,
    "relu": _simple(Relu()),
    "relu6": _simple(Relu6()),
    "silu": _simple(Silu()),
    "sigmoid": _simple(Sigmoid()),
    "hardtanh": _hardtanh,
    "clamp": _clamp,
    "clamp_min": _clamp_min,
    "threshold": _threshold,
    "softmax": _softmax,
    **dict.fromkeys(("dropout", "dropout2d", "alpha_dropout", "feature_alpha_dropout"), _dropout),
}
"""By the name of the function."""
