"""The child's side: what it answers, what it refuses, and what never reaches the messages."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from convbench.measure.machine import environment
from convbench.measure.records import Task
from convbench.measure.worker import child as worker
from convbench.measure.worker import clock, messages, pipe
from convbench.measure.worker.launcher import Launcher
from convbench.papers.sources import tables_folder
from tests.support import fakes

pytestmark = pytest.mark.processes

TABLES = str(tables_folder())
TASK = Task(
    architecture="lenet5",
    framework=fakes.NAME,
    pass_="forward",
    batch=1,
    device="cpu",
    threads=1,
)
PREPARE = messages.Prepare(TASK, TABLES, warmup_s=0.0)

Fault = Callable[[str], None]


def answers(*requests: messages.Request) -> list[messages.Message]:
    """What a child says to these requests, served without a process of its own."""
    said = io.BytesIO()
    asked = io.BytesIO(b"".join(map(messages.encode, requests)))
    worker.Child(pipe.Pipe(asked, said), fakes.framework()).serve()
    return [messages.decode(text) for text in said.getvalue().splitlines(keepends=True)]


def test_a_child_says_who_it_is_and_answers_in_turn():
    requests = (messages.Check("lenet5", TABLES), PREPARE, messages.Rounds(3, 2), messages.Peak())
    kinds = [type(message).__name__ for message in answers(*requests)]
    assert kinds == ["Started", "Checked", "Prepared", "Timed", "Peaks"]


def test_a_child_leaves_when_told_or_when_the_parent_hangs_up():
    assert len(answers(messages.Stop(), PREPARE)) == 1, "nothing is answered after Stop"
    assert answers() == [messages.Started(os.getpid())]


def test_warm_up_goes_on_for_its_time_and_a_step_that_is_longer_is_warmed_up_once(monkeypatch):
    seconds = iter(range(100))  # each look at the clock is a second later: a round takes one
    monkeypatch.setattr(clock, "perf_counter", lambda: float(next(seconds)))
    short = answers(PREPARE)[1]
    assert (short.first_s, short.warmup_s) == (1.0, (1.0,))
    long = answers(evolve(PREPARE, warmup_s=6.5))[1]
    assert (long.first_s, long.warmup_s) == (1.0, (1.0,) * 7)


def test_a_round_is_the_mean_of_its_steps(monkeypatch):
    _, prepared, timed = answers(PREPARE, messages.Rounds(2, 1))
    assert len(timed.rounds_s) == 2
    assert prepared.report.proven
    seconds = iter(range(100))
    monkeypatch.setattr(clock, "perf_counter", lambda: float(next(seconds)))
    timed = answers(PREPARE, messages.Rounds(3, 4))[2]
    assert timed.rounds_s == (0.25,) * 3


def test_no_round_takes_no_time_whatever_a_coarse_clock_says(monkeypatch):
    monkeypatch.setattr(clock, "perf_counter", lambda: 1.0)
    _, prepared, timed = answers(PREPARE, messages.Rounds(2, 4))
    assert prepared.first_s == clock.RESOLUTION > 0
    assert timed.rounds_s == (clock.RESOLUTION / 4,) * 2


def test_a_model_that_is_not_the_papers_is_not_timed_and_the_place_is_named(fault: Fault):
    fault("wrong-structure@observe")
    _, refused = answers(PREPARE)
    assert refused.outcome == "refused"
    assert not refused.report.proven
    assert "output: output is 10x7, printed is 10" in refused.why
    assert refused.why.startswith("not timed, because it is not the paper's network: ")
    assert refused.why.endswith("see convbench check lenet5")
    fault("")
    assert isinstance(answers(PREPARE)[1], messages.Prepared)


NO_OBSERVATIONS = {
    "nothing": (lambda _: None, "its observe returned None, not an Observation"),
    "a dict": (lambda seen: {"nodes": seen.nodes}, "its observe returned {"),
    "another's": (
        lambda seen: evolve(seen, framework="pytorch"),
        "its observe speaks of the framework 'pytorch'",
    ),
    "a shape without a size": (
        lambda seen: evolve(seen.nodes["c1"], output=(6, None, 28)),
        "an observation: a shape must be a tuple of whole numbers, but is (6, None, 28)",
    ),
}


@pytest.mark.parametrize(("change", "why"), NO_OBSERVATIONS.values(), ids=NO_OBSERVATIONS)
@pytest.mark.parametrize("request_", [messages.Check("lenet5", TABLES), PREPARE])
def test_a_framework_that_does_not_say_what_its_model_is_proves_nothing(
    monkeypatch, request_, change, why
):
    observe = fakes.Fake.observe
    monkeypatch.setattr(fakes.Fake, "observe", lambda self, model: change(observe(self, model)))
    _, refused = answers(request_)
    assert isinstance(refused, messages.Refused)
    assert why in refused.why


@pytest.mark.parametrize("pass_", ["forward", "backward", "train_step"])
def test_a_batch_that_cannot_fit_is_refused_before_anything_is_allocated(fault: Fault, pass_):
    fault("RuntimeError@build")  # which would be told instead
    _, refused = answers(evolve(PREPARE, task=evolve(TASK, batch=10**9, pass_=pass_)))
    assert refused.outcome == "refused"
    assert refused.why.startswith("does not fit: needs at least ")
    assert "choose a smaller batch" in refused.why


@pytest.mark.parametrize(("spare", "kind"), [(0, messages.Prepared), (-1, messages.Refused)])
def test_what_just_fits_is_run(monkeypatch, spare, kind):
    image, largest, values = 32 * 32, 6 * 28 * 28, 60_840  # LeNet-5: what C1 takes and gives
    needed = 4 * ((image + largest) * TASK.batch + values)
    monkeypatch.setattr(environment, "available_bytes", lambda: needed + spare)
    assert type(answers(PREPARE)[1]) is kind


def test_training_needs_its_gradients_and_what_the_weights_have_seen(monkeypatch):
    task = evolve(TASK, pass_="backward")
    monkeypatch.setattr(environment, "available_bytes", lambda: 2 * 4 * 60_000)
    refused = answers(evolve(PREPARE, task=task))[1]
    assert isinstance(refused, messages.Refused)
    assert "does not fit" in refused.why


def test_a_mode_is_verified_as_well_and_its_report_says_which_it_is():
    _, checked, prepared = answers(
        messages.Check("lenet5", TABLES, fakes.OTHER_MODE),
        evolve(PREPARE, task=evolve(TASK, mode=fakes.OTHER_MODE)),
    )
    assert checked.report.framework == prepared.report.framework == f"{fakes.NAME} tidy"
    assert answers(PREPARE)[1].report.framework == fakes.NAME


def test_a_mode_that_the_framework_does_not_offer_is_refused():
    _, checked, prepared = answers(
        messages.Check("lenet5", TABLES, "fast"),
        evolve(PREPARE, task=evolve(TASK, mode="fast")),
    )
    sentence = f"mode fast: {fakes.NAME} cannot run in it; choose --bench-mode default or tidy"
    assert checked.why == prepared.why == sentence
    assert prepared.outcome == "refused"


UNANSWERABLE = {
    "no such architecture": (messages.Check("lenet6", TABLES), "unknown architecture 'lenet6'"),
    "no table": (messages.Check("lenet5", "/nowhere"), "lenet5.toml: wanted a file in /nowhere"),
    "a parent's message": (messages.Exited(0, 1), "a child does not take Exited"),
}


@pytest.mark.parametrize(("request_", "why"), UNANSWERABLE.values(), ids=UNANSWERABLE)
def test_what_cannot_be_answered_is_refused_and_the_child_stays(request_, why):
    _, refused, checked = answers(request_, messages.Check("lenet5", TABLES))
    assert refused.why.startswith(why)
    assert checked.report.proven


def test_rounds_before_a_model_are_a_failure_that_is_told():
    assert answers(messages.Rounds(1, 1))[1].outcome == "failed"


def test_python_collects_no_garbage_while_rounds_are_timed(monkeypatch):
    import gc  # noqa: PLC0415  (only to look at)

    seen = []
    step = fakes.Fake.step

    def spying(*arguments):
        plain = step(*arguments)
        return lambda: (seen.append(gc.isenabled()), plain())

    monkeypatch.setattr(fakes.Fake, "step", spying)
    answers(PREPARE, messages.Rounds(2, 1))
    assert len(seen) > 2
    assert not any(seen)
    assert gc.isenabled()


def test_what_a_framework_prints_disturbs_no_message(fault: Fault):
    fault("chatter@build")
    with Launcher(fakes.NAME) as launcher, launcher.open("a task") as child:
        prepared = child.ask(PREPARE, messages.Prepared, "preparing")
        assert isinstance(prepared, messages.Prepared)
        assert "chatter" in launcher.last_words(), "it is kept, on standard error"
        fault("chatter@step")
        timed = child.ask(messages.Rounds(1, 2), messages.Timed, "timing")
    assert len(timed.rounds_s) == 1


def test_ctrl_c_is_the_parents_business():
    with Launcher(fakes.NAME) as launcher, launcher.open("a task") as child:
        os.kill(child.pid, signal.SIGINT)
        os.kill(launcher._process.pid, signal.SIGINT)
        prepared = child.ask(PREPARE, messages.Prepared, "preparing")
    assert isinstance(prepared, messages.Prepared)


def talk(said: bytes) -> tuple[int, list[messages.Message]]:
    """Exit status and answers of a worker whose parent says all this and hangs up."""
    command = [sys.executable, "-m", "convbench.measure.worker", fakes.NAME]
    done = subprocess.run(command, input=said, capture_output=True, check=False, timeout=300)
    lines = filter(bytes.strip, done.stdout.splitlines(keepends=True))  # an empty line is nothing
    return done.returncode, [messages.decode(line) for line in lines]


def test_a_template_forks_for_each_start_and_leaves_when_the_parent_hangs_up():
    start, stop = messages.encode(messages.Start()), messages.encode(messages.Stop())
    status, said = talk((start + stop) * 2)
    assert status == 0
    kinds = [type(message).__name__ for message in said]
    assert kinds == ["Ready", "Started", "Exited", "Started", "Exited"]
    assert said[1].pid != said[3].pid
    assert said[0] == messages.Ready(fakes.VERSION, forks=True, form=messages.FORM)


def test_requests_for_a_child_that_is_gone_do_not_end_the_template():
    late = b"".join(map(messages.encode, (messages.Start(), messages.Stop(), PREPARE)))
    status, said = talk(late + messages.encode(messages.Start()))
    assert status == 0
    assert [type(m).__name__ for m in said].count("Started") == 2


def test_a_child_that_is_told_nonsense_ends_alone():
    start = messages.encode(messages.Start())
    _, said = talk(start + b"nonsense\n" + start)
    assert [type(message).__name__ for message in said[:3]] == ["Ready", "Started", "Exited"]
    assert said[2].code != 0
    assert isinstance(said[3], messages.Started)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("\x1b[31mred\x1b[0m\x07 \x00\x9b and\rmore"), "RuntimeError: red and"),
        (RuntimeError("\n\nthe kernel\nat length"), "RuntimeError: the kernel"),
        (ValueError(""), "ValueError"),
        (ValueError("\n"), "ValueError"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 300}"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB."),
            "does not fit: needs at least 20.0 GiB of memory; choose a smaller batch",
        ),
    ],
)
def test_what_a_framework_raises_becomes_one_plain_sentence(monkeypatch, error, sentence):
    def build(*_, **__):
        raise error

    monkeypatch.setattr(fakes.Fake, "build", build)
    assert answers(PREPARE)[1].why == sentence


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux's own")
def test_if_memory_runs_out_it_is_the_child_that_goes():
    with Launcher(fakes.NAME) as launcher, launcher.open("a task") as child:
        child_score, template_score = (
            int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))
            for pid in (child.pid, launcher._process.pid)
        )
    assert child_score == 1000 > template_score
