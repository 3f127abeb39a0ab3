"""What a side's interpreter is and has, asked before anything is measured with it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from convbench.base.errors import BadRecord, BrokenSide, ConvbenchError, FromWorkingTree, one_line
from convbench.base.processes.programs import Ran, run
from convbench.base.processes.provenance import belongs
from convbench.base.units import Second
from convbench.gate.sides.sides import Side
from convbench.gate.values import ROLES, SideFacts
from convbench.measure import records
from convbench.measure.machine import environment as machine
from convbench.measure.records import CHANGED, Environment

LIMIT: Second = 120
"""For an answer; a busy machine needs seconds."""
OLDEST = (3, 11)
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
FILE = "import convbench; print(convbench.__file__)"
SAME = ("cpu", "cores", "memory_bytes", "gpu", "driver", "system")
"""What both sides must have the same of, or a ratio says nothing about the software."""
SHOWN = ("python", "convbench", "commit")
"""What they may differ in, beside their packages."""


@frozen(str=False, eq=False)
class Incomparable(ConvbenchError):
    """Two sides between which a ratio would not be one of software."""

    differences: tuple[str, ...]

    def __str__(self) -> str:
        found = "; ".join(self.differences)
        return f"the sides are not on the same machine: {found}; run both where these are equal"


def facts(side: Side, limit_s: Second = LIMIT) -> SideFacts:
    """The side with its machine and its software; raises BrokenSide."""
    if side.python == sys.executable and not side.path and side.folder is None:
        here = machine.environment(Path.cwd())  # whose answer is the gate's own
        return SideFacts(role=side.role, given=side.given, meaning=side.meaning, environment=here)
    asked = _asked(side, ["-c", VERSION], limit_s)
    version = re.fullmatch(r"(\d+)\.(\d+)", asked.output.strip())
    if asked.code or version is None:
        said = one_line(asked.last_words, most=100)
        found = f"it said {said!r}" if said else "it said nothing"
        what = f"{side.python} is no Python: asked for its version {found}"
        raise _broken(side, f"{what}; name one, as in venv/bin/python")
    if tuple(map(int, version.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        what = f"is Python {asked.output.strip()}, and convbench needs {oldest} or newer"
        raise _broken(side, f"{side.python} {what}; name a newer one")
    ran = _asked(side, ["-m", "convbench", "environment", "--format", "json"], limit_s)
    file = _asked(side, ["-c", FILE], limit_s).output.strip() if side.tree else ""
    if file and belongs(file, str(side.tree)):
        raise _broken(side, str(FromWorkingTree("convbench", file)))
    environment = _answer(side, ran)
    if side.tree and environment.commit:  # what installing and importing left changes nothing
        commit = environment.commit.removesuffix(CHANGED)
        environment = evolve(environment, commit=commit)
    return SideFacts(
        role=side.role, given=side.given, meaning=side.meaning, environment=environment
    )


def comparable(base: SideFacts, head: SideFacts) -> list[str]:
    """A sentence for each thing in which the sides differ and may; raises Incomparable."""
    if base.environment is None or head.environment is None:
        return []
    both = base.environment, head.environment
    if apart := [_apart(name, *both) for name in SAME if _differs(name, *both)]:
        raise Incomparable(tuple(apart))
    packages = dict(both[0].packages), dict(both[1].packages)
    names = dict.fromkeys([*packages[0], *packages[1]])
    pairs = [(name, packages[0].get(name), packages[1].get(name)) for name in names]
    return [_apart(name, *both) for name in SHOWN if _differs(name, *both)] + [
        _sentence(name, old, new) for name, old, new in pairs if old != new
    ]


def _asked(side: Side, words: Sequence[str], limit_s: Second) -> Ran:
    """What the side's interpreter answers."""
    command = [side.python, *words]
    try:
        return run(command, limit_s, folder=side.folder, environment=side.environment)
    except TimeoutError:
        asked = "its version" if words[0] == "-c" else "its environment"
        what = f"{side.python}, asked for {asked}, gave no answer for {limit_s:g} s and was ended"
        fault = f"{what}; see what it does"
        raise _broken(side, fault) from None
    except OSError as error:
        fault = f"{side.python} cannot be started: {error.strerror}; name a Python that can"
        raise _broken(side, fault) from None


def _answer(side: Side, ran: Ran) -> Environment:
    """The environment that a side tells of."""
    if ran.code:
        raise _broken(side, _why(side, ran))
    try:
        content = records.load(ran.output.encode(), "its answer")
        found: Environment = records.structure(content, Environment, "its answer")
    except BadRecord as error:
        remedy = f"install the version of convbench that is in {sys.executable}"
        said = one_line(str(error), most=300)
        fault = f"the convbench of {side.python} answers in another form ({said}); {remedy}"
        raise _broken(side, fault) from None
    return found


def _why(side: Side, ran: Ran) -> str:
    """What is wrong with a convbench that does not tell of its environment, and what to do."""
    if absent := re.search(r"No module named '?([\w.]+)", ran.last_words):
        remedy = f"install it there, as in {side.python} -m pip install /path/to/convbench"
        if side.folder is not None:
            remedy = "let --install install it too, or take the gate's own by --install none"
        if absent[1].startswith("convbench"):
            return f"{side.python} has no convbench; {remedy}"
        return f"the convbench that {side.python} finds lacks {absent[1]}; {remedy}"
    if "invalid choice: 'environment'" in ran.last_words:
        return f"the convbench of {side.python} is older than the gate; install a newer one"
    return f"the convbench of {side.python} {ran.end}; see what convbench environment says there"


def _broken(side: Side, fault: str) -> BrokenSide:
    return BrokenSide(side.role, side.given, fault)


def _differs(name: str, base: Environment, head: Environment) -> bool:
    return bool(getattr(base, name) != getattr(head, name))


def _apart(name: str, base: Environment, head: Environment) -> str:
    shown = {"cpu": "CPU", "gpu": "GPU", "python": "Python", "memory_bytes": "bytes of memory"}
    return _sentence(shown.get(name, name), getattr(base, name), getattr(head, name))


def _sentence(name: str, base: object, head: object) -> str:
    values = zip(ROLES, (base, head), strict=True)
    return f"{name}: " + ", ".join(f"{role} {value or 'none'}" for role, value in values)
