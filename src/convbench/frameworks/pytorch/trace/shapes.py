"""Calls of PyTorch that move values: flattening, padding, slicing, joining, repeating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from convbench.frameworks.pytorch.trace.calls import BATCH, Call, moves_nothing, shape_of
from convbench.frameworks.pytorch.trace.recorder import Fixed, Handler, Recorder
from convbench.frameworks.trace import Setting, setting
from convbench.networks.ops import Concat, Flatten, MaxPool, Op, Pad, PadChannels, Shape, Upsample


def _kept(recorder: Recorder, call: Call) -> None:
    """What changes no value and moves none."""
    x = call.get(0, "input")
    position = recorder.position(x)
    if position is None:
        recorder.other(call)
    elif x.is_floating_point() and not call.result.is_floating_point():
        recorder.other(call, "rounding", {"to": _type(call.result)})
    else:
        recorder.same(call, position)


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _zero(recorder: Recorder, call: Call) -> None:
    recorder.know(call.result, Fixed("zeros"))


def _without_ones(shape: Sequence[int]) -> Shape:
    return tuple(int(n) for n in shape if n != 1)


def _reshaped(recorder: Recorder, call: Call) -> None:
    """What keeps the values in their order."""
    x, result = call.get(0, "input"), call.result
    position = recorder.position(x)
    if position is None or not isinstance(result, Tensor):
        recorder.other(call)
    elif x.dtype != result.dtype:
        recorder.other(call, "reading of the bits", {"as": _type(result)})
    elif _without_ones(x.shape) == _without_ones(result.shape):
        recorder.same(call, position)
    elif result.shape[0] == BATCH and result.numel() == BATCH * max(result.shape[1:], default=1):
        recorder.record(call, Flatten(), (x,), output=(result.numel() // BATCH,))
    elif call.name in ("expand", "expand_as", "broadcast_to"):
        recorder.other(call, "expand", {})
    else:
        recorder.other(call, "reshape", {})


def _permuted(recorder: Recorder, call: Call) -> None:
    """What moves axes; where all but one of them are 1, nothing moves."""
    x = call.get(0, "input")
    position = recorder.position(x)
    if position is not None and _axes(x) == _axes(call.result):
        recorder.same(call, position)
    else:
        recorder.other(call, "permute", _told(call))


def _axes(tensor: Tensor) -> list[tuple[int, int]]:
    """Size and distance in memory along each axis that is not 1: moving axes moves these."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return [(int(n), int(distance)) for n, distance in sizes if n != 1]


def _told(call: Call) -> dict[str, Setting]:
    axes = call.args[1:] or tuple(call.kwargs.values())
    flat = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
    return {"axes": setting(tuple(flat))}


def _padded(recorder: Recorder, call: Call) -> None:
    x, given = call.get(0, "input"), [int(n) for n in call.get(1, "pad")]
    mode, value = call.get(2, "mode", "constant"), call.get(3, "value") or 0
    left, right, top, bottom, front, back, *batch = given + [0] * (8 - len(given))
    sides = (top, bottom, left, right)
    image = x.ndim == 4 and not any(batch)
    position = recorder.position(x)
    if not any(given) and position is not None:
        recorder.same(call, position)
    elif mode != "constant":
        recorder.other(call, "pad", {"mode": str(mode), "padding": sides})
    elif image and value == 0 and not (front or back):
        recorder.record(call, Pad(sides), (x,))
    elif image and value == 0 and not (any(sides) or front) and back > 0:
        recorder.record(call, PadChannels(back), (x,))
    elif image and value == 0 and not any(sides):
        recorder.other(call, "pad channels", {"before": front, "after": back})
    elif image and not (front or back):
        recorder.other(call, "pad", {"value": setting(float(value)), "padding": sides})
    else:
        recorder.other(call, "pad", {"value": setting(float(value)), "all axes": tuple(given)})


def _item(recorder: Recorder, call: Call) -> None:
    """`x[...]`."""
    x, index = call.args
    position, result = recorder.position(x), call.result
    if position is None:
        recorder.other(call, "index", {})
        return
    if (
        result.numel() == x.numel()
        and moves_nothing(index)
        and _without_ones(x.shape) == _without_ones(result.shape)
    ):
        recorder.same(call, position)
        return
    slices = _slices(index, x)
    if slices is None or slices[0] != range(x.shape[0]) or not result.numel():
        recorder.other(call, "slice", {"index": _written(index)})
    elif slices[1] != range(x.shape[1]):
        channels = slice(slices[1].start, slices[1].stop, slices[1].step)
        settings: dict[str, Setting] = {"channels": _written(channels)}
        if any(s != range(n) for s, n in zip(slices[2:], x.shape[2:], strict=True)):
            settings["index"] = _written(index)
        recorder.other(call, "slice", settings)
    else:
        _cropped(recorder, call, position, slices[2], slices[3])


def _slices(index: Any, x: Tensor) -> list[range] | None:
    """The positions taken along each axis of an image; None for any other index."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if x.ndim != 4 or not all(isinstance(p, slice) or p is Ellipsis for p in parts):
        return None
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (5 - len(parts))
    parts += [slice(None)] * (4 - len(parts))
    return [range(*p.indices(n)) for p, n in zip(parts, x.shape, strict=True)]


def _written(index: Any) -> str:
    if isinstance(index, slice):
        ends = ["" if end is None else str(end) for end in (index.start, index.stop)]
        return ":".join(ends if index.step in (None, 1) else [*ends, str(index.step)])
    if isinstance(index, tuple):
        return ", ".join(map(_written, index))
    return "..." if index is Ellipsis else str(index) if isinstance(index, int) else "tensor"


def _border(taken: range, size: int) -> tuple[int, int]:
    """How many positions of an axis lie before those that are taken, and behind.

    A stride leaves out by itself what follows the last position that it reaches.
    """
    reached = len(range(taken.start, size, taken.step)) == len(taken)
    return taken.start, 0 if reached else size - taken[-1] - 1


def _cropped(recorder: Recorder, call: Call, position: int, rows: range, columns: range) -> None:
    """Part of the positions of an image: a border taken away, then each so many-th one kept."""
    channels, height, width = (int(n) for n in call.args[0].shape[1:])
    (above, below), (left, right) = _border(rows, height), _border(columns, width)
    if above or below or left or right:
        rest = (channels, height - above - below, width - left - right)
        pad = Pad((-above, -below, -left, -right))
        position = recorder.step(call.name, pad, (position,), rest)
    if (rows.step, columns.step) != (1, 1):
        op = MaxPool((1, 1), stride=(rows.step, columns.step))
        position = recorder.step(call.name, op, (position,), shape_of(call.result))
    recorder.same(call, position)


def _pieces(recorder: Recorder, call: Call) -> None:
    """A tensor cut along an axis; each piece is a step."""
    x = call.get(0, "input")
    axis = (call.get(1, "dim", 0) if call.name == "unbind" else call.get(2, "dim", 0)) % x.ndim
    start = 0
    for piece in call.result:
        length = 1 if call.name == "unbind" else int(piece.shape[axis])
        name = "channels" if axis == 1 else f"axis {axis}"
        one = Call(call.function, call.name, call.args, call.kwargs, piece, 0)
        recorder.other(one, "slice", {name: f"{start}:{start + length}"})
        start += length


def _concat(recorder: Recorder, call: Call) -> None:
    tensors = tuple(call.get(0, "tensors"))
    axis = call.get(1, "dim", call.kwargs.get("axis", 0)) % call.result.ndim
    kinds = [recorder.kind(t) for t in tensors]
    values = kinds.count("value")
    channels = axis == 1 and call.result.ndim in (2, 4)
    if channels and values == len(tensors):
        one = values == 1
        if one:
            recorder.same(call, recorder.values(tensors)[0])
        else:
            recorder.record(call, Concat(), tensors)
    elif channels and kinds[0] == "value" and set(kinds[1:]) == {"zeros"}:
        extra = int(call.result.shape[1] - tensors[0].shape[1])
        recorder.record(call, PadChannels(extra), tensors)
    else:
        recorder.other(call, "concatenate", {"axis": axis})


def _interpolated(recorder: Recorder, call: Call) -> None:
    x, mode = call.get(0, "input"), call.get(3, "mode", "nearest")
    sizes, outputs = tuple(x.shape[2:]), tuple(call.result.shape[2:])
    position = recorder.position(x)
    factors = {out // n if out % n == 0 else 0 for n, out in zip(sizes, outputs, strict=True)}
    if sizes == outputs and position is not None:
        recorder.same(call, position)
    elif str(mode).startswith("nearest") and len(factors) == 1 and min(factors) > 1 and x.ndim == 4:
        op: Op = Upsample(min(factors))
        recorder.record(call, op, (x,))
    else:
        settings: dict[str, Setting] = {"mode": str(mode), "output": tuple(map(int, outputs))}
        recorder.other(call, "resize", settings)


def _set(recorder: Recorder, call: Call) -> None:
    """`x[...] = y`: from here on `x` is another value."""
    recorder.other(call, "set item", {"index": _written(call.args[1])})


SHAPES: dict[str, Handler] = {
    **dict.fromkeys(
        (
            *("to", "float", "half", "double", "bfloat16", "type", "type_as", "contiguous"),
            *("clone", "detach", "data", "cpu", "cuda", "alias", "requires_grad", "positive"),
            *("real", "dequantize", "lift_fresh"),
        ),
        _kept,
    ),
    **dict.fromkeys(
        (
            *("view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten", "ravel"),
            *("view_as", "reshape_as", "expand", "expand_as", "broadcast_to"),
        ),
        _reshaped,
    ),
    "permute": _permuted,
    "pad": _padded,
    "getitem": _item,
    "setitem": _set,
    **dict.fromkeys(("chunk", "split", "tensor_split", "unbind", "split_with_sizes"), _pieces),
    "cat": _concat,
    "interpolate": _interpolated,
    "zero": _zero,
}
"""By the name of the function."""
