"""What the parent and a worker say to each other: one JSON object a line, strictly in turns."""

from __future__ import annotations

import json
from typing import Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, le, min_len

from convbench.base.errors import (
    BadRecord,
    OtherFramework,
    OutOfMemory,
    Shortage,
    TaskRefused,
    WorkerFailed,
)
from convbench.base.importing import Reference
from convbench.base.units import Byte, Second
from convbench.checks.structure import CheckReport
from convbench.checks.values import Value
from convbench.frameworks.modes import DEFAULT
from convbench.measure import records
from convbench.measure.records import Memory, Task
from convbench.papers.own_networks import Own

FORM = 5
"""Of the messages: workers of another version of convbench may speak another one."""

CODE = [ge(-64), le(2**32 - 1)]
"""Signals of Linux, and exit codes of Windows."""


@frozen
class Start:
    """To the template: fork a child, which takes the requests that follow."""

    own: Own | None = None
    """Networks that it is to know beside convbench's."""
    memory_limit: Byte | None = None
    """What a task may need of the host's memory; None if it may have what there is."""


@frozen
class Check:
    """Compare one architecture's model, built without weights, with its table and integers."""

    architecture: str
    tables: str
    """The folder with the reference tables."""
    mode: str = DEFAULT


@frozen
class Prepare:
    """Build, verify, fill and warm up one task."""

    task: Task
    tables: str
    warmup_s: Second
    extra: float = 0.0
    """The share of its own time by which each step is made longer, by real work."""


@frozen
class PrepareOwn:
    """Build and warm up one pass of a model that is described nowhere."""

    task: Task
    own: OwnModel
    warmup_s: Second


@frozen
class Outline:
    """Tell the layers of a model that is described nowhere."""

    own: OwnModel


@frozen
class Rounds:
    """Time `count` rounds of `iterations` steps each."""

    count: int
    iterations: int


@frozen
class Peak:
    """Tell the peaks of memory since the warm-up began."""


@frozen
class Attain:
    """Measure what the machine attains with the framework's own operators."""

    device: str
    threads: int
    dtype: str


@frozen
class Profile:
    """Time the nodes of a task that has been prepared, one by one; the whole has its Rounds."""


@frozen(kw_only=True)
class Examine:
    """Train one network for some steps, and keep what it computes."""

    architecture: str
    mode: str
    batch: int
    threads: int
    seed: int
    steps: int
    dtype: str
    path: str
    """The file to keep it in."""
    moved: float = 0.0
    """The share of itself by which each weight and pixel is moved first, up or down by chance."""


@frozen
class Stop:
    """Leave."""


@frozen
class Ready:
    """From the template: the framework is imported."""

    version: str
    forks: bool
    form: int = 1
    """Of its messages, which the first version did not tell."""
    libraries: tuple[tuple[str, str], ...] = ()
    """What decides the framework's speed on this machine, as it says itself."""


@frozen
class Unusable:
    """From the template: the framework is not there, or does not import."""

    why: str
    remedy: str


@frozen
class Started:
    """From a child: it exists, under this process id."""

    pid: int


@frozen
class Checked:
    """The whole report on one architecture."""

    report: CheckReport


@frozen(kw_only=True)
class Prepared:
    """The task can be timed: its model is the paper's, or one's own, and has been warmed up."""

    report: CheckReport | None
    """Without what no source states; None for a model of one's own, which has no paper."""
    build_s: Second = field(validator=records.SECONDS)
    first_s: Second = field(validator=records.SECONDS)
    warmup_s: tuple[Second, ...] = field(
        validator=deep_iterable(and_(*records.SECONDS), min_len(1))
    )


@frozen
class Fact:
    """One quantity at one place of a model."""

    at: str
    quantity: str
    value: Value


@frozen
class Outlined:
    """What can be told exactly of a model: its totals, and what leaves each of its layers."""

    facts: tuple[Fact, ...]
    file: str = ""
    """Of the module that makes it."""


@frozen
class Timed:
    """Seconds of one step in each round."""

    rounds_s: tuple[Second, ...] = field(validator=deep_iterable(and_(*records.STEP)))
    cpu_s: Second = field(default=0.0, validator=records.SECONDS)
    """CPU time of the child meanwhile, all its threads together."""
    host_s: tuple[Second, ...] = field(default=(), validator=deep_iterable(and_(*records.STEP)))
    """The same rounds by the host's clock, where those are by the device's."""


@frozen
class Peaks:
    """Peaks of memory."""

    memory: Memory


@frozen(kw_only=True)
class Attained:
    """The best rates that were found."""

    matmul_flops: float = field(validator=records.RATE)
    conv_flops: float = field(validator=records.RATE)
    copy_bytes_s: float = field(validator=records.RATE)
    cpu_s: Second = field(default=0.0, validator=records.SECONDS)
    """CPU time of the child meanwhile, all its threads together."""


@frozen
class NodeTime:
    """Seconds of one node alone in each round."""

    address: str
    rounds_s: tuple[Second, ...] = field(validator=deep_iterable(and_(*records.STEP)))


@frozen
class Profiled:
    """Every node that the pass computes, in order, the input first."""

    nodes: tuple[NodeTime, ...]
    cpu_s: Second = field(default=0.0, validator=records.SECONDS)
    """CPU time of the child meanwhile, all its threads together."""


@frozen
class Examined:
    """What was asked for is in the file."""


@frozen
class Refused:
    """The request cannot be met, for a reason that a person can act on."""

    why: str
    report: CheckReport | None = None
    """What differs, where that is the reason."""
    outcome: Literal["failed", "refused"] = "refused"
    framework: str | None = None
    """The one that the model belongs to, where that is the reason."""
    shortage: Shortage | None = None
    """The memory that is missing, if that is the reason."""

    def as_error(self, task: str, stage: str) -> WorkerFailed:
        """What to raise where an answer was awaited."""
        if self.framework is not None:
            return OtherFramework(task, stage, self.why, self.framework)
        if self.shortage is not None:
            return OutOfMemory(task, stage, self.why, self.shortage)
        refusal = TaskRefused if self.outcome == "refused" else WorkerFailed
        return refusal(task, stage, self.why)


@frozen
class Exited:
    """From the template: its child has ended, by a signal or with a code."""

    code: int = field(validator=CODE)
    """Exit code; the negative number of the signal that killed it."""
    pid: int
    """Its process id: what a child says of itself is not believed."""
    for_memory: bool = False
    """Whether the system has killed somebody for want of memory meanwhile."""
    grown_bytes: Byte = 0
    """By how much it has been larger than the template, at least."""


Request: TypeAlias = (
    Start | Check | Prepare | PrepareOwn | Outline | Rounds | Peak | Attain | Profile | Examine
) | Stop
Reply: TypeAlias = (
    (Ready | Unusable | Started | Checked | Prepared | Timed | Peaks | Attained | Profiled)
    | Examined
    | Outlined
    | Refused
    | Exited
)
Message: TypeAlias = Request | Reply

_TYPES: dict[str, type[Message]] = {
    type_.__name__.lower(): type_
    for type_ in (
        *(Start, Check, Prepare, PrepareOwn, Outline, Rounds, Peak, Attain, Profile, Examine, Stop),
        *(Ready, Unusable, Started, Checked, Prepared, Timed, Peaks, Attained, Profiled),
        *(Examined, Outlined, Refused, Exited),
    )
}


def encode(message: Message) -> bytes:
    """One line, with its end."""
    kind = type(message).__name__.lower()
    return json.dumps({"kind": kind, **records.as_json(message)}).encode() + b"\n"


def decode(text: bytes) -> Message:
    """The message in a line; raises BadRecord for anything else."""
    content = records.load(text, "message")
    kind = content.pop("kind", None)
    if not isinstance(kind, str) or kind not in _TYPES:
        raise BadRecord("message", f"one of {', '.join(_TYPES)}", repr(text[:80]))
    message: Message = records.structure(content, _TYPES[kind], f"{kind} message")
    return message


@frozen(kw_only=True)
class OwnModel:
    """What a worker has to know of a model that is described nowhere."""

    make: Reference
    """Called without arguments, it returns the model."""
    input: tuple[int, ...]
    """One image as the model takes it."""
    classes: int | None = None
    """Of the random labels; None for as many as the model's answer has."""
    loss: Reference | None = None
    """None for cross-entropy."""
    path: tuple[str, ...] = ()
    """Where the process that asks finds its modules."""
    not_from: str = ""
    """The folder whose code is another side's; empty where there is none."""
