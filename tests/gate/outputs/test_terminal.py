"""The gate in the terminal: rows that fit, lines in a pipe, and a terminal that is left sane."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import StringIO
from math import exp
from pathlib import Path
from random import Random

import pytest
from attrs import evolve
from rich.console import Console

from convbench.base.errors import WorkerFailed
from convbench.gate.loop import Loop
from convbench.gate.outputs import words
from convbench.gate.outputs.terminal import Display, evidence, final, picture, show
from convbench.gate.values import Pair, Question, Sample
from tests.conftest import ROOT
from tests.support.gate_samples import LENET, RESNET, RESULTS, UNKNOWN

LONG = "bench/test_forward_of_everything.py::test_forward[resnet50-keras-jax-train_step]"


def console(width=100, height=30, terminal=True, colours="standard", **environ) -> Console:
    """One that writes to a file as it would to a terminal."""
    return Console(
        file=StringIO(),
        width=width,
        height=height,
        force_terminal=terminal,
        color_system=colours if terminal else None,
        _environ={"TERM": "xterm", **environ},
    )


def written(on: Console) -> str:
    return on.file.getvalue()


class Machine:
    """A clock and pairs of 3 s whose heads take `ratios` as long, give or take 3%."""

    def __init__(self, **ratios: float | None) -> None:
        self.ratios, self.now, self.chance = ratios, 0.0, Random(3)

    def take(self, subject: str, number: int) -> Pair:
        self.now += 3.0
        ratio = self.ratios[subject]
        if ratio is None:
            raise WorkerFailed(f"{subject} on head", "timing rounds", "was killed by SIGKILL")
        base = Sample(rounds_s=(0.01,))
        head = Sample(rounds_s=(0.01 * ratio * exp(self.chance.gauss(0, 0.03)),))
        return Pair(subject=subject, number=number, base=base, head=head, taken_s=3.0)

    def loop(self, told=lambda _: None, budget_s=600.0) -> Loop:
        return Loop(
            subjects={name: lambda n, name=name: self.take(name, n) for name in self.ratios},
            questions=[
                Question(subject=name, quantity="step time", tolerance=0.03) for name in self.ratios
            ],
            alpha=0.01,
            budget_s=budget_s,
            chance=Random(5),
            now=lambda: self.now,
            told=told,
        )


def lines_of(loop: Loop, on: Console) -> list[str]:
    on.print(picture(loop, on))
    return written(on).splitlines()


def stopped(ratios, pairs, budget_s=600.0) -> Loop:
    """A loop as it is after so many pairs."""
    machine = Machine(**ratios)

    class Enough(Exception):
        pass

    def told(loop):
        if len(loop.pairs) + len(loop.broken) >= pairs:
            raise Enough

    loop = machine.loop(told, budget_s)
    with pytest.raises(Enough):
        loop.run()
    return loop


def test_a_row_for_each_subject_and_the_time_below():
    loop = stopped({"same": 1.0, "slow": 1.2, "dead": None}, 5)
    head, *rows, time = lines_of(loop, console(140, colours=None))
    assert head.split() == [
        *("subject", "quantity", "verdict", "change", "evidence", "pairs", "interval", "time")
    ]
    by_name = {row[2:].split()[0]: row for row in rows}
    assert set(by_name) == {"same", "slow", "dead"}
    assert "broken" in by_name["dead"]
    assert "open" in by_name["slow"]
    assert "step time" in by_name["same"]
    assert time.startswith("0:15 of 10:00, 1 of 3 decided, 4 pairs")


@pytest.mark.parametrize("width", [20, 45, 60, 80, 100, 200])
@pytest.mark.parametrize("count", [1, 3, 60])
def test_no_row_is_wider_than_the_terminal_and_no_table_higher(width, count):
    ratios = {f"{LONG}{i}": (None, 1.0, 1.2)[i % 3] for i in range(count)}
    loop = stopped(ratios, count)
    lines = lines_of(loop, console(width, 24, colours=None))
    if width >= 45:
        assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    assert (f"and {count - 20} more" in "\n".join(lines)) == (count == 60)


def test_a_name_that_is_too_long_keeps_both_its_ends():
    lines = lines_of(stopped({LONG: 1.0}, 1), console(60, colours=None))
    (row,) = [line for line in lines if "bench" in line]
    assert "…" in row
    assert "step]" in row


def test_on_a_small_screen_what_runs_and_what_is_open_comes_first():
    ratios = {**{f"same{i}": 1.0 for i in range(20)}, "slow": 1.0001}
    loop = stopped(ratios, 20)
    loop.running = "slow"
    rows = lines_of(loop, console(80, 12, colours=None))[1:-1]
    assert rows[0].startswith("▶ slow")
    assert rows[-1].startswith("and 13 more")


def test_evidence_is_signed_and_full_at_a_decision():
    few, many = [0.1, 0.12], [0.1] * 30
    assert 0 < evidence(UNKNOWN, few) < 1
    assert evidence(UNKNOWN, many) == 1.0
    assert evidence(UNKNOWN, [-x for x in many]) == -1.0
    assert evidence(UNKNOWN, []) == 0.0


def test_the_bar_says_in_a_word_where_it_goes():
    slow = "\n".join(lines_of(stopped({"slow": 1.2}, 3), console(colours=None)))
    assert "█" in slow
    assert "worse" in slow
    fast = "\n".join(lines_of(stopped({"fast": 0.8}, 1), console(colours=None)))
    assert "fine" in fast


def test_a_terminal_without_such_signs_gets_others():
    on = Console(file=AsciiFile(), width=100, height=30, force_terminal=True, color_system=None)
    loop = stopped({"slow": 1.2}, 3)
    loop.running = "slow"
    on.print(picture(loop, on))
    written(on).encode("ascii")
    assert "> slow" in written(on)


class AsciiFile(StringIO):
    encoding = "ascii"


def test_without_colour_there_is_no_colour():
    def drawn(**environ):
        on = console(**environ)
        with Display(on) as display:
            Machine(slow=1.2, same=1.0).loop(display.told).run()
        return written(on)

    assert "\x1b[31m" in drawn()
    assert "\x1b[3" not in drawn(NO_COLOR="1")


def test_in_a_pipe_each_question_that_is_decided_gets_a_line_when_it_is():
    """Memory that is the same is decided after a few pairs, a step at its tolerance never."""
    machine, on = Machine(edge=1.03), console(60, terminal=False)
    loop = machine.loop(budget_s=60.0)
    loop.questions = [*loop.questions, evolve(loop.questions[0], quantity="peak memory")]
    take = loop.subjects["edge"]

    def known(number):
        taken = take(number)
        known = {"memory_bytes": 2**20}
        return evolve(taken, base=evolve(taken.base, **known), head=evolve(taken.head, **known))

    loop.subjects = {"edge": known}
    with Display(on) as display:
        loop.told = display.told
        loop.run()
    (line,) = written(on).splitlines()
    assert line.endswith("edge: not larger (within 3%)")
    assert line < "[0:55]"
    assert "cannot tell" in {v.outcome for v in loop.verdicts.values()}


def test_what_later_pairs_take_back_is_said_again():
    machine, on = Machine(odd=0.9), console(60, terminal=False)

    def told(loop):
        display.told(loop)
        if len(loop.pairs) == 8:
            machine.ratios["odd"] = 2.0

    loop = machine.loop(told)
    loop.questions = [*loop.questions, evolve(loop.questions[0], quantity="first result")]
    with Display(on) as display:
        loop.run()
    said = [line.partition(": ")[2] for line in written(on).splitlines()]
    assert [text.split(" by")[0].split(" (")[0] for text in said] == ["not slower", "slower"]


def test_in_a_pipe_each_subject_that_breaks_gets_a_line():
    on = console(60, terminal=False)
    with Display(on) as display:
        Machine(same=1.0, slow=1.2, dead=None).loop(display.told).run()
    lines = written(on).splitlines()
    assert len(lines) == 3
    assert "dead on head: was killed by SIGKILL (while timing rounds)" in lines[0]
    told = {line.split()[1]: line.partition(": ")[2] for line in lines[1:]}
    assert told["same:"].endswith("not slower (within 3%)")
    assert "slower by at least" in told["slow:"]
    times = [line[1:].partition("]")[0] for line in lines]
    assert times == sorted(times)
    assert "\x1b" not in written(on)


def test_what_stays_open_gets_no_line():
    on = console(terminal=False)
    with Display(on) as display:
        Machine(same=1.0).loop(display.told, budget_s=3.0).run()
    assert written(on) == ""


def test_a_dumb_terminal_is_told_in_lines():
    on = console(TERM="dumb")
    with Display(on) as display:
        Machine(same=1.0).loop(display.told).run()
    assert "\x1b[?25l" not in written(on)
    assert "not slower" in written(on)


def test_before_the_first_pair_it_says_what_is_going_on():
    on = console()
    with Display(on):
        assert "Starting and proving both sides" in written(on)


HIDE, SHOWN = "\x1b[?25l", "\x1b[?25h"


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, OSError])
def test_the_cursor_comes_back_however_it_ends(error):
    on = console()

    def told(loop):
        display.told(loop)
        if error is not None and len(loop.pairs) == 2:
            raise error

    def run():
        with display:
            Machine(same=1.0).loop(told).run()

    display = Display(on)
    if error is None:
        run()
    else:
        with pytest.raises(error):
            run()
    assert written(on).count(HIDE) == written(on).count(SHOWN) == 1
    assert written(on).rindex(SHOWN) > written(on).rindex(HIDE)


def test_another_width_begins_the_table_anew():
    on = console(100)

    def told(loop):
        display.told(loop)
        if len(loop.pairs) == 2:
            on.width = 60

    with Display(on) as display:
        Machine(same=1.0, slow=1.2).loop(told).run()
    before, after = written(on).split("\x1b[2J", 1)
    assert "quantity" in before
    assert "quantity" not in after
    assert "evidence" in after


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_end_fits_the_terminal_but_for_what_is_copied(name, width):
    on = console(width, colours=None)
    show(RESULTS[name], on)
    lines = [line for line in written(on).splitlines() if "--base" not in line]
    assert max(map(len, lines)) <= width
    flat = " ".join(written(on).split())
    for said in (str(words.headline(RESULTS[name])), words.promise(RESULTS[name])):
        assert said in flat
    assert flat.endswith(str(words.headline(RESULTS[name]))), "what the eye sees last"
    assert f"  {RESULTS[name].command}\n" in written(on)


def test_in_a_pipe_the_end_has_a_table_as_wide_as_it_is():
    on = console(60, terminal=False)
    show(RESULTS["interrupted"], on)
    (row,) = [line for line in written(on).splitlines() if "12 pairs" in line]
    assert row.startswith(LENET)
    assert row.endswith("about 12 pairs, 40 s, more would tell")


def test_the_end_says_what_broke_what_differs_and_what_must_be_known():
    assert "Not compared:\n- lenet5 keras train_step (head): was killed" in final(
        RESULTS["broken_head"]
    )
    told = final(RESULTS["difference"])
    assert f"Exact differences:\n- {RESNET}: parameters: base 11,689,512" in told
    assert "Environments differ:\n- torch: base 2.12.0, head 2.13.0" in told
    assert "Note:\n- Interrupted after" in final(RESULTS["interrupted"])
    assert "Environments differ" not in final(RESULTS["faster"])


PROGRAM = """
import sys, time
from rich.console import Console
from convbench.gate.outputs.terminal import Display
from tests.gate.outputs.test_terminal import Machine
machine = Machine(same=1.0, slow=1.0, other=None)
take = machine.take
def wait(subject, number):
    if len(loop.pairs) == 2:
        print("here", flush=True)
        time.sleep(60)
    return take(subject, number)
machine.take = wait
with Display(Console(stderr=True)) as display:
    loop = machine.loop(display.told)
    loop.run()
"""


@pytest.mark.processes
def test_ctrl_c_in_a_real_terminal_leaves_it_as_it_was():
    ours, theirs = pytest.importorskip("pty").openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": f"{Path(ROOT) / 'src'}:{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait(30)
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)
    assert seen.count(HIDE.encode()) == seen.count(SHOWN.encode()) == 1
    assert b"KeyboardInterrupt" in seen.split(SHOWN.encode())[1]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so of a terminal that nobody has open any more
        return b""
