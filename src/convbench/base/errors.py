"""What can go wrong, as exceptions that carry the facts as fields and print one sentence.

Each sentence says where, what was wanted, what was found, and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from itertools import dropwhile

from attrs import frozen

from convbench.base.units import Byte, size

OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "not enough memory", "OOM when", "bad_alloc"),
    *("failed to allocate memory", "annot allocate memory", "nable to allocate"),
)
MOST_KNOWN = 20
"""How many known names a sentence lists."""

FORM = "reference_tables/README.md has the form"

_KIND = r"(?:\w+\.)*[A-Z]\w*"
_RAISED = re.compile(rf"\s*{_KIND}(?:: |$)")
"""The line below a traceback, as in `ValueError: no such layer`."""
_FRAME = re.compile(r'\s*File "')
_TRACEBACK = re.compile(r".*Traceback\b.*\(most recent call last\):$|\s*in user code:$")
_FAILED_BUILD = re.compile(rf"(?:{_KIND}: )?C\+\+ compile error$")
_HEADING = re.compile(
    rf"\s*(?:{_KIND}: )?(?:"
    r"Graph execution error:|Detected at node .*:|\d+ root error\(s\) found\.|"
    r"Exception encountered when calling .*\.|.*Error encountered:|"
    r"Error when deserializing class .*\.|"
    r"The following operation failed in the TorchScript interpreter\.|"
    r"Caught \w+ in .*\.|backend=.* raised:|Failed running call_\w+ .*:|"
    r"Error\(s\) in loading state_dict for .*:|Overloaded torch operator .*:)$"
)
"""First lines of TensorFlow, Keras and PyTorch that say where, and leave what to those below."""
_EXPLAINED = (
    re.compile(r"\s*Explanation: .*: got (\w+\(.*\))$"),
    re.compile(r"\s*Developer debug context: raised exception (.*)$"),
    re.compile(r"\s*Explanation: (.*)$"),
)
"""What torch.compile says below the name of a fault, the most telling first."""
_TENSORFLOW_PLACE = re.compile(r"\s*\{\{function_node \S*\}\}\s*|\s*\[Op:\w+\](?: name:.*)?$")
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class ConvbenchError(Exception):
    """Base of every error that a user can cause or mend; its text is one clear sentence."""


@frozen(str=False, eq=False)
class BadLayer(ConvbenchError):
    """A layer was described with a value that no network can have."""

    layer: str
    field: str
    wanted: str
    got: object

    def __str__(self) -> str:
        return f"{self.layer}: {self.field} must be {self.wanted}, but is {self.got!r}"


@frozen(str=False, eq=False)
class ShapeMismatch(ConvbenchError):
    """A layer cannot take what it is given."""

    at: str
    wanted: str
    got: str
    hint: str

    def __str__(self) -> str:
        return f"{self.at}: wants {self.wanted}, but gets {self.got}; {self.hint}"


@frozen(str=False, eq=False)
class BadAddress(ConvbenchError):
    """A node's name cannot be used as its address."""

    at: str
    why: str

    def __str__(self) -> str:
        return f"{self.at}: {self.why}"


@frozen(str=False, eq=False)
class UnknownName(ConvbenchError):
    """A name that is not in the list it was looked up in."""

    kind: str
    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        some = ", ".join(self.known[:MOST_KNOWN])
        more = len(self.known) - MOST_KNOWN
        all_ = f"{some} and {more} more" if more > 0 else some
        remedy = hint(self.name, self.known) or f"known: {all_}"
        return f"unknown {self.kind} {self.name!r}; {remedy}"


def one_line(text: str, most: int) -> str:
    r"""The first line of what somebody else says, without what a terminal would obey.

    >>> one_line("\x1b[31mred\x1b[0m\tand more\nat length", most=12)
    'red and more'
    """
    plain = _TERMINAL.sub("", text).strip()
    first = next(iter(plain.splitlines()), "")
    return " ".join("".join(c if c.isprintable() else " " for c in first).split())[:most]


def telling_line(text: str, most: int) -> str:
    r"""The line of an exception's text that says what is wrong, which need not be the first.

    >>> telling_line("Graph execution error:\n\nDetected at node A:\n\nmany sizes [Op:A]", most=80)
    'many sizes'
    """
    lines = [line for line in _TERMINAL.sub("", text).splitlines() if line.strip()]
    while len(lines) > 1 and (below := _below(lines)):
        lines = below
    return one_line(_TENSORFLOW_PLACE.sub("", lines[0]), most) if lines else ""


def said(error: BaseException, most: int = 300) -> str:
    """The kind of an error, and the line of it that says what is wrong."""
    kind = type(error).__name__
    try:
        text = telling_line(str(error), most).removeprefix(f"{kind}: ")
    except Exception:  # an error of the user's own may fail even to say what it is
        text = "it does not say why"
    return f"{kind}: {text}" if text else kind


def _below(lines: list[str]) -> list[str]:
    """The lines from that on which the first one announces; none if it tells by itself."""
    first, rest = lines[0], lines[1:]
    if rest[0].lstrip().startswith("Explanation: "):
        found = (match for form in _EXPLAINED for match in map(form.match, rest) if match)
        return [next(found)[1]]
    if _TRACEBACK.match(first):
        return _raised(rest)
    if _FAILED_BUILD.match(first):
        return [line for line in rest if "error: " in line]
    if _HEADING.match(first):
        return list(dropwhile(_FRAME.match, rest))
    return []


def _raised(lines: list[str]) -> list[str]:
    """What a traceback ends with; the lines of source above are further in than its frames."""
    frames = [_indent(line) for line in lines if _FRAME.match(line)]
    outer = frames[0] if frames else 0
    raised = [n for n, line in enumerate(lines) if _indent(line) <= outer and _RAISED.match(line)]
    return lines[raised[0] :] if raised else lines[-1:]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_about_memory(error: Exception | str) -> bool:
    """Whether what a framework raises, or says last, means that there is no memory left."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that look like `name`, the closest first."""
    return difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)


def hint(name: str, known: Iterable[str]) -> str | None:
    """The question whether a known name that looks like `name` is meant, if there is one."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(near)}?" if near else None


@frozen(str=False, eq=False)
class BadOption(ConvbenchError):
    """An option of the command line with a value that it cannot have."""

    option: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"{self.option} must be {self.wanted}, but is {self.got!r}"


@frozen(str=False, eq=False)
class TableError(ConvbenchError):
    """A reference table that cannot be read, or that contradicts itself."""

    file: str
    where: str
    wanted: str
    got: str
    remedy: str = FORM

    def __str__(self) -> str:
        place = f"{self.file}, {self.where}" if self.where else self.file
        return f"{place}: wanted {self.wanted}, found {self.got}; {self.remedy}"


@frozen(str=False, eq=False)
class FrameworkMissing(ConvbenchError):
    """A framework is not installed, or fails to import."""

    framework: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.framework} cannot be used: {self.why}; {self.remedy}"


@frozen(str=False, eq=False)
class Unsupported(ConvbenchError):
    """Something was asked for that this machine or this framework does not have."""

    what: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.remedy}"


@frozen(str=False, eq=False)
class BrokenSide(ConvbenchError):
    """The base or the head of a comparison cannot be what it was said to be."""

    role: str
    given: str
    """As the command line has it."""
    fault: str
    """The whole sentence about it."""

    def __str__(self) -> str:
        return f"{self.role} {self.given!r}: {self.fault}"


@frozen(str=False, eq=False)
class FromWorkingTree(ConvbenchError):
    """A revision's process has imported what both sides have."""

    module: str
    file: str

    def __str__(self) -> str:
        return (
            f"it imports {self.module} from {self.file} of the working tree, and not from its own "
            f"worktree; install it by --install, or put the folder that holds it on PYTHONPATH"
        )


@frozen(str=False, eq=False)
class WorkerFailed(ConvbenchError):
    """One task could not be finished by its worker process; the other tasks are not affected."""

    task: str
    stage: str
    why: str

    @property
    def reason(self) -> str:
        """What went wrong, where the task is named already."""
        return f"{self.why} (while {self.stage})"

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"


class TaskRefused(WorkerFailed):
    """A task that is not run for a good reason: it does not fit, or is not the paper's."""

    @property
    def reason(self) -> str:
        """Why it is not run."""
        return self.why


@frozen
class Shortage:
    """Memory that a task needs and cannot have."""

    needed: Byte = 0
    """At least this much; 0 if nobody knows."""
    limit: Byte | None = None
    """What the user allows, if that is too little."""
    available: Byte | None = None
    """What the machine has left, if that is too little."""

    def __str__(self) -> str:
        told = [f"needs at least {size(self.needed)} of memory"] if self.needed > 0 else []
        told += [f"the limit is {size(self.limit)}"] if self.limit is not None else []
        told += [f"{size(self.available)} is available"] if self.available is not None else []
        return ", ".join(told) or "there is no memory left"


@frozen(str=False, eq=False)
class OutOfMemory(TaskRefused):
    """A task that does not fit."""

    shortage: Shortage = Shortage()


@frozen(str=False, eq=False)
class OtherFramework(TaskRefused):
    """A task with a model of one's own that belongs to another framework."""

    framework: str


@frozen(str=False, eq=False)
class BadRecord(ConvbenchError):
    """A message or a journal line that does not have the form it must have."""

    where: str
    wanted: str
    got: str

    def __str__(self) -> str:
        return f"{self.where}: wanted {self.wanted}, found {self.got}"
