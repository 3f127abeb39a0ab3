"""What base and head are: from the command line's words to what a worker is started with.

A text is the first of these that it can be:

1. what begins with `/`, `./`, `../` or `~/`: an interpreter, or a virtual environment's folder;
2. `.` or `this`: the gate's own interpreter, as it is;
3. what contains `=`: a configuration of that, as in `framework=keras,mode=eager`;
4. a revision of the repository around the current folder;
5. the name of a file or folder: an interpreter again.

So a folder that is named like a branch needs `./` before it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from convbench.base.errors import (
    BrokenSide,
    ConvbenchError,
    FrameworkMissing,
    UnknownName,
    Unsupported,
)
from convbench.base.processes.programs import Interpreter, inherited, programs_of
from convbench.frameworks.modes import DTYPES, MODES, offers, parts
from convbench.frameworks.registry import FRAMEWORKS, known
from convbench.gate.sides import revisions
from convbench.gate.sides.revisions import Installation, Revision
from convbench.gate.values import ROLES, Role
from convbench.measure.worker.launcher import Child, Launcher

OWN = (".", "this")
PLACES = ("/", "./", "../", "~/")
KEYS = ("framework", "mode", "dtype")
"""What a configuration can say: fields of a task."""
FORMS = "an interpreter, a revision of this repository, or a configuration such as mode=compiled"


@frozen(kw_only=True)
class Side:
    """One side, as its workers are started."""

    role: Role
    given: str
    """As the command line has it."""
    meaning: str
    """What that is, in a few words."""
    python: str = sys.executable
    path: tuple[str, ...] = ()
    """Folders that go before those of PYTHONPATH."""
    folder: Path | None = None
    """Where its processes run; None for where the gate was started."""
    tree: Path | None = None
    """The user's working tree, if none of its code belongs to this side; None if some does."""
    changes: Mapping[str, str] = field(factory=dict)
    """What its tasks have instead of what the command line says; its keys are of `KEYS`."""

    def same_interpreter(self, other: Side) -> bool:
        """Whether a template of one can serve the other as well."""
        mine, others = (
            (self.python, self.path, self.folder),
            (other.python, other.path, other.folder),
        )
        return mine == others

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of its processes: the user's, but that idle threads sleep.

        Two processes take turns. Threads that spin while theirs waits take the other's processors.
        """
        inherits = inherited(self.path, self.tree)
        if inherits.get("OMP_WAIT_POLICY", "").strip().lower() == "active":
            inherits["OMP_WAIT_POLICY"] = "passive"
        return inherits

    @property
    def interpreter(self) -> Interpreter:
        """What its processes are started with."""
        return Interpreter(python=self.python, folder=self.folder, environment=self.environment)

    @property
    def model_path(self) -> tuple[str, ...]:
        """Where its workers look first for the modules of models of the user's own.

        Not where the gate finds them: that may be the other side, or another Python's packages.
        """
        return (*self.path, str(self.folder or Path.cwd()))


def alike() -> dict[Role, Side]:
    """Two sides that are both the gate's own interpreter, as it is."""
    return {role: _own(role, OWN[0]) for role in ROLES}


def _own(role: Role, text: str) -> Side:
    return Side(role=role, given=text, meaning="this interpreter")


@contextmanager
def sides(base: str, head: str, how: Installation | None = None) -> Iterator[dict[Role, Side]]:
    """Both sides, ready to be started; what was made for them is gone afterwards.

    Raises BrokenSide. Both texts are read before anything is made. What ends the program by a
    signal must raise, as under `cleaning_up`, or nobody takes away what was made.
    """
    texts = dict(zip(ROLES, (base, head), strict=True))
    folder = Path.cwd()
    read_ = {role: read(role, text, folder) for role, text in texts.items()}
    with ExitStack() as stack:
        ready: dict[Role, Side] = {}
        for role, found in read_.items():
            if isinstance(found, Side):
                ready[role] = found
                continue
            try:
                made = stack.enter_context(revisions.installed(found, how or Installation()))
            except ConvbenchError as error:
                fault = f"{error}{_or_file(texts[role], folder)}"
                raise BrokenSide(role, texts[role], fault) from None
            ready[role] = Side(
                role=role,
                given=texts[role],
                meaning=f"revision {found.short}",
                python=made.python,
                path=made.path,
                folder=made.folder,
                tree=found.top,
            )
        yield ready


def uncommitted(sides: Mapping[Role, Side]) -> list[str]:
    """A sentence where the user's working tree is not what any side has; raises Unsupported."""
    trees = {side.tree for side in sides.values()}
    if None in trees or not any(tree and revisions.changed(tree) for tree in trees):
        return []
    return ["Uncommitted changes are in neither side: `.` is the working tree."]


def shared(sides: Mapping[Role, Side], files: Mapping[Role, Mapping[str, str]]) -> list[str]:
    """A sentence on modules that two interpreters import from one place; by module, on each side.

    It is wanted where only a framework differs, and a mistake where they were to have the user's
    code in two versions.
    """
    base, head = (sides[role] for role in ROLES)
    if base.tree or head.tree or base.python == head.python or len(files) < len(ROLES):
        return []
    same = {name: at for name, at in files["base"].items() if at and files["head"].get(name) == at}
    told = [f"{name} from {os.path.relpath(at)}" for name, at in same.items()]
    if not told:
        return []
    return [f"Both sides import {', '.join(told)}: only what is installed differs."]


def read(role: Role, text: str, folder: Path) -> Side | Revision:
    """What a text means to a gate that was started in `folder`; raises BrokenSide."""
    try:
        return _read(role, text.strip(), folder)
    except BrokenSide:
        raise
    except ConvbenchError as error:
        raise BrokenSide(role, text, str(error)) from None


def _read(role: Role, text: str, folder: Path) -> Side | Revision:
    own = _own(role, text)
    if text.startswith(PLACES):
        return _interpreter(own, folder / Path(text).expanduser())
    if text in OWN:
        return own
    if "=" in text:
        changes = configuration(text)
        return evolve(own, meaning=f"this interpreter with {text}", changes=changes)
    if text and (revision := revisions.find(text, folder)):
        return revision
    if text and (folder / text).exists():
        return _interpreter(own, folder / text)
    found, remedy = revisions.why_none(text, folder)
    raise BrokenSide(role, text, f"wanted {FORMS}, found no file and {found}; {remedy}")


def configuration(text: str) -> dict[str, str]:
    """The keys and values of a configuration; raises UnknownName, Unsupported."""
    found: dict[str, str] = {}
    for word in text.split(","):
        key, equals, value = (part.strip() for part in word.partition("="))
        if key not in KEYS:
            raise UnknownName("key", key, KEYS)
        if key in found or not equals or not value:
            why = f"{key} has no value" if key not in found else f"{key} is said twice"
            raise Unsupported("the configuration", why, "write it as in framework=keras,mode=eager")
        found[key] = value
    if "framework" in found:
        known(found["framework"])
    if "mode" in found:
        found["mode"] = _mode(found["mode"], found.get("framework"))
    if "dtype" in found and found["dtype"] not in DTYPES:
        raise UnknownName("dtype", found["dtype"], DTYPES)
    return found


def _mode(mode: str, framework: str | None) -> str:
    """The mode's usual name, if the framework offers it, or any if none is named."""
    named = [framework] if framework else [*FRAMEWORKS]
    if any(offers(known(name).modes, mode) for name in named):
        return "+".join(parts(mode))
    for part in parts(mode):
        if part not in MODES:
            raise UnknownName("mode", part, tuple(MODES))
    why = f"{framework} does not run in it" if framework else "no framework runs in it"
    raise Unsupported(f"mode {mode}", why, "name another")


def _interpreter(own: Side, place: Path) -> Side:
    """The side of the interpreter at a place, or of the virtual environment there."""
    place = place.absolute()  # a link stays one: that is what a virtual environment is known by
    if place.is_dir():
        python = programs_of(place) / ("python.exe" if os.name == "nt" else "python")
        if not python.exists():
            why, remedy = f"it has no {python.relative_to(place)}", "name an interpreter"
            raise Unsupported(f"the folder {place}", why, remedy)
        place = python
    if not place.exists():
        raise Unsupported(f"the interpreter {place}", "there is no such file", f"wanted is {FORMS}")
    if not os.access(place, os.X_OK):
        why = "it is not executable"
        raise Unsupported(f"the interpreter {place}", why, "name a Python, as in venv/bin/python")
    return evolve(own, meaning=f"interpreter {place}", python=str(place))


def _or_file(text: str, folder: Path) -> str:
    """What to say of a revision that fails, and is named as a file is."""
    return f"; for the file of that name write ./{text}" if (folder / text).exists() else ""


class SideLauncher(Launcher):
    """A launcher whose template belongs to a side, which its errors name."""

    def __init__(self, side: Side, framework: str, **settings: Any) -> None:
        super().__init__(
            framework,
            interpreter=side.interpreter,
            **settings,
        )
        self.side = side

    def open(self, task: str) -> Child:
        """A fresh child for a task; raises BrokenSide or WorkerFailed."""
        try:
            return super().open(task)
        except FrameworkMissing as error:
            raise BrokenSide(self.side.role, self.side.given, str(error)) from None
