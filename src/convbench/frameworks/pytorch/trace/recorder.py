"""What a model does while it runs: each call of PyTorch, and where its tensors are from.

Nothing here knows what a function computes; its handlers do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import chain, count
from typing import Any, TypeAlias

import torch
from attrs import define, evolve, field, frozen
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from convbench.base.errors import Unsupported
from convbench.frameworks.joins import joined
from convbench.frameworks.pytorch.layers import Composed
from convbench.frameworks.pytorch.trace.calls import (
    BATCH,
    REFORMED,
    Call,
    function_name,
    leaves,
    only_reformed,
    settings_of,
    shape_of,
)
from convbench.frameworks.pytorch.trace.effects import (
    Memory,
    assigns,
    gradient_of_its_own,
    versions,
)
from convbench.frameworks.trace import Held, Layer, Other, Setting, Step
from convbench.networks.ops import Shape


@frozen
class Value:
    """A tensor that a step made of the image."""

    position: int


@frozen
class Arrays:
    """A tensor that is computed from arrays of the model alone."""

    held: tuple[Held, ...]
    whole: bool
    """Whether it is one array and all of it, at most in another form."""


@frozen
class Fixed:
    """A tensor that comes from neither the image nor the model's arrays."""

    kind: str
    """`zeros`, `random` or `constant`."""


Origin: TypeAlias = Value | Arrays | Fixed


Handler: TypeAlias = "Callable[[Recorder, Call], None]"


@frozen
class _Place:
    """Where a step was made."""

    path: str
    function: str
    turn: int
    """Which call of a module it belongs to, counted from 1; 0 outside of all modules."""
    leaf: bool


MOST_STEPS = 50_000
"""Ten times as many as any network of the papers; a loop that does not end has more."""


@define
class Recorder:
    """The steps so far, and the origin of every tensor that was seen."""

    handlers: Mapping[str, Handler]
    flops: FlopCounterMode
    training: bool = True
    doubts: list[str] = field(factory=list, init=False)
    """What was seen that no step says, in sentences without their full stop."""
    steps: list[Step] = field(factory=list, init=False)
    aside: int = field(default=0, init=False)
    """Multiply-accumulates for one image that are spent on what does not depend on it."""
    _places: list[_Place] = field(factory=list, init=False)
    _running: list[_Place] = field(factory=list, init=False)
    _turns: int = field(default=0, init=False)
    _origins: dict[int, tuple[Origin, Tensor]] = field(factory=dict, init=False)
    """By `id`, each with its tensor, which must live as long as its `id` is used."""
    _memory: Memory = field(factory=Memory, init=False)
    _stale: dict[int, Tensor] = field(factory=dict, init=False)
    """By `id` those whose values were changed through another tensor, which is kept here."""
    _trains: list[bool] = field(factory=list, init=False)
    """For each step whether there is something to train before it."""
    _muted: bool = field(default=False, init=False)
    failed: str = field(default="", init=False)
    """The function that raised an error, if one did."""

    def know(self, tensor: Tensor, origin: Origin) -> None:
        """Notes where a tensor is from."""
        if id(tensor) not in self._origins:
            self._memory.add(tensor)
        self._origins[id(tensor)] = (origin, tensor)
        self._stale.pop(id(tensor), None)

    def origin(self, tensor: Tensor) -> Origin:
        """Where a tensor is from."""
        if id(tensor) in self._stale:
            self._between(tensor, "changed in place", self._stale.pop(id(tensor)))
        known = self._origins.get(id(tensor))
        return known[0] if known else Fixed("constant")

    def position(self, tensor: object) -> int | None:
        """The step that a tensor is the value of; None for everything else."""
        if not isinstance(tensor, Tensor):
            return None
        origin = self.origin(tensor)
        return origin.position if isinstance(origin, Value) else None

    def kind(self, tensor: object) -> str:
        """`value`, `arrays`, `zeros`, `random` or `constant`; `number` for what is no tensor."""
        if not isinstance(tensor, Tensor):
            return "number"
        origin = self.origin(tensor)
        return origin.kind if isinstance(origin, Fixed) else type(origin).__name__.lower()

    def held(self, tensor: Tensor | None, role: str) -> Held | None:
        """The array of the model that a tensor is, in the form in which it is used."""
        if tensor is None:
            return None
        origin = self.origin(tensor)
        if not isinstance(origin, Arrays) or not origin.whole:
            return None
        return evolve(origin.held[0], name=role, shape=tuple(tensor.shape))

    def uses(self, tensors: Iterable[Tensor | None]) -> tuple[Held, ...]:
        """Every array of the model that these tensors are made of, each once."""
        origins = [self.origin(t) for t in tensors if t is not None]
        held = (h for origin in origins if isinstance(origin, Arrays) for h in origin.held)
        return tuple({h.path: h for h in held}.values())

    def values(self, tensors: Iterable[object]) -> tuple[int, ...]:
        """The steps that these tensors are the values of, without what is none."""
        found = (self.position(tensor) for tensor in tensors)
        return tuple(position for position in found if position is not None)

    def record(
        self,
        call: Call,
        layer: Layer,
        inputs: Iterable[object],
        tensors: Iterable[Held | None] = (),
        output: Shape | None = None,
    ) -> int:
        """Adds the step that a call is; what the call returned is its value."""
        results = list(leaves(call.result))
        output = shape_of(results[0]) if output is None else output
        held = tuple(t for t in tensors if t is not None)
        position = self.step(call.name, layer, self.values(inputs), output, held)
        self.same(call, position)
        return position

    def other(
        self, call: Call, name: str = "", settings: Mapping[str, Setting] | None = None
    ) -> None:
        """Adds a call for which there is no op, by the function's own name if it has no other."""
        layer = Other(
            name or call.name.replace("_", " ") or "unknown",
            settings_of(call) if settings is None else settings,
            call.macs,
        )
        self.record(call, layer, call.tensors, self.uses(call.tensors))

    def step(
        self,
        function: str,
        layer: Layer,
        inputs: tuple[int, ...],
        output: Shape,
        tensors: tuple[Held, ...] = (),
    ) -> int:
        """Adds a step at the place where the model is; its address is yet to be found."""
        at = self._running[-1] if self._running else _Place("", "", 0, False)
        self._places.append(evolve(at, function=function))
        trains = any(t.trainable for t in tensors) or any(self._trains[i] for i in inputs)
        self._trains.append(trains)
        if len(self.steps) == MOST_STEPS:
            why = f"it takes more than {MOST_STEPS:,} steps, if it ends at all"
            raise Unsupported(self._here, why, "see that each of its loops ends")
        self.steps.append(Step(str(len(self.steps)), layer, inputs, output, tensors))
        return len(self.steps) - 1

    def _between(self, tensor: Tensor, name: str, *others: Tensor) -> None:
        """Adds a step that a tensor is the value of from now on, and that reads what it was."""
        layer, read = Other(name), self.values((tensor, *others))
        self.know(tensor, Value(self.step(name.replace(" ", "_"), layer, read, shape_of(tensor))))

    def same(self, call: Call, position: int) -> None:
        """What a call returned is the value of that step."""
        for tensor in leaves(call.result):
            self.know(tensor, Value(position))

    def called(self, call: Call) -> None:
        """Takes in one call."""
        if self._muted or not any(True for _ in leaves(call.result)):
            return
        self._require_seen(call)
        shapes_alone = call.name.startswith("new_") or call.name.endswith("_like")
        if self.values(call.tensors) and not shapes_alone:
            for tensor in call.tensors:
                self.read(tensor)
            self.handlers.get(call.name, Recorder.other)(self, call)
            return
        self.aside += call.macs
        origin = _without_value(call, () if shapes_alone else call.tensors, self)
        for tensor in leaves(call.result):
            self.know(tensor, origin)

    def read(self, tensor: Tensor) -> None:
        """Takes in that a tensor is used, and whether what made it is trained through it."""
        if not torch.is_grad_enabled() or not tensor.is_floating_point():
            return
        origin = self.origin(tensor)
        by = gradient_of_its_own(tensor)
        if by:
            self.doubts.append(f"{self._here} reads what {by} gives a gradient of its own")
        if tensor.requires_grad:
            return
        if isinstance(origin, Value) and self._trains[origin.position]:
            self._between(tensor, "stopped gradient")
            self._trains[-1] = False
        elif isinstance(origin, Arrays) and any(h.trainable for h in origin.held):
            path = next(h.path for h in origin.held if h.trainable)
            self.doubts.append(f"{self._here} uses {path} in a way that does not train it")

    def changed(self, tensor: Tensor, before: Origin) -> None:
        """Takes in that a tensor, which came from `before`, was changed in place."""
        if isinstance(before, Arrays):
            self.doubts.extend(
                f"{self._here} changes {held.path} while the model runs"
                for held in before.held
                if held.trainable
            )
            return
        now = self.origin(tensor)
        for other in self._memory.others(tensor):
            was = self.origin(other)
            if was == before:
                self.know(other, now)
            elif isinstance(was, Value) and was != now:
                self._stale[id(other)] = tensor

    @property
    def _here(self) -> str:
        return self.place or "the model"

    def _require_seen(self, call: Call) -> None:
        """Raises Unsupported for a tensor that comes from a call that nobody was told of."""
        for tensor in call.tensors:
            if isinstance(tensor, FakeTensor) and id(tensor) not in self._origins:
                raise Unsupported(
                    f"{call.name} in {self.place or 'the model itself'}",
                    "what it takes comes from a function that does not show what it does, such "
                    "as one compiled by TorchScript or mapped by torch.vmap",
                    "write that function in plain PyTorch, or set PYTORCH_JIT=0 for TorchScript",
                )

    def watch(self, model: nn.Module) -> None:
        """Puts hooks on every module that say which one is running."""
        for path, module in model.named_modules():
            leaf = next(module.children(), None) is None
            module.register_forward_pre_hook(self._entered(path, leaf), prepend=True)
            module.register_forward_hook(self._left)

    @property
    def place(self) -> str:
        """Path of the innermost module that is running; empty for the model itself."""
        return self._running[-1].path if self._running else ""

    def _entered(self, path: str, leaf: bool) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, _: Any) -> None:
            self._turns += 1
            self._running.append(_Place(path, "", self._turns, leaf))
            self._muted = self._muted or isinstance(module, Composed)

        return hook

    def _left(self, module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(module, Composed):
            self._muted = False
            self._whole(module, module.op, args, output)
        elif self._running[-1].leaf and any(id(t) not in self._origins for t in leaves(output)):
            self._whole(module, Other(type(module).__name__.lower()), args, output)
            self.doubts.append(
                f"{self._here} does not show what it computes, which is not compared"
            )
        self._running.pop()

    def _whole(self, module: nn.Module, layer: Layer, args: Any, output: Any) -> None:
        """Records a module as one step, whatever it does inside."""
        call = Call(module, "", args, {}, output, 0)
        if self.values(leaves(args)) and any(True for _ in leaves(output)):
            held = self.uses((*module.parameters(), *module.buffers()))
            self.record(call, layer, leaves(args), held)

    def finished(self, answers: tuple[int, ...]) -> tuple[tuple[Step, ...], tuple[int, ...]]:
        """The steps with what belongs together joined, with their addresses, and the answers."""
        places = {step.address: p for step, p in zip(self.steps, self._places, strict=True)}
        steps, outputs = joined(self.steps, answers)
        turns = Counter(places[step.address].turn for step in steps)
        named: dict[str, Step] = {}
        for step in steps:
            address = _free(_address(step, places[step.address], turns), named)
            named[address] = evolve(step, address=address)
        return tuple(named.values()), outputs


class Listener(TorchFunctionMode):
    """Hands every call of a function of PyTorch to a recorder, when it has been made."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        counter = self._recorder.flops
        before = counter.get_total_flops()
        given = versions(leaves((args, kwargs or {})))
        origins = [self._recorder.origin(tensor) for tensor, _ in given]
        self._recorder.failed = function_name(func)
        result = func(*args, **(kwargs or {}))
        self._recorder.failed = ""
        macs = (counter.get_total_flops() - before) // 2 // BATCH
        name = function_name(func)
        changed = args[0] if name == "setitem" else result
        self._recorder.called(Call(func, name, args, kwargs or {}, changed, macs))
        for (tensor, version), origin in zip(given, origins, strict=True):
            if tensor._version != version or assigns(func):
                self._recorder.changed(tensor, origin)
        return result


_RANDOM = frozenset(
    {"rand", "randn", "randint", "randperm", "bernoulli", "uniform", "normal", "random"}
    | {"rand_like", "randn_like", "randint_like", "exponential", "multinomial", "poisson"}
)
_ZEROS = frozenset({"zeros", "zeros_like", "new_zeros", "zero"})


def _without_value(call: Call, tensors: tuple[Tensor, ...], recorder: Recorder) -> Origin:
    """Origin of what a call returns that reads nothing made of the image."""
    if call.name in _RANDOM or any(recorder.kind(t) == "random" for t in tensors):
        return Fixed("random")
    held = recorder.uses(tensors)
    if held:
        first = recorder.origin(tensors[0])
        whole = isinstance(first, Arrays) and first.whole and only_reformed(call, tensors[0])
        return Arrays(held, whole)
    constant = getattr(call.result, "constant", None)
    zero = call.name in _ZEROS or (constant is not None and not constant.any())
    if tensors and recorder.kind(tensors[0]) == "zeros" and call.name in REFORMED:
        zero = True
    return Fixed("zeros" if zero else "constant")


def _address(step: Step, place: _Place, turns: Counter[int]) -> str:
    """The path of the module, with the function's name unless the step is all that it does."""
    if not place.function:
        return place.path or "model"
    alone = place.leaf and turns[place.turn] == 1
    own = step.tensors and all(t.path.rpartition(".")[0] == place.path for t in step.tensors)
    if place.path and (alone or own):
        return place.path
    return f"{place.path}.{place.function}" if place.path else place.function


def _free(address: str, taken: Container[str]) -> str:
    """The address, or with the first number after it that makes it one of its own."""
    numbered = (f"{address}_{n}" for n in count(2))
    return next(a for a in chain((address,), numbered) if a not in taken)
