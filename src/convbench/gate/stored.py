"""This run against a stored one: the weaker comparison, of processes that were not side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import log
from pathlib import Path
from statistics import median

from attrs import evolve, frozen

from convbench.base.errors import BadRecord, ConvbenchError
from convbench.base.units import size
from convbench.checks.parity import Parity
from convbench.checks.structure import CheckReport
from convbench.checks.values import Value, as_text
from convbench.gate.statistics import ranks
from convbench.gate.statistics.judging import ALPHA, BETA, level
from convbench.gate.values import (
    QUANTITIES,
    Broken,
    Difference,
    GateResult,
    Quantity,
    Question,
    Role,
    Sample,
    SideFacts,
    Verdict,
)
from convbench.measure.estimates import BESIDE, Estimate, beside, estimates
from convbench.measure.journal import JOURNAL, Journal, latest
from convbench.measure.records import Entry, Environment, Measurement, Task

MACHINE = ("cpu", "cores", "system", "gpu", "driver")
"""What must be the same, but for the memory: a kernel keeps more or less of it."""
KEPT = 1 / 32
"""The share of the memory that is a kernel's matter."""
SOFTWARE = ("python", "convbench", "commit")
"""What may differ, beside packages: that is what is compared."""
RECORD = "record one with convbench baseline"
ENOUGH = 10
"""Processes for each task that a baseline gets unless told."""

Own = Mapping[Task, Estimate]
"""What a run has measured, by its task with the first process."""


@frozen(str=False, eq=False)
class NotComparable(ConvbenchError):
    """A baseline that this run cannot be compared with, and why."""

    baseline: str
    why: str
    remedy: str = RECORD

    def __str__(self) -> str:
        return f"baseline {self.baseline}: {self.why}; {self.remedy}"


@frozen
class Baseline:
    """A stored run."""

    given: str
    """As the command line names it."""
    environment: Environment
    entries: tuple[Entry, ...]

    @property
    def own(self) -> Own:
        """What it has measured."""
        return by_task(self.entries)


def read(path: Path, given: str) -> Baseline:
    """The run in a folder, or in a journal; raises NotComparable."""
    journal = _journal(path, given)
    try:
        entries = tuple(latest(Journal(journal).entries()))
    except OSError as error:
        raise NotComparable(given, f"cannot be read: {error.strerror}") from None
    except BadRecord as error:
        raise NotComparable(given, str(error)) from None
    made = next((entry for entry in entries if isinstance(entry, Environment)), None)
    if made is None:
        why = "its journal does not say where it was made" if entries else "its journal is empty"
        raise NotComparable(given, why)
    if not by_task(entries):
        raise NotComparable(given, "nothing in it was measured")
    return Baseline(given, made, entries)


def _journal(path: Path, given: str) -> Path:
    """The journal that is meant: itself, that of a run, or that of the only run in a folder."""
    if not path.is_dir():
        return path
    if (path / JOURNAL).exists():
        return path / JOURNAL
    found = sorted(path.glob(f"*/{JOURNAL}"))
    if len(found) > 1:
        names = ", ".join(at.parent.name for at in found)
        raise NotComparable(given, f"holds {len(found)} runs", f"name one of {names}")
    if not found:
        raise NotComparable(given, f"is no run's folder: there is no {JOURNAL} in it")
    return found[0]


def by_task(entries: Iterable[Entry]) -> Own:
    """What was measured, all processes of a task together."""
    return {e.task: e for e in estimates(m for m in entries if isinstance(m, Measurement))}


def first_process(task: Task) -> Task:
    """What stands for all processes of a task."""
    return evolve(task, process=1)


def refuse_other_machine(baseline: Baseline, now: Environment) -> None:
    """Raises NotComparable with the first fact in which the machines differ."""
    then = baseline.environment
    facts = [(name, getattr(then, name), getattr(now, name)) for name in MACHINE]
    if abs(then.memory_bytes - now.memory_bytes) > KEPT * then.memory_bytes:
        facts.append(("memory", size(then.memory_bytes), size(now.memory_bytes)))
    for name, before, after in facts:
        if before != after:
            why = (
                f"incomparable: its {name} is {before or 'none'}, and here it is {after or 'none'}"
            )
            raise NotComparable(baseline.given, why, f"{RECORD} on this machine")
    if None not in (then.variables, now.variables) and then.variables != now.variables:
        before, after = (_listed(e.variables or ()) for e in (then, now))
        why = f"incomparable: its variables are {before}, and here they are {after}"
        raise NotComparable(baseline.given, why, f"set them alike, or {RECORD}")


def _listed(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join("=".join(pair) for pair in pairs) or "none"


def _other_libraries(base: Estimate, head: Estimate) -> str | None:
    """Why two runs of a task were on machines that are not alike to its framework, if they were."""
    before, after = (
        {m.libraries for m in estimate.measurements if m.libraries} for estimate in (base, head)
    )
    if not before or not after or before == after:
        return None
    then, now = (" or ".join(sorted(map(_listed, found))) for found in (before, after))
    return f"incomparable: its libraries had {then}, and here they have {now}; {RECORD}"


def refuse_too_little(baseline: Baseline, wanted: Collection[Task], processes: int) -> None:
    """Raises NotComparable where no slowdown of any task that is wanted could be found."""
    then = baseline.own
    common = [task for task in wanted if task in then]
    if not common:
        remedy = "choose tasks of it, with the same batch, device and threads, or record another"
        raise NotComparable(baseline.given, "it has none of these tasks", remedy)
    alpha = level(len(common) * len(QUANTITIES))
    most = max(len(then[task].measurements) for task in common)
    if not ranks.can_tell(most, processes, alpha):
        why = f"cannot tell anything: it has {most} processes a task, and this run {processes}"
        remedy = f"{RECORD}, and give --bench-processes {ENOUGH}"
        raise NotComparable(baseline.given, why, remedy)


def compare(
    baseline: Baseline,
    entries: Sequence[Entry],
    wanted: Collection[Task],
    now: Environment,
    tolerance: float,
    command: str = "",
) -> GateResult:
    """What comes of a run, of which `wanted` was to be timed, against a baseline."""
    then, here = baseline.own, by_task(entries)
    names = subjects([*wanted, *then])
    common = {
        names[task]: (then[task], here[task]) for task in wanted if task in then.keys() & here
    }
    unlike = {name: why for name, both in common.items() if (why := _other_libraries(*both))}
    common = {name: both for name, both in common.items() if name not in unlike}
    verdicts = _verdicts(common, tolerance)
    failed = {first_process(m.task): m.reason for m in entries if isinstance(m, Measurement)}
    broken = [
        Broken(subject=names[task], reason=failed.get(task) or "was not timed", role="head")
        for task in wanted
        if task in then and task not in here
    ]
    broken += [Broken(subject=name, reason=why, role="head") for name, why in unlike.items()]
    absent = [names[task] for task in wanted if task not in then]
    return GateResult(
        base=_side("base", baseline.environment, baseline.given),
        head=_side("head", now, "this run"),
        verdicts=verdicts,
        pairs=(),
        differences=tuple(_differences(baseline.entries, entries)),
        broken=tuple(broken),
        alpha=ALPHA,
        beta=BETA,
        seed=now.order_seed or 0,
        budget_s=0.0,
        spent_s=0.0,
        command=command,
        notes=(*_uneven([*common.values()]), *_notes(baseline, now, verdicts, absent)),
    )


def _verdicts(
    common: Mapping[str, tuple[Estimate, Estimate]], tolerance: float
) -> tuple[Verdict, ...]:
    """The verdict on each quantity of each subject that both runs know, the base's first."""
    asked = {
        Question(subject=subject, quantity=quantity, tolerance=tolerance): values
        for subject, (base, head) in common.items()
        for quantity in QUANTITIES
        if all(values := (logs(base, quantity), logs(head, quantity)))
    }
    alpha = level(len(asked))
    return tuple(
        ranks.judge(question, base, head, alpha, BETA) for question, (base, head) in asked.items()
    )


def _side(role: Role, environment: Environment, given: str) -> SideFacts:
    meaning = f"run of {environment.started}"
    return SideFacts(role=role, given=given, meaning=meaning, environment=environment)


def subjects(tasks: Iterable[Task]) -> dict[Task, str]:
    """The name of each task, with its batch where the label leaves two of them alike."""
    once = [*dict.fromkeys(tasks)]
    labels = [task.label for task in once]
    return {
        task: label if labels.count(label) == 1 else f"{label}, batch {task.batch}"
        for task, label in zip(once, labels, strict=True)
    }


def logs(estimate: Estimate, quantity: Quantity) -> list[float]:
    """The logarithm of each process's value, as far as it is known."""
    values = (sample(m).value(quantity) for m in estimate.measurements)
    return [log(value) for value in values if value is not None]


def sample(m: Measurement) -> Sample:
    """What one process gave, as the gate has it."""
    first = None if m.build_s is None or m.first_s is None else m.build_s + m.first_s
    device = m.memory.device_allocated_bytes
    return Sample(
        rounds_s=m.rounds_s,
        first_result_s=first or None,
        memory_bytes=m.memory.host_bytes if device is None else device,
    )


def _differences(then: Iterable[Entry], now: Iterable[Entry]) -> Iterator[Difference]:
    """What is exact, known of both runs, and not the same."""
    before, after = ({key: fact for e in of for key, fact in _facts(e)} for of in (then, now))
    for (subject, what), fact in before.items():
        other = after.get((subject, what), fact)
        if other != fact:
            name = what if isinstance(what, str) else " of ".join(what)
            yield Difference(subject=subject, what=name, base=as_text(fact), head=as_text(other))


def _facts(entry: Entry) -> Iterator[tuple[tuple[str, str | tuple[str, str]], Value]]:
    """What an entry says that is exact, by its subject and its name, or a quantity and a place."""
    if isinstance(entry, CheckReport):
        subject = f"{entry.name} {entry.framework or 'integers'}"
        yield (subject, "structure"), "proven" if entry.proven else "not proven"
        yield (subject, "parameters"), entry.parameters
        yield (subject, "buffers"), entry.buffers
        yield (subject, "multiply-accumulates"), entry.macs
        yield (subject, "layers"), entry.layers
        for f in entry.findings:
            if f.observed is not None:
                yield (subject, (f.quantity, f.at)), f.observed
    elif isinstance(entry, Parity):
        subject = f"{entry.name} {' and '.join(entry.sides)}"
        yield (subject, "function"), "the same" if entry.same else "not the same"


def _uneven(common: Sequence[tuple[Estimate, Estimate]]) -> Iterator[str]:
    """What was not alike when both runs were made, so that no error rate can be promised."""
    then, now = ([m for pair in common for m in pair[run].measurements] for run in (0, 1))
    if not common:
        return
    before, after = (median(map(beside, own)) for own in (then, now))
    if abs(before - after) > BESIDE:
        yield (
            f"Other work used {before:.2f} cores while the baseline was recorded, and {after:.2f} "
            "now: the promise below does not hold. Measure again when the machine is as it was, or "
            "record a baseline now."
        )
    for option, name in (("seconds", "budget_s"), ("precision", "precision")):
        if {getattr(m, name) for m in then} != {getattr(m, name) for m in now}:
            yield f"Not made with the same --bench-{option}: the promise below may not hold."


def _notes(
    baseline: Baseline, now: Environment, verdicts: Sequence[Verdict], absent: Sequence[str]
) -> Iterator[str]:
    """What a reader must know of this comparison."""
    changed = [*_changed(baseline.environment, now)]
    yield f"What differs: {', '.join(changed)}." if changed else "No version differs."
    if absent:
        yield f"Not in the baseline: {', '.join(absent)}; record it anew to compare them too."
    mute = dict.fromkeys(v.question.subject for v in verdicts if not v.pairs)
    if mute:
        yield (
            f"Too few processes to tell anything of {', '.join(mute)}: {RECORD}, and give "
            f"--bench-processes {ENOUGH}."
        )
    yield (
        f"If nothing else has changed since the baseline was recorded, `worse` is said of anything "
        f"at all in at most {ALPHA:.0%} of such comparisons, over all baselines: one that is "
        f"unlucky errs each time it is used. A machine that has become slower since, by its other "
        f"work or its heat, is taken for the change: the spread between processes does not have "
        f"it. `convbench gate` times both sides side by side, and does not depend on that."
    )


def _changed(then: Environment, now: Environment) -> Iterator[str]:
    """Which software is not the same, from what to what."""
    names = dict.fromkeys(name for e in (then, now) for name, _ in e.packages)
    before, after = dict(then.packages), dict(now.packages)
    facts = [(name, before.get(name), after.get(name)) for name in names]
    facts += [(name, getattr(then, name), getattr(now, name)) for name in SOFTWARE]
    for name, old, new in facts:
        if old != new:
            yield f"{name} {old or 'none'} before and {new or 'none'} now"
