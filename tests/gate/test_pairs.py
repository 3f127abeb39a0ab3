"""A pair: two fresh processes that live together, whose roles chance draws at every level."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from random import Random

import pytest

from convbench.base.errors import WorkerFailed
from convbench.gate import pairs
from convbench.gate.pairs import FEWEST, MOST, take
from convbench.gate.values import ROLES
from convbench.measure.records import Memory, Task
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Child, Launcher
from convbench.papers.sources import tables_folder
from tests.support import fakes

TASK = Task(
    architecture="lenet5",
    framework=fakes.NAME,
    pass_="forward",
    batch=1,
    device="cpu",
    threads=1,
)
REQUEST = messages.Prepare(TASK, str(tables_folder()), pairs.WARMUP)
PREPARED = messages.Prepared(report=None, build_s=0.5, first_s=0.25, warmup_s=(1.0,))


class Played:
    """A child that answers at once, and notes who was asked when."""

    task = "a task"

    def __init__(self, role, log, step_s=1.0, device_bytes=None):
        self.role, self.log, self.step_s, self.device_bytes = role, log, step_s, device_bytes

    def __enter__(self):
        self.log.append(("open", self.role))
        return self

    def __exit__(self, *_):
        self.log.append(("close", self.role))

    answer = Child.answer

    def ask(self, request, *_):
        self.log.append((type(request).__name__, self.role))
        match request:
            case messages.Rounds(count=count):
                return messages.Timed((self.step_s,) * count)
            case messages.Peak():
                memory = Memory(host_bytes=100, device_allocated_bytes=self.device_bytes)
                return messages.Peaks(memory)
        return PREPARED


def played(seed=0, log=None, **steps):
    log = [] if log is None else log
    return take(
        "a task",
        1,
        dict.fromkeys(ROLES, REQUEST),
        lambda role: Played(role, log, **steps),
        Random(seed),
    )


def test_both_sides_have_the_same_number_of_rounds_and_what_else_was_measured():
    pair = played(step_s=2.0)
    assert pair.base.rounds_s == pair.head.rounds_s == (2.0,) * FEWEST
    assert pair.base.first_result_s == 0.75
    assert pair.head.memory_bytes == 100


def test_the_peak_of_a_device_is_that_of_the_task():
    assert played(device_bytes=7).base.memory_bytes == 7


def test_who_is_opened_first_is_drawn_anew_for_each_pair():
    firsts = Counter(played(seed).first for seed in range(200))
    assert 70 < firsts["base"] < 130


def test_who_runs_first_is_drawn_anew_in_each_round():
    order = []
    for seed in range(30):
        log = []
        played(seed, log)
        rounds = [role for kind, role in log if kind == "Rounds"]
        turns = [rounds[i : i + 2] for i in range(0, len(rounds), 2)]
        assert all(set(turn) == set(ROLES) for turn in turns)
        order += [turn[0] for turn in turns]
    assert 0.35 < Counter(order)["base"] / len(order) < 0.65


def test_both_are_ready_before_either_is_timed_and_live_until_both_are():
    log = []
    played(1, log)
    kinds = [kind for kind, _ in log]
    assert kinds[:4] == ["open", "Prepare", "open", "Prepare"]
    assert kinds[-2:] == ["close", "close"]


def test_as_long_is_timed_as_building_took(monkeypatch):
    times = iter([0.0, 40.0, 40.0, *[40.0] * 1000])
    monkeypatch.setattr(pairs, "perf_counter", lambda: next(times))
    assert len(played().base.rounds_s) == 20  # of a second each, of both sides


def test_no_more_rounds_are_timed_than_are_worth_it(monkeypatch):
    times = iter([0.0, 4000.0, *[4000.0] * 1000])
    monkeypatch.setattr(pairs, "perf_counter", lambda: next(times))
    assert len(played().base.rounds_s) == MOST


def test_rounds_that_take_much_longer_than_planned_are_cut_short(monkeypatch):
    times = iter([0.0, 40.0, 40.0, *[1e6] * 1000])
    monkeypatch.setattr(pairs, "perf_counter", lambda: next(times))
    assert len(played().base.rounds_s) == FEWEST


def test_a_refusal_of_one_side_is_the_pair_s():
    class Refusing(Played):
        def ask(self, *_):
            return messages.Refused("not the paper's network")

    with pytest.raises(WorkerFailed, match="not the paper's network"):
        take(
            "a task",
            1,
            dict.fromkeys(ROLES, REQUEST),
            lambda role: (Refusing if role == "head" else Played)(role, []),
            Random(1),
        )


@pytest.mark.processes
def test_a_pair_of_real_processes():
    with ExitStack() as stack:
        launchers = {role: stack.enter_context(Launcher(fakes.NAME)) for role in ROLES}
        pair = take(
            TASK.label,
            3,
            dict.fromkeys(ROLES, REQUEST),
            lambda role: launchers[role].open(f"{TASK.label} ({role})"),
            Random(5),
        )
    assert pair.number == 3
    assert len(pair.base.rounds_s) == len(pair.head.rounds_s) >= FEWEST
    assert pair.log_ratio("step time") is not None
    assert pair.log_ratio("first result") is not None


@pytest.mark.processes
def test_a_side_that_dies_is_named(fault):
    fault("sigkill@step")
    with Launcher(fakes.NAME) as launcher, Launcher(fakes.NAME) as other:
        which = {"base": launcher, "head": other}
        requests = dict.fromkeys(ROLES, REQUEST)

        def open_(role):
            return which[role].open(f"{TASK.label} ({role})")

        with pytest.raises(WorkerFailed, match=r"lenet5 .* \((base|head)\): was killed by SIGKILL"):
            take(TASK.label, 1, requests, open_, Random(5))
