"""The user's own pytest-benchmark tests as subjects of the gate, selected by node id.

A pair is one fresh pytest process of each side, one after the other in random order: the rounds
of two pytest processes cannot be interleaved, because pytest-benchmark counts and times them. What
slows the machine for a while can thus meet one side alone. That makes the log ratios wider, but
leaves them as often above as below, and the test by betting wants no more than that.

One process of each side serves all tests that still want a pair. Starting pytest and importing
what the tests import often takes longer than to time them, so that this is several times as cheap.
Pairs of two tests then depend on each other, but Bonferroni's inequality does not mind.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import PurePath
from random import Random
from time import perf_counter
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from convbench.base.errors import BadOption, Unsupported, WorkerFailed
from convbench.base.units import Second
from convbench.gate.loop import TakePair
from convbench.gate.own_tests.pytest_process import Ran, called, run
from convbench.gate.sides.sides import Side
from convbench.gate.sides.sides import shared as shared_code
from convbench.gate.values import ROLES, Broken, Pair, Role, Sample

Sides: TypeAlias = Mapping[Role, Side]
OPTION = "--test"
TIMEOUT: Second = 600
"""Seconds in which a process must begin or end a test, or tell of a file."""
MOST = 1000
"""Rounds that are kept of a process: pytest-benchmark gives some 100,000 of a quick function."""
COLLECTING, TIMING = "collecting tests", "timing tests"
NO_ROUNDS = "the test passes, but its benchmark gives no rounds that take time"


@frozen(kw_only=True)
class Chosen:
    """What there is to compare, and what there is not."""

    subjects: Mapping[str, TakePair]
    """By node id."""
    broken: tuple[Broken, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know, in sentences: tests that are new."""


def choose(
    tests: Sequence[str], sides: Sides, chance: Random, timeout_s: Second = TIMEOUT
) -> Chosen:
    """The tests that these files, classes and node ids select on both sides.

    Raises BadOption, Unsupported. A test of the base that the head does not have any more is
    broken: nobody knows whether it would be slower. One that is new can be slower than nothing.
    """
    _require_usable(tests, sides)
    collected, broken = _collected(tests, sides, timeout_s)
    base, head = (
        [n for ran in collected.values() for n in ran[role].of("timed")] for role in ROLES
    )
    shared = Shared(
        subjects=tuple(dict.fromkeys(name for name in base if name in head)),
        sides=sides,
        tests=tuple(collected),
        xdist=frozenset(r for r in ROLES for ran in collected.values() if _has(ran[r], "xdist")),
        chance=chance,
        timeout_s=timeout_s,
    )
    removed = dict.fromkeys(name for name in base if name not in head)
    new = dict.fromkeys(name for name in head if name not in base)
    return Chosen(
        subjects={name: partial(shared.take, name) for name in shared.subjects},
        broken=(*broken, *(_removed(name, sides["head"]) for name in removed)),
        notes=(*_notes([*new], sides["base"]), *shared_code(sides, _code(collected))),
    )


def _code(collected: Mapping[str, Mapping[Role, Ran]]) -> dict[Role, dict[str, str]]:
    """The modules of the user's own that the tests import, and their files; not the tests."""
    files = (PurePath(name.partition("::")[0]) for name in collected)
    tests = {part for file in files for part in (*file.parts, file.stem, "conftest")}
    return {
        role: {
            name: at
            for ran in collected.values()
            for name, at in ran[role].of("shared").items()
            if name not in tests
        }
        for role in ROLES
    }


def _require_usable(tests: Sequence[str], sides: Sides) -> None:
    wanted = "a file, a class or a test in the folder of both sides, as in tests/test_speed.py"
    if not tests:
        raise BadOption(OPTION, wanted, "")
    for test in tests:
        if not test.strip() or test.startswith("-") or PurePath(test).is_absolute():
            raise BadOption(OPTION, wanted, test)
    for role in ROLES:
        for name, value in sides[role].changes.items():
            why = f"your tests choose their own {name}, and {called(role, sides[role])} is none"
            remedy = "give two revisions or two interpreters"
            raise Unsupported(f"{OPTION} with {name}={value}", why, remedy)


def _collected(
    tests: Sequence[str], sides: Sides, timeout_s: Second
) -> tuple[dict[str, dict[Role, Ran]], list[Broken]]:
    """What each selection has on both sides, and the first side of each that has nothing."""
    found: dict[str, dict[Role, Ran]] = {}
    broken = []
    for test in dict.fromkeys(tests):
        role = ROLES[0]
        ran: dict[Role, Ran] = {}
        try:
            for role in ROLES:
                ran[role] = _collect(called(role, sides[role]), sides[role], test, timeout_s)
        except WorkerFailed as error:
            broken.append(Broken(subject=test, role=role, reason=str(error)))
        else:
            found[test] = ran
    return found, broken


def _collect(name: str, side: Side, test: str, timeout_s: Second) -> Ran:
    """What a side has under a node id; raises WorkerFailed if that is not a benchmark."""
    ran = run(side, ["--collect-only", test], timeout_s)
    for fault in ran.faults:
        raise WorkerFailed(name, COLLECTING, fault)
    if not ran.finished:
        raise ran.failure(name, COLLECTING)
    timed, untimed = ran.of("timed"), ran.of("untimed")
    if not timed and not untimed:
        raise WorkerFailed(name, COLLECTING, f"it has no such test: {ran.last_words}")
    if not _has(ran, "benchmark"):
        why = f"pytest-benchmark is not installed for {side.python}, or switched off"
        raise WorkerFailed(name, COLLECTING, why)
    if not timed:
        why = f"none of {len(untimed)} tests has the fixture benchmark, so there is nothing to time"
        raise WorkerFailed(name, COLLECTING, why)
    return ran


def _has(ran: Ran, plugin: str) -> bool:
    return plugin in ran.of("plugin")


def _removed(test: str, head: Side) -> Broken:
    why = (
        f"{called('head', head)}: has no such test with a benchmark, which the base has; if that "
        f"is meant, select the others by their names"
    )
    return Broken(subject=test, role="head", reason=why)


def _notes(new: Sequence[str], base: Side) -> tuple[str, ...]:
    if not new:
        return ()
    names, are = ", ".join(new), "are" if len(new) > 1 else "is"
    return (f"{names} {are} not compared: {called('base', base)} has no such test.",)


@define(kw_only=True)
class Shared:
    """Pairs of all the tests that want one, from one process of each side.

    A test that was given its pair and comes for another one is still in doubt; one that leaves its
    pair here is decided, and is not run again.
    """

    subjects: tuple[str, ...]
    sides: Sides
    tests: tuple[str, ...]
    """What was selected, which pytest is given."""
    xdist: frozenset[Role]
    """The sides that have pytest-xdist, in whose workers nothing is timed."""
    chance: Random
    timeout_s: Second
    ready: dict[str, Pair] = field(factory=dict)
    failed: dict[str, WorkerFailed] = field(factory=dict)

    def take(self, subject: str, number: int) -> Pair:
        """The pair of a test; raises WorkerFailed, whose task names the side."""
        while subject not in self.ready:
            if subject in self.failed:
                raise self.failed[subject]
            self._take_all()
        return evolve(self.ready.pop(subject), number=number)

    def _take_all(self) -> None:
        """A pair of each test that has none; or, if one fails on a side, its failure alone.

        A pair counts if both processes ran the same tests to their end: what ran before a test
        can change how fast it is.
        """
        wanted = [s for s in self.subjects if s not in self.ready and s not in self.failed]
        began = perf_counter()
        order = self.chance.sample(ROLES, 2)
        samples: dict[Role, dict[str, Sample]] = {}
        for role in order:
            arguments = [*(["-n0"] if role in self.xdist else []), *self.tests]
            ran = run(self.sides[role], arguments, self.timeout_s, wanted)
            samples[role], failed = _measured(called(role, self.sides[role]), ran, wanted)
            if failed:
                self.failed |= failed
                return
        each_s = (perf_counter() - began) / len(wanted)
        for subject in wanted:
            self.ready[subject] = Pair(
                subject=subject,
                number=1,
                base=samples["base"][subject],
                head=samples["head"][subject],
                first=order[0],
                taken_s=each_s,
                interleaved=False,
            )


def _measured(
    side: str, ran: Ran, wanted: Sequence[str]
) -> tuple[dict[str, Sample], dict[str, WorkerFailed]]:
    """What one process gave of each test, and why some did not; all have the one or some fail."""
    reasons = {test: f"the test fails: {why}" for test, why in ran.of("failed").items()}
    reasons |= {test: f"the test is skipped: {why}" for test, why in ran.of("skipped").items()}
    failed = {t: WorkerFailed(side, TIMING, reasons[t]) for t in wanted if t in reasons}
    if not ran.finished:
        culprits = [ran.running] if ran.running in wanted else wanted
        failed |= {test: ran.failure(side, TIMING) for test in culprits if test}
    for fault in ran.faults:
        failed |= {test: WorkerFailed(side, COLLECTING, fault) for test in wanted}
    if failed:
        return {}, failed
    samples = _samples(ran.timings)
    missing = [test for test in wanted if test not in samples]
    return samples, {test: WorkerFailed(side, TIMING, NO_ROUNDS) for test in missing}


def _samples(text: bytes) -> dict[str, Sample]:
    """The rounds of each test that pytest-benchmark wrote down, in seconds of one iteration."""
    samples = {}
    with contextlib.suppress(AttributeError, ValueError):
        for benchmark in json.loads(text or b"{}").get("benchmarks", ()):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                rounds = benchmark["stats"]["data"]
                every = max(1, -(-len(rounds) // MOST))
                samples[benchmark["fullname"]] = Sample(rounds_s=tuple(rounds[::every]))
    return samples
