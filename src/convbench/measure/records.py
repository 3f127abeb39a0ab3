"""What was run, where, and what came of it: frozen values, one JSON line each, in a journal.

The journal is appended and synced after every entry, so that a run that is killed loses at most
the task in flight. Raw rounds are kept; every statistic is recomputed from them.

Schema history
  1  0.1.0: environment, check, unchecked, measurement; what came later (parity, attainable,
     a task's process, a measurement's steady state and its machine's other work, what its
     GPU did, what libraries do and which variables steer them) may be absent
  2  0.1.0: the findings of a check hold values, not texts; lines of schema 1 are still read
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeAlias

import cattrs
from attrs import Attribute, field, frozen
from attrs.validators import and_, deep_iterable, ge, gt, le, optional
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.v import format_exception as _usual

from convbench.base.errors import BadRecord, one_line
from convbench.base.units import Byte, ImagesPerSecond, Second
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport
from convbench.checks.values import OldText, PrintedTimes, PrintedValue, Tensor, Times, Value
from convbench.frameworks.modes import DEFAULT, SINGLE, variant
from convbench.networks.passes import PASSES, Pass
from convbench.papers.printed import Printed

SCHEMA = 2

Outcome: TypeAlias = Literal["measured", "failed", "refused"]

# What no run can have been is refused, by both processes and by whoever reads a journal.
COUNT = [ge(1), le(2**63 - 1)]
BYTES = [ge(-(2**63)), le(2**63 - 1)]
SECONDS = [ge(0.0), le(1e9)]
STEP = [ge(1e-18), le(1e9)]
RATE = [gt(0.0), le(1e24)]
LOAD = optional([ge(0.0), le(1e9)])


@frozen(kw_only=True)
class Task:
    """One thing to time; the key of pytest ids, journal entries and report rows alike."""

    architecture: str
    framework: str
    pass_: Pass
    batch: int = field(validator=COUNT)
    device: str
    threads: int = field(validator=COUNT)
    dtype: str = SINGLE
    mode: str = DEFAULT
    seed: int = 0
    process: int = field(default=1, validator=COUNT)
    """Which of the processes that time it one after the other, from 1."""

    @property
    def label(self) -> str:
        """The task in a few words for progress lines and messages."""
        return f"{self.architecture} {self.variant} {self.pass_}"

    @property
    def variant(self) -> str:
        """The framework, with its mode and precision where they are not the usual ones."""
        return variant(self.framework, self.mode, self.dtype)

    @property
    def goes_backward(self) -> bool:
        """Whether its pass computes gradients."""
        return PASSES[self.pass_].goes_backward

    @property
    def side(self) -> str:
        """The variant in whatever precision: what is proven to be the same as another."""
        return variant(self.framework, self.mode)


CHANGED = " with changes"
"""What follows a commit from which the files differ."""


@frozen(kw_only=True)
class Environment:
    """The machine and the software a run was made with; what two runs must share to compare."""

    cpu: str
    cores: int = field(validator=COUNT)
    memory_bytes: Byte = field(validator=BYTES)
    gpu: str | None
    driver: str | None
    system: str
    python: str
    convbench: str
    commit: str | None
    started: str
    """When the run began: ISO 8601, UTC."""
    packages: tuple[tuple[str, str], ...] = ()
    """Name and version of each package installed that a framework stands on."""
    order_seed: int | None = None
    """Of the chance that orders the blocks of a run with several processes a task."""
    chosen: tuple[str, ...] = ()
    """The variants of frameworks in the order in which they were asked for."""
    memory_limit_bytes: Byte | None = field(default=None, validator=optional(BYTES))
    """What the user let a task take, if anything was said."""
    variables: tuple[tuple[str, str], ...] | None = None
    """The environment variables that steer libraries; None if nobody looked."""


@frozen(kw_only=True)
class Memory:
    """Peaks while stepping; None where the machine or the framework cannot tell, never 0."""

    host_bytes: Byte | None = field(default=None, validator=optional(BYTES))
    """Growth of the child's resident memory over what it was when it was forked."""
    device_allocated_bytes: Byte | None = field(default=None, validator=optional(BYTES))
    device_reserved_bytes: Byte | None = field(default=None, validator=optional(BYTES))
    device_process_bytes: Byte | None = field(default=None, validator=optional(BYTES))
    """What NVML says that the process holds."""


@frozen(kw_only=True)
class Measurement:
    """What came of one task: raw rounds, or the reason why there are none."""

    task: Task
    outcome: Outcome
    reason: str | None = None
    version: str | None = None
    libraries: tuple[tuple[str, str], ...] = ()
    """What decides the framework's speed on this machine, as it says itself."""
    build_s: Second | None = field(default=None, validator=optional(SECONDS))
    """Building the model, before its first step."""
    first_s: Second | None = field(default=None, validator=optional(SECONDS))
    """The first step, which may trace and compile."""
    warmup_s: tuple[Second, ...] = field(default=(), validator=deep_iterable(and_(*SECONDS)))
    """Steps before the first round, and then the rounds that were not steady yet."""
    iterations: int = field(default=1, validator=COUNT)
    """Steps in one round; a round's value is the mean of them."""
    rounds_s: tuple[Second, ...] = field(default=(), validator=deep_iterable(and_(*STEP)))
    memory: Memory = field(factory=Memory)
    batch_search: str | None = None
    """What ended the search for the largest batch that fits, where the task's is that."""
    budget_s: Second | None = field(default=None, validator=optional([*SECONDS, gt(0.0)]))
    """Seconds that rounds were to be timed for."""
    load_before: float | None = field(default=None, validator=LOAD)
    load_after: float | None = field(default=None, validator=LOAD)
    precision: float | None = field(default=None, validator=optional([gt(0.0), le(1e9)]))
    """Share of the median to which rounds were to tell it, if the budget allows."""
    steady: bool | None = None
    """Whether the rounds reached a steady state; None if there were too few to tell."""
    others_cores: float | None = field(default=None, validator=LOAD)
    """CPU seconds that other processes used per second of the rounds."""
    stolen_cores: float | None = field(default=None, validator=LOAD)
    """CPU seconds that the host of a virtual machine gave to others, per second of the rounds."""
    gpu: GpuUse | None = None  # of what runs on one

    def throughput(self, step_s: Second) -> ImagesPerSecond:
        """Images per second of a step that takes `step_s`."""
        return self.task.batch / step_s


@frozen(kw_only=True)
class Attainable:
    """What a machine attains with a framework's own operators, at their best: its peak.

    Rates are per second, a multiply-accumulate counted as two operations. A copied byte is
    counted where it is read and where it is written.
    """

    framework: str
    device: str
    threads: int = field(validator=COUNT)
    dtype: str
    matmul_flops: float = field(validator=RATE)
    conv_flops: float = field(validator=RATE)
    copy_bytes_s: float = field(validator=RATE)
    others_cores: float | None = field(default=None, validator=LOAD)
    stolen_cores: float | None = field(default=None, validator=LOAD)
    """As a measurement has them: what ran beside makes a peak too low."""


@frozen(kw_only=True)
class Unchecked:
    """A model that could not be compared with its paper or with another one, and why."""

    architecture: str
    framework: str
    reason: str
    what: Literal["structure", "parity"] = "structure"

    @property
    def label(self) -> str:
        """What was to be done, as a task says it."""
        return f"{self.architecture} {self.framework} {self.what}"


Entry: TypeAlias = Environment | CheckReport | Unchecked | Parity | Attainable | Measurement

_KINDS: dict[str, type[Entry]] = {
    "environment": Environment,
    "check": CheckReport,
    "unchecked": Unchecked,
    "parity": Parity,
    "attainable": Attainable,
    "measurement": Measurement,
}


def converter() -> cattrs.Converter:
    """To plain JSON values and back; refuses unknown keys and converts no value to another type."""
    made = cattrs.Converter(forbid_extra_keys=True)
    for plain in (str, int, float, bool):
        made.register_structure_hook(plain, _as_it_is)
    pass_ = override(rename="pass")
    made.register_unstructure_hook(Task, make_dict_unstructure_fn(Task, made, pass_=pass_))
    made.register_structure_hook(
        Task, make_dict_structure_fn(Task, made, _cattrs_forbid_extra_keys=True, pass_=pass_)
    )
    made.register_structure_hook_func(
        lambda type_: type_ in _UNIONS,
        lambda content, type_: (
            None
            if content is None and type_ != Value
            else made.structure(content, _form_of(content, type_))
        ),
    )
    return made


_UNIONS = (PrintedValue | None, Value, Value | None)


def _form_of(content: Any, type_: Any) -> Any:
    """The member of a union of values that some JSON has the form of."""
    printed = type_ == PrintedValue | None
    match content:
        case [{}, *_] if not printed:
            return tuple[Tensor, ...]
        case [*_]:
            return tuple[int, ...]
        case {"old_text": _}:
            return OldText
        case {"factor": _}:
            return PrintedTimes if printed else Times
        case str() if not printed:
            return str
        case _ if printed:
            return Printed
        case _ if type(content) is int:
            return int
        case _:
            raise ValueError(f"expected a number, a list or a word, not {content!r}")


def _as_it_is(value: Any, type_: type[Any]) -> Any:
    if type_ is float and type(value) is int:
        return float(value)
    if type(value) is not type_:
        raise TypeError(f"expected {type_.__name__}, not {value!r}")
    return value


_CONVERTER = converter()


def as_json(value: Any) -> Any:
    """A frozen value as plain JSON values."""
    return _CONVERTER.unstructure(value)


def load(text: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `text`; raises BadRecord naming `where` for anything else."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # no JSON or UTF-8, too long a number, too deep
        raise BadRecord(where, "JSON", f"{text[:80]!r}: {error}") from None
    if not isinstance(content, dict):
        raise BadRecord(where, "an object", repr(text[:80]))
    return content


def structure(content: Any, type_: type[Any], where: str) -> Any:
    """`content` as a value of `type_`; raises BadRecord naming `where` and each fault."""
    try:
        return _CONVERTER.structure(content, type_)
    except cattrs.BaseValidationError as error:
        faults = "; ".join(_faults(error))
        name = type_.__name__.lower()
        article = "an" if name[0] in "aeiou" else "a"
        raise BadRecord(where, f"{article} {name}", faults) from None


MOST_FAULTS = 10
"""How many faults of one value a sentence lists."""


def _faults(error: cattrs.BaseValidationError) -> list[str]:
    """Each fault in a few words: there may be as many as there are values, and as long."""
    said = cattrs.transform_error(error, format_exception=_fault)
    return [one_line(fault, most=200) for fault in said[:MOST_FAULTS]]


def _fault(error: BaseException, type_: type[Any] | None) -> str:
    """What cattrs says, but for the values that our validators refuse: those know the bound."""
    own = type(error) is ValueError and (type_ is None or type_ in _UNIONS)
    return str(error) if own else _usual(error, type_)


READING = [ge(0.0), le(1e15)]
COUNT = [ge(0), le(2**63 - 1)]
SHARE = [ge(0.0), le(1.0)]
STEP = [ge(1e-18), le(1e9)]


@frozen(kw_only=True)
class Spread:
    """The readings of one quantity."""

    lowest: float = field(validator=READING)
    median: float = field(validator=READING)
    highest: float = field(validator=READING)

    @highest.validator
    def _in_order(self, _: Attribute[Any], highest: float) -> None:
        if not self.lowest <= self.median <= highest:
            raise ValueError("'lowest', 'median' and 'highest' must be in this order")


@frozen(kw_only=True)
class GpuUse:
    """What NVML said of the GPU that a task ran on, and what the host's clock said of the rounds.

    Each of its quantities is None where the machine or the GPU does not tell it, and never 0.
    """

    samples: int = field(default=0, validator=COUNT)
    """How often the GPU was asked while rounds were timed."""
    sm_hz: Spread | None = None
    memory_hz: Spread | None = None
    power_w: Spread | None = None
    temperature_c: Spread | None = None
    utilization: Spread | None = None
    """The share of the time in which some kernel ran."""
    limits: tuple[tuple[str, int], ...] | None = None
    """What held the clocks down, and in how many of the samples it did."""
    energy_j: float | None = field(default=None, validator=optional([gt(0.0), le(1e15)]))
    """By the GPU's own counter, over all rounds; never power times time."""
    images: int = field(default=0, validator=COUNT)
    """Of all rounds: what that energy was for."""
    utilization_before: float | None = field(default=None, validator=optional(SHARE))
    """Before the task's process was started."""
    processes_before: int | None = field(default=None, validator=optional(COUNT))
    """Others that had work on the GPU before the task's process was started."""
    processes_beside: int | None = field(default=None, validator=optional(COUNT))
    """Others that had work on the GPU while rounds were timed, the most at one time."""
    host_s: tuple[Second, ...] = field(default=(), validator=deep_iterable(and_(*STEP)))
    """The rounds by the host's clock, where those of the measurement are by the GPU's own."""

    @property
    def energy_per_image_j(self) -> float | None:
        """Joules an image; None if no counter told them."""
        return None if self.energy_j is None or not self.images else self.energy_j / self.images

    @property
    def shared(self) -> bool:
        """Whether somebody else is known to have used the GPU."""
        return any((self.utilization_before, self.processes_before, self.processes_beside))
