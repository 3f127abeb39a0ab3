"""The run: rounds and iterations, what is kept of each task, and a disk that refuses."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from attrs import define, evolve, field

from convbench.base.errors import BadRecord, FrameworkMissing, OtherFramework, WorkerFailed
from convbench.base.importing import Reference
from convbench.checks.structure import CheckReport, Finding
from convbench.measure import run as runner
from convbench.measure.examine import Settings
from convbench.measure.journal import Journal
from convbench.measure.machine import environment as machine
from convbench.measure.machine.cpu import CpuUse
from convbench.measure.records import Attainable, Environment, Measurement, Memory, Task, Unchecked
from convbench.measure.run import Run
from convbench.measure.sampling import MIN_ROUNDS, WARMUP, Budget
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child
from convbench.measure.worker.messages import OwnModel
from convbench.networks.zoo.names import architecture

TASK = Task(
    architecture="lenet5",
    framework="fakes",
    pass_="forward",
    batch=2,
    device="cpu",
    threads=1,
)
ENVIRONMENT = Environment(
    cpu="a CPU",
    cores=1,
    memory_bytes=2**30,
    gpu=None,
    driver=None,
    system="a system",
    python="3",
    convbench="0",
    commit=None,
    started="2026-01-01T00:00:00+00:00",
)
REPORT = CheckReport("lenet5", "fakes", 60_000, 840, 325_680, 15, ())
WRONG = evolve(
    REPORT, findings=(Finding("c1", "output", None, None, (6, 28, 28), (6, 27, 27), "differs"),)
)


@define
class FakeChild:
    """Plays a child whose steps take `step_s`, and now and then a little longer."""

    launcher: FakeLauncher
    task: str
    asked: list[messages.Request] = field(factory=list)
    rounds: int = 0
    needed_bytes: int = 0
    closed: bool = False

    def __enter__(self) -> FakeChild:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    answer = Child.answer

    def ask(self, request, _reply, _stage):
        self.asked.append(request)
        answer = self.launcher.script.get(type(request))
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            return answer
        return self._answer(request)

    def _answer(self, request: messages.Request) -> messages.Reply:
        step_s = self.launcher.step_s
        match request:
            case messages.Check():
                return messages.Checked(REPORT)
            case messages.Prepare():
                warmup_s = (step_s, step_s, step_s * 9)
                return messages.Prepared(report=REPORT, build_s=1.0, first_s=5.0, warmup_s=warmup_s)
            case messages.PrepareOwn():
                warmup_s = (step_s, step_s, step_s * 9)
                return messages.Prepared(report=None, build_s=1.0, first_s=5.0, warmup_s=warmup_s)
            case messages.Attain():
                return messages.Refused("fakes has no peaks")
            case messages.Rounds(count=count):
                first, self.rounds = self.rounds, self.rounds + count
                return messages.Timed(tuple(self.launcher.round_s(first + i) for i in range(count)))
            case _:
                return messages.Peaks(Memory(host_bytes=7))


@define
class FakeLauncher:
    """Stands where a Launcher stands; `script` replaces the answers to some requests."""

    step_s: float = 0.01
    script: dict[type[messages.Request], object] = field(factory=dict)
    children: list[FakeChild] = field(factory=list)
    framework: str = "fakes"
    version: str = "fakes 1.0"
    libraries: tuple[tuple[str, str], ...] = ()
    closed: bool = False

    def __call__(self, framework: str, *, timeout_s: float, variables: object) -> FakeLauncher:
        assert (framework, timeout_s, variables) == (self.framework, 60, ())
        return self

    def round_s(self, number: int) -> float:
        return self.step_s * (1 + (7 * number % 5) / 1000)

    def open(self, task: str) -> FakeChild:
        failure = self.script.get(messages.Start)
        if isinstance(failure, Exception):
            raise failure
        self.children.append(FakeChild(self, task))
        return self.children[-1]

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "environment", lambda *_: ENVIRONMENT)
    monkeypatch.setattr(machine, "load", lambda: 0.5)
    monkeypatch.setattr(CpuUse, "others_cores", 0.25)
    monkeypatch.setattr(CpuUse, "stolen_cores", 0.125)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    def make(launcher: FakeLauncher, seconds: float = 2.0) -> Run:
        journal = Journal(tmp_path / "run" / "measurements.jsonl")
        return Run(tmp_path, Budget(seconds, 0.02), 60, journal, tmp_path, launch=launcher)

    return make


def on_disk(run: Run) -> list[object]:
    return list(run.journal.entries()) if run.journal.path.exists() else []


def test_a_measurement_has_everything_that_the_child_told(run):
    this = run(FakeLauncher(0.5))
    assert this.time(TASK) == this.entries[-1]
    environment, report, kept = on_disk(this)
    assert (environment, report) == (ENVIRONMENT, REPORT)
    assert kept == this.entries[-1]
    assert kept == Measurement(
        task=TASK,
        outcome="measured",
        version="fakes 1.0",
        build_s=1.0,
        first_s=5.0,
        warmup_s=(0.5, 0.5, 4.5),
        iterations=1,
        rounds_s=kept.rounds_s,
        memory=Memory(host_bytes=7),
        budget_s=this.budget.seconds,
        load_before=0.5,
        load_after=0.5,
        precision=0.02,
        steady=None,
        others_cores=0.25,
        stolen_cores=0.125,
    )
    assert len(kept.rounds_s) == MIN_ROUNDS
    assert kept.throughput(median(kept.rounds_s)) == pytest.approx(2 / (0.5 * 1.0015))


ATTAINED = messages.Attained(matmul_flops=4e11, conv_flops=5e11, copy_bytes_s=4e10, cpu_s=3.0)


def test_what_the_machine_attains_is_kept_before_the_first_task_that_wants_it(run):
    launcher = FakeLauncher(script={messages.Attain: ATTAINED})
    this = run(launcher)
    for task in (TASK, evolve(TASK, pass_="backward"), evolve(TASK, dtype="bfloat16")):
        this.time(task)
    _, peak, report, *rest = on_disk(this)
    assert report == REPORT
    assert peak == Attainable(
        framework="fakes",
        device="cpu",
        threads=1,
        dtype="float32",
        matmul_flops=4e11,
        conv_flops=5e11,
        copy_bytes_s=4e10,
        others_cores=0.25,
        stolen_cores=0.125,
    )
    assert [type(entry) for entry in rest] == [Measurement, Measurement, Attainable, Measurement]
    assert rest[2] == evolve(peak, dtype="bfloat16")
    assert all(child.closed for child in launcher.children)


@pytest.mark.parametrize(
    "failure",
    [
        WorkerFailed("fakes peaks", "measuring what the machine attains", "was killed"),
        messages.Refused("fakes has no peaks"),
    ],
    ids=["dies", "cannot"],
)
def test_a_peak_that_cannot_be_had_costs_no_task(run, failure):
    this = run(FakeLauncher(script={messages.Attain: failure}))
    this.time(TASK)
    this.time(TASK)
    kinds = [type(entry) for entry in on_disk(this)]
    assert kinds == [Environment, CheckReport, Measurement, Measurement]
    asked = [request for child in this.launch.children for request in child.asked]
    assert asked.count(messages.Attain("cpu", 1, "float32")) == 1


@pytest.mark.parametrize("why", ["nothing is kept", "no journal"])
def test_no_peak_is_measured_for_nobody(run, why):
    launcher = FakeLauncher(script={messages.Attain: AssertionError()})
    this = run(launcher)
    if why == "no journal":
        this.journal = None
    this.time(TASK, keep=why == "no journal")
    assert len(launcher.children) == 1


REFUSED = messages.Refused("does not fit: it is large")
NOT_THE_PAPERS = messages.Refused("not timed, because it is not the paper's network", WRONG)
RAISED = messages.Refused("RuntimeError: unhappy", outcome="failed")
DIED = WorkerFailed(TASK.label, "timing rounds", "was killed by SIGKILL")


def raised(stage: str) -> str:
    return str(WorkerFailed(TASK.label, stage, RAISED.why))


# What the child does when asked what, and what is kept of it.
FAILURES = {
    "does not fit": (messages.Prepare, REFUSED, "refused", f"{TASK.label}: {REFUSED.why}"),
    "wrong": (messages.Prepare, NOT_THE_PAPERS, "refused", f"{TASK.label}: {NOT_THE_PAPERS.why}"),
    "raises while building": (
        *(messages.Prepare, RAISED, "failed"),
        raised("building, verifying and warming up"),
    ),
    "raises in a round": (messages.Rounds, RAISED, "failed", raised("timing rounds")),
    "raises at the end": (messages.Peak, RAISED, "failed", raised("reading its memory")),
    "dies at the start": (messages.Start, DIED, "failed", str(DIED)),
    "dies in a round": (messages.Rounds, DIED, "failed", str(DIED)),
    "dies at the end": (messages.Peak, DIED, "failed", str(DIED)),
}


@pytest.mark.parametrize(("when", "what", "outcome", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_kept_with_its_reason_and_raised(run, when, what, outcome, reason):
    launcher = FakeLauncher(script={when: what})
    this = run(launcher)
    with pytest.raises(WorkerFailed) as failed:
        this.time(TASK)
    assert str(failed.value) == reason
    kept = on_disk(this)[-1]
    assert (kept.outcome, f"{TASK.label}: {kept.reason}") == (outcome, reason)
    assert not kept.rounds_s
    assert all(child.closed for child in launcher.children)
    launcher.script.clear()
    this.time(TASK)
    assert [e.outcome for e in on_disk(this) if isinstance(e, Measurement)] == [outcome, "measured"]


def test_what_differs_is_kept_with_the_refusal(run):
    this = run(FakeLauncher(script={messages.Prepare: NOT_THE_PAPERS}))
    with pytest.raises(WorkerFailed):
        this.time(TASK)
    assert on_disk(this)[1] == WRONG


def test_a_framework_that_does_not_import_is_kept_as_a_failure(run):
    missing = FrameworkMissing("fakes", "not installed", "run pip")
    this = run(FakeLauncher(script={messages.Start: missing}))
    with pytest.raises(FrameworkMissing):
        this.time(TASK)
    (kept,) = (entry for entry in this.entries if isinstance(entry, Measurement))
    assert kept.outcome == "failed"
    assert "not installed; run pip" in kept.reason


def test_nothing_is_kept_where_nothing_is_asked_to_be_kept(run):
    this = run(FakeLauncher())
    this.time(TASK, keep=False)
    this.launch.script[messages.Rounds] = DIED
    with pytest.raises(WorkerFailed):
        this.time(TASK, keep=False)
    assert not this.entries
    assert not this.journal.path.parent.exists()


def test_a_check_is_kept_and_a_report_only_once_for_all_tasks(run):
    this = run(FakeLauncher())
    assert this.check("lenet5", "fakes") == REPORT
    this.time(TASK)
    this.time(TASK)
    assert [type(e).__name__ for e in on_disk(this)] == [
        *("Environment", "CheckReport", "Measurement", "Measurement")
    ]


def test_a_check_that_is_refused_is_a_failure_that_names_the_architecture(run):
    this = run(FakeLauncher(script={messages.Check: messages.Refused("no such table")}))
    with pytest.raises(WorkerFailed, match=r"^lenet5 fakes: no such table.*checking"):
        this.check("lenet5", "fakes")
    reason = "no such table (while checking its structure)"
    assert on_disk(this)[1:] == [Unchecked(architecture="lenet5", framework="fakes", reason=reason)]


def test_what_ctrl_c_interrupts_is_kept_as_interrupted(run):
    this = run(FakeLauncher(script={messages.Check: KeyboardInterrupt()}))
    with pytest.raises(KeyboardInterrupt):
        this.check("lenet5", "fakes")
    this.launch.script[messages.Rounds] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        this.time(TASK)
    _, unchecked, *_, failed = on_disk(this)
    assert (unchecked.label, unchecked.reason) == ("lenet5 fakes structure", "interrupted")
    assert (failed.task, failed.outcome, failed.reason) == (TASK, "failed", "interrupted")


def test_a_framework_that_cannot_be_used_is_kept_as_the_reason(run):
    missing = FrameworkMissing("fakes", "not there", "run pip")
    this = run(FakeLauncher(script={messages.Start: missing}))
    with pytest.raises(FrameworkMissing):
        this.check("lenet5", "fakes")
    assert on_disk(this)[-1].reason == str(missing)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_loses_no_result_of_this_run(run, monkeypatch):
    this = run(FakeLauncher())
    monkeypatch.setattr(Journal, "append", full)
    this.time(TASK)
    assert this.lost == f"{this.journal.path} cannot be written: No space left on device"
    assert [type(e) for e in this.entries] == [Environment, CheckReport, Measurement]
    assert this.entries[-1].outcome == "measured"


def test_a_disk_that_fills_up_later_is_left_alone_from_then_on(run, monkeypatch):
    this = run(FakeLauncher())
    this.time(TASK)
    assert this.lost is None
    before = on_disk(this)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", full)
        this.time(TASK)
    this.time(TASK)
    assert this.lost is not None
    assert len(this.entries) == len(before) + 2
    assert on_disk(this) == before, "no entry after a gap"


def test_a_run_without_a_journal_keeps_its_entries_in_memory(run, tmp_path):
    this = run(FakeLauncher())
    this.journal = None
    this.time(TASK)
    assert this.entries[-1].outcome == "measured"
    assert this.lost is None
    assert not list(tmp_path.iterdir())


def test_closing_the_run_closes_its_launchers(run):
    launcher = FakeLauncher()
    this = run(launcher)
    this.close()
    assert not launcher.closed, "none was opened"
    this.check("lenet5", "fakes")
    this.close()
    assert launcher.closed


OWN = OwnModel(make=Reference("models", "small", label="small"), input=(1, 28, 28))


@pytest.mark.parametrize(
    ("step_s", "seconds", "iterations", "rounds"),
    [(0.5, 2.0, 1, MIN_ROUNDS), (0.0005, 0.01, 4, MIN_ROUNDS), (2.1, 2.0, 1, 2)],
)
def test_a_model_of_ones_own_is_timed_as_the_papers_are_and_in_no_journal(
    run, step_s, seconds, iterations, rounds
):
    launcher = FakeLauncher(step_s)
    this = run(launcher)
    measured = this.time_own(TASK, OWN, seconds)
    assert (measured.iterations, len(measured.rounds_s)) == (iterations, rounds)
    assert measured.rounds_s == tuple(launcher.round_s(i) for i in range(rounds))
    assert measured == Measurement(
        task=TASK,
        outcome="measured",
        version="fakes 1.0",
        build_s=1.0,
        first_s=5.0,
        warmup_s=(step_s, step_s, step_s * 9),
        iterations=iterations,
        rounds_s=measured.rounds_s,
        memory=Memory(host_bytes=7),
        budget_s=seconds,
        load_before=0.5,
        load_after=0.5,
        precision=0.02,
        others_cores=0.25,
        stolen_cores=0.125,
    )
    (child,) = launcher.children
    assert child.closed
    assert child.asked[0] == messages.PrepareOwn(TASK, OWN, min(WARMUP, seconds))
    assert this.entries == on_disk(this) == []


def test_the_seconds_of_the_run_are_those_of_a_model_that_asks_for_none(run):
    assert run(FakeLauncher(), 1.5).time_own(TASK, OWN).budget_s == 1.5


def test_whose_model_it_is_comes_back_from_the_worker_that_cannot_run_it(run):
    script = {messages.PrepareOwn: messages.Refused("it is a model of keras", framework="keras")}
    this = run(FakeLauncher(script=script))
    with pytest.raises(
        OtherFramework, match=r"^lenet5 fakes forward: it is a model of keras"
    ) as error:
        this.time_own(TASK, OWN)
    assert error.value.framework == "keras"
    assert this.entries == []


def test_ctrl_c_while_a_child_leaves_loses_nothing(run, monkeypatch):
    def leave(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeChild, "__exit__", leave)
    this = run(FakeLauncher())
    this._attained = {("fakes", messages.Attain("cpu", 1, "float32"))}
    with pytest.raises(KeyboardInterrupt):
        this.time(TASK)
    (kept,) = (entry for entry in on_disk(this) if isinstance(entry, Measurement))
    assert (kept.outcome, kept.reason) == ("measured", None)
    assert kept.rounds_s


@pytest.mark.parametrize("deaths", [1, 2])
def test_what_cannot_be_imported_gets_one_more_try(run, deaths):
    launcher = FakeLauncher(script={messages.Start: FrameworkMissing("fakes", "died", "try")})
    this = run(launcher)
    for _ in range(deaths):
        with pytest.raises(FrameworkMissing):
            this.check("lenet5", "fakes")
    launcher.script.clear()
    if deaths == 1:
        assert this.check("lenet5", "fakes") == REPORT
    else:
        with pytest.raises(FrameworkMissing):
            this.check("lenet5", "fakes")


@pytest.mark.parametrize("rounds_s", [(), (0.1,) * 1001])
def test_another_number_of_rounds_than_was_asked_for_is_no_measurement(run, rounds_s):
    this = run(FakeLauncher(script={messages.Rounds: messages.Timed(rounds_s)}))
    with pytest.raises(WorkerFailed, match=rf"timed {len(rounds_s)} rounds, not \d+"):
        this.time(TASK)


def test_files_that_cannot_be_compared_are_kept_as_the_reason(run, monkeypatch):
    def unreadable(*_):
        raise BadRecord("what was computed", "arrays", "File is not a zip file")

    monkeypatch.setattr(runner, "parity", unreadable)
    this = run(FakeLauncher())
    sides = (("fakes", "default"), ("fakes", "tidy"))
    with pytest.raises(BadRecord):
        this.parity(architecture("lenet5"), sides, Settings(threads=1))
    assert "not a zip file" in on_disk(this)[-1].reason
