"""A git revision of the user's repository, checked out and installed for as long as it is needed.

It gets a worktree of its own and, unless told otherwise, a fresh virtual environment. Both are
gone afterwards, whatever happened in between.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
from attrs import frozen

from convbench.base.errors import Unsupported, nearest
from convbench.base.processes.interrupts import deferred
from convbench.base.processes.programs import (
    Ran,
    activated,
    inherited,
    programs_of,
    python_path,
    run,
)
from convbench.base.processes.provenance import PREFIX
from convbench.base.units import Second

GIT_LIMIT: Second = 600
INSTALL_LIMIT: Second = 1800
NO_INSTALL = "none"
VENV = ("-m", "venv")
WITH_PIP = "{python} -m pip install -e ."
WITH_UV = "uv pip install --python {python} -e ."


@frozen(kw_only=True)
class Revision:
    """A commit of the repository in which the gate was started."""

    commit: str
    top: Path
    """The folder of the user's working tree."""
    inside: Path
    """Where in it the gate was started."""

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:12]


@frozen(kw_only=True)
class Installed:
    """A revision that can be run."""

    python: str
    path: tuple[str, ...]
    """Folders that go before those of PYTHONPATH."""
    folder: Path


@frozen(kw_only=True)
class Installation:
    """How a revision is installed."""

    command: str | None = None
    """For a shell in the revision's folder, `{python}` being the new environment's; None for uv
    where it is installed, else pip. `none` installs nothing: the folder goes on the Python path."""
    limit_s: Second = INSTALL_LIMIT
    told: Callable[[str], None] = lambda _: None
    """Called with what is being done, which may take minutes."""


def find(text: str, folder: Path) -> Revision | None:
    """The commit that a text names in the repository around `folder`; None if it names none.

    Raises Unsupported where git does not answer.
    """
    if (top := _top(folder)) is None:
        return None
    found = _git(folder, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}")
    if found.code:
        return None
    inside = folder.resolve().relative_to(top)
    return Revision(commit=found.output.strip(), top=top, inside=inside)


def why_none(text: str, folder: Path) -> tuple[str, str]:
    """Why a text names no revision, and what to do, in a few words each."""
    top = _top(folder)
    if shutil.which("git") is None:
        return "no revision, for want of git", "install it"
    if top is None:
        return "no revision, outside of any git repository", "start the gate in yours"
    names = _git(top, "for-each-ref", "--format=%(refname:lstrip=2)").output.split()
    if near := nearest(text, names):
        return "no revision of this repository", f"did you mean {' or '.join(near)}?"
    if _git(top, "rev-parse", "--is-shallow-repository").output.strip() == "true":
        return "no revision of this shallow clone", "fetch it first, as in git fetch --unshallow"
    return "no revision of this repository", "git branch --all lists those that have a name"


def changed(top: Path) -> bool:
    """Whether files that git knows are not as they were committed."""
    return bool(_git(top, "status", "--porcelain", "--untracked-files=no").output.strip())


@contextlib.contextmanager
def installed(revision: Revision, how: Installation) -> Iterator[Installed]:
    """The revision, checked out and installed; raises Unsupported if it cannot be."""
    _remove_leftovers(revision.top)
    with _temporary_folder() as place:
        worktree = place / f"{PREFIX}{revision.short}-{place.name[-8:]}"
        with _worktree(revision, worktree, how):
            folder = worktree / revision.inside
            if not folder.is_dir():
                why, remedy = "it has no such folder", "start the gate in one that both sides have"
                raise Unsupported(f"{revision.inside} of revision {revision.short}", why, remedy)
            python, path = sys.executable, _moved(revision, worktree, python_path())
            if how.command == NO_INSTALL:
                path = _uninstalled(revision, worktree)
            else:
                python = _environment(revision, place / "environment", folder, how)
            there = dict.fromkeys(str(at) for at in path if at.is_dir())
            yield Installed(python=python, path=tuple(there), folder=folder)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    prefix = f"{PREFIX}{os.getpid()}-"
    made = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    try:
        yield Path(made.name).resolve()
    finally:
        with deferred():
            made.cleanup()


@contextlib.contextmanager
def _worktree(revision: Revision, at: Path, how: Installation) -> Iterator[None]:
    how.told(f"checking out {revision.short}")
    words = ("worktree", "add", "--quiet", "--detach", str(at), revision.commit)
    try:
        made = _git(revision.top, *words)
        if made.code:
            remedy = f"see what git worktree add ../try {revision.short} says"
            raise Unsupported(f"worktree of {revision.short}", f"git {made.end}", remedy)
        yield
    finally:
        with deferred():
            _remove(revision.top, at)


def _remove(top: Path, worktree: Path) -> None:
    """Takes a worktree away, also one that git was adding when it was ended."""
    with contextlib.suppress(Unsupported):
        if _git(top, "worktree", "remove", "--force", "--force", str(worktree)).code:
            shutil.rmtree(worktree, ignore_errors=True)
            _git(top, "worktree", "unlock", str(worktree))
            _git(top, "worktree", "prune")


def _remove_leftovers(top: Path) -> None:
    """Takes away what gates have left that were killed so that they could not."""
    for line in _git(top, "worktree", "list", "--porcelain").output.splitlines():
        key, _, text = line.partition(" ")
        place = Path(text).parent
        owner = re.fullmatch(rf"{PREFIX}(\d+)-.+", place.name)
        if key == "worktree" and owner and _is_mine(place) and not psutil.pid_exists(int(owner[1])):
            with deferred():
                _remove(top, Path(text))
                shutil.rmtree(place, ignore_errors=True)


def _is_mine(folder: Path) -> bool:
    """Whether a folder is there and belongs to this user."""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return False
    return not hasattr(os, "getuid") or owner == os.getuid()


def _environment(revision: Revision, at: Path, folder: Path, how: Installation) -> str:
    """The interpreter of a fresh virtual environment that has the revision installed."""
    uv = shutil.which("uv") if how.command is None else None
    make = [uv, "venv", "--quiet", "--python"] if uv else []
    make = [*make, sys.executable, *([] if uv else VENV), str(at)]
    python = str(programs_of(at) / ("python.exe" if os.name == "nt" else "python"))
    install = how.command or (WITH_UV if uv else WITH_PIP)
    for command, shown in (
        (make, shlex.join(make)),
        (install.replace("{python}", shlex.quote(python)), install),
    ):
        how.told(f"installing {revision.short}: {shown}")
        what = f"installation of {revision.short} by {shown!r}"
        remedy = (
            "give another command by --install, or --install none to use this Python's packages"
        )
        try:
            ran = run(command, how.limit_s, folder=folder, environment=activated(at))
        except TimeoutError:
            why = f"it took more than {how.limit_s:g} s and was ended"
            raise Unsupported(what, why, remedy) from None
        if ran.code:
            raise Unsupported(what, f"it {ran.end}", remedy)
    return python


def _uninstalled(revision: Revision, worktree: Path) -> list[Path]:
    """Where a revision's code may lie, as far as anybody can tell that does not install it.

    An editable installation of the user's in the gate's Python is a folder of `sys.path`.
    """
    known = [*python_path(), *(Path(at) for at in sys.path if at)]
    roots = worktree / revision.inside, worktree
    first, last = ([root / "src", root] for root in roots)
    return [*first, *_moved(revision, worktree, known), *last]


def _moved(revision: Revision, worktree: Path, folders: Iterable[Path]) -> list[Path]:
    """Those of the folders that lie in the user's working tree, as the worktree has them.

    Both sides would import what lies there otherwise, whatever they were to be.
    """
    inside = [at.resolve() for at in folders if at.resolve().is_relative_to(revision.top)]
    return [worktree / at.relative_to(revision.top) for at in inside]


def _top(folder: Path) -> Path | None:
    """The folder of the working tree around `folder`; None outside of any, and without git."""
    if shutil.which("git") is None:
        return None
    found = _git(folder, "rev-parse", "--show-toplevel")
    if found.code == 0:
        return Path(found.output.strip()).resolve()
    if "not a git repository" in found.errors or "work tree" in found.errors:
        return None
    raise Unsupported("git", f"git rev-parse {found.end}", "mend that first")


def _git(folder: Path, *words: str) -> Ran:
    """Runs git in a folder; raises Unsupported where it cannot be, or does not end."""
    # What it says is read, so it must not say it in the user's language, nor ask for a password.
    environment = {**inherited(), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", *words]
    try:
        return run(command, GIT_LIMIT, folder=folder, environment=environment)
    except TimeoutError:
        why = f"git {words[0]} took more than {GIT_LIMIT:g} s and was ended"
        raise Unsupported("git", why, f"see what git {shlex.join(words)} does") from None
    except OSError as error:  # no more processes or files for this user, say
        raise Unsupported("git", f"it cannot be started: {error.strerror}", "mend that") from None
