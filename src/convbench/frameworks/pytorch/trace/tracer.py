"""Any PyTorch model as a trace: run once on two images that have shapes and no values.

The run is of a copy whose tensors are fake: nothing is computed, no weight takes memory, and the
model itself is not touched.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from convbench.base.errors import Unsupported, telling_line
from convbench.frameworks.pytorch.layers import TableConv2d
from convbench.frameworks.pytorch.trace.arithmetic import ARITHMETIC
from convbench.frameworks.pytorch.trace.calls import BATCH, leaves
from convbench.frameworks.pytorch.trace.layers import LAYERS
from convbench.frameworks.pytorch.trace.recorder import Arrays, Fixed, Listener, Recorder, Value
from convbench.frameworks.pytorch.trace.shapes import SHAPES
from convbench.frameworks.trace import Held, Step, Trace
from convbench.networks.ops import Input, Shape

_Memo: TypeAlias = dict[int, Any]


def is_model(value: object) -> bool:
    """Whether it is a model of PyTorch."""
    return isinstance(value, nn.Module)


def without_weights() -> AbstractContextManager[None]:
    """Models made inside have shapes alone."""
    device: AbstractContextManager[Any] = torch.device("meta")
    return device


def image_of(model: nn.Module) -> Shape | None:  # noqa: ARG001  (Keras's models know)
    """PyTorch's models do not say what images they take."""
    return None


def trace(model: nn.Module, name: str, image: Shape, *, training: bool = True) -> Trace:
    """What a model does to one image; raises Unsupported where it cannot be followed.

    The model stays as it is.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile was given
    _require_traceable(model, name)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake, torch.device("cpu"), torch.set_grad_enabled(training), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a model warns of in training concerns nobody here
        flops = FlopCounterMode(display=False)
        recorder = Recorder({**LAYERS, **SHAPES, **ARITHMETIC}, flops, training)
        twin = _twin(model, name, recorder)
        answers = _run(twin, recorder, name, image)
    steps, outputs = recorder.finished(answers)
    total = flops.get_total_flops() // 2 // BATCH - recorder.aside
    notes, doubts = _notes(model, recorder.aside), tuple(dict.fromkeys(recorder.doubts))
    return _trace(model, name, steps, outputs, total, notes, doubts)


_UNCOUNTED = "PyTorch's counter takes a convolution by a table for a whole one: no total of it."


def _notes(model: nn.Module, aside: int) -> tuple[str, ...]:
    """What has to be known of the multiply-accumulates."""
    notes = []
    if any(isinstance(module, TableConv2d) for module in model.modules()):
        notes.append(_UNCOUNTED)
    if aside:
        notes.append(
            f"{aside:,} multiply-accumulates are spent on what does not depend on the image, "
            "and are left out."
        )
    return tuple(notes)


def _trace(
    model: nn.Module,
    name: str,
    steps: tuple[Step, ...],
    outputs: tuple[int, ...],
    macs: int,
    notes: tuple[str, ...],
    doubts: tuple[str, ...],
) -> Trace:
    """The trace with the totals as the model itself has them."""
    held = [held for _, held in _arrays(model)]
    used = {tensor.path for step in steps for tensor in step.tensors}
    return Trace(
        name,
        "pytorch",
        steps,
        outputs,
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        sum(h.size for h in held if not h.trainable),
        sum(p.numel() for p in model.parameters()),
        None if _UNCOUNTED in notes else macs,
        tuple(h for h in held if h.path not in used),
        notes,
        doubts,
    )


def _arrays(model: nn.Module) -> Iterator[tuple[Tensor, Held]]:
    """Every parameter and buffer, but for counters and indices."""
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() or tensor.is_complex():
            role = path.rpartition(".")[2]
            yield tensor, Held(path, role, tuple(tensor.shape), tensor.requires_grad)


def _require_traceable(model: nn.Module, name: str) -> None:
    """Raises Unsupported for what is known not to show what it does."""
    for path, module in model.named_modules():
        what = f"{name}, {path}" if path else name
        if isinstance(module, torch.jit.ScriptModule):
            why = "is a TorchScript program, which does not show its layers"
            raise Unsupported(what, why, "give the module that it was made from")
        if any(nn.parameter.is_lazy(p) for p in module.parameters(recurse=False)):
            why = "its arrays have no shape before it has seen an image"
            raise Unsupported(what, why, "run the model once on an image before it is returned")


class _Faking(TorchFunctionMode):
    """Copies a tensor that is no array of the model as one with its shape and no values."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.__deepcopy__:
            memo: _Memo = args[1]
            if id(args[0]) not in memo:
                memo[id(args[0])] = _faked(args[0])
                self._recorder.know(memo[id(args[0])], Fixed("constant"))
            return memo[id(args[0])]
        return func(*args, **(kwargs or {}))


def _faked(tensor: Tensor) -> Tensor:
    """A tensor of this form on the CPU, whatever device it is for; it takes no memory."""
    shape, strides = tuple(tensor.shape), tensor.stride()
    fake = torch.empty_strided(shape, strides, dtype=tensor.dtype, device="cpu")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fake, requires_grad=tensor.requires_grad)
    return fake


def _twin(model: nn.Module, name: str, recorder: Recorder) -> nn.Module:
    """A copy with fake tensors in training mode; the recorder knows the arrays of both."""
    try:
        memo: _Memo = {}
        for tensor in (*model.parameters(), *model.buffers()):
            memo[id(tensor)] = _faked(tensor)
            recorder.know(memo[id(tensor)], Fixed("constant"))
        for tensor, held in _arrays(model):
            for each in (tensor, memo[id(tensor)]):  # a closure may still use the model's own
                recorder.know(each, Arrays((held,), whole=True))
        with _Faking(recorder):
            twin = copy.deepcopy(model, memo)
    except Exception as error:
        why = f"it cannot be copied: {_said(error)}"
        raise Unsupported(name, why, "keep what cannot be copied outside of the model") from error
    for module in twin.modules():
        if isinstance(module, nn.SyncBatchNorm):
            object.__setattr__(
                module, "__class__", nn.BatchNorm2d
            )  # which is the same on one device, and runs on a CPU
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.num_batches_tracked = None  # a mean over all batches would ask for its value
    twin.train(recorder.training)
    return twin


_VALUES = (
    "decide by shapes or settings, or with torch.where: a model is traced on images without values"
)
_REMEDIES = {
    **dict.fromkeys(("bool", "item", "tolist", "int", "float", "index", "numpy", "array"), _VALUES),
    "cuda": "let the model make its tensors on the device of its input, x.device",
}
"""What a user can do, by the function that failed."""


def _run(twin: nn.Module, recorder: Recorder, name: str, image: Shape) -> tuple[int, ...]:
    """Runs a copy on two images; the positions of what it answers."""
    recorder.watch(twin)
    dtype = next((p.dtype for p in twin.parameters() if p.is_floating_point()), torch.float32)
    images = torch.empty(BATCH, *image, dtype=dtype)
    recorder.know(images, Value(recorder.step("input", Input(image), (), image)))
    try:
        with recorder.flops, Listener(recorder), _no_traceback():
            answer = twin(images)
    except Exception as error:
        if isinstance(error, Unsupported):
            raise Unsupported(f"{name}, {error.what}", error.why, error.remedy) from error
        what = f"{name}, {recorder.place}" if recorder.place else name
        raise Unsupported(what, _said(error), _remedy(error, recorder.failed, image)) from error
    for tensor in leaves(answer):
        recorder.read(tensor)
    answers = recorder.values(leaves(answer))
    if not answers:
        why = f"what it returns ({type(answer).__name__}) was not computed from the image"
        raise Unsupported(name, why, "let forward return tensors that PyTorch's functions computed")
    return answers


@contextmanager
def _no_traceback() -> Iterator[None]:
    """PyTorch also prints the traceback of what a model does wrong on fake tensors."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _remedy(error: Exception, function: str, image: Shape) -> str:
    if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
        return _VALUES
    if isinstance(error, TypeError) and "forward()" in str(error):
        return "give a model whose forward takes one batch of images and nothing else"
    usual = f"see that the model takes two images of {image} in training mode"
    return _REMEDIES.get(function, usual)


def _said(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, DataDependentOutputException):
        return "it asks for the value of a tensor"
    if isinstance(error, DynamicOutputShapeException):
        return "the shape of a tensor depends on the values of another"
    return telling_line(str(error), 200) or type(error).__name__
