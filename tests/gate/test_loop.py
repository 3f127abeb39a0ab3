"""The gate's loop: pairs go where doubt is, a broken subject stops nobody, a budget is one."""

from __future__ import annotations

from random import Random

import pytest

from convbench.base.errors import WorkerFailed
from convbench.gate.loop import Loop
from convbench.gate.values import Pair, Question, Sample

ALPHA = 0.001


class Machine:
    """A clock that only pairs move, and subjects whose ratios are known."""

    def __init__(self, **slowdowns: float) -> None:
        self.time, self.taken, self.chance = 0.0, [], Random(3)
        self.slowdowns = slowdowns

    def now(self) -> float:
        return self.time

    def take(self, subject: str, number: int) -> Pair:
        self.time += 1.0
        self.taken.append(subject)
        noise = 1 + self.chance.gauss(0, 0.01)
        return Pair(
            subject=subject,
            number=number,
            base=Sample(rounds_s=(1.0,), first_result_s=1.0),
            head=Sample(rounds_s=((1 + self.slowdowns[subject]) * noise,), first_result_s=noise),
            taken_s=1.0,
        )

    def loop(self, budget_s: float = 1000.0, quantities=("step time",), **subjects) -> Loop:
        names = [*self.slowdowns, *subjects]
        return Loop(
            subjects={name: lambda number, name=name: self.take(name, number) for name in names}
            | subjects,
            questions=[
                Question(subject=name, quantity=quantity, tolerance=0.03)
                for name in names
                for quantity in quantities
            ],
            alpha=ALPHA,
            budget_s=budget_s,
            chance=Random(1),
            now=self.now,
        )


def outcomes(loop: Loop) -> dict[str, str]:
    return {v.question.subject: v.outcome for v in loop.verdicts.values()}


def test_everything_is_decided_well_before_the_budget_is_over():
    machine = Machine(same=0.0, slow=0.1, fast=-0.1)
    loop = machine.loop()
    loop.run()
    assert outcomes(loop) == {"same": "not worse", "slow": "worse", "fast": "not worse"}
    assert machine.time < 100


def test_what_is_decided_gets_no_more_pairs():
    machine = Machine(same=0.0, edge=0.03)
    machine.loop(budget_s=200).run()
    assert machine.taken.count("same") < 20
    assert machine.taken.count("edge") > 150


def test_what_is_at_the_edge_when_the_time_is_over_is_in_doubt():
    loop = Machine(edge=0.03).loop(budget_s=50)
    loop.run()
    (verdict,) = loop.verdicts.values()
    assert verdict.outcome == "cannot tell"
    assert verdict.pairs == 50
    assert verdict.low < 1.03 < verdict.high


def test_no_pair_is_begun_when_the_time_is_over():
    machine = Machine(a=0.03, b=0.03, c=0.03)
    machine.loop(budget_s=4).run()
    assert len(machine.taken) == 4


def test_each_block_has_each_subject_once_in_an_order_by_chance():
    machine = Machine(a=0.03, b=0.03, c=0.03)
    machine.loop(budget_s=30).run()
    blocks = [tuple(machine.taken[i : i + 3]) for i in range(0, 30, 3)]
    assert {frozenset(block) for block in blocks} == {frozenset("abc")}
    assert len(set(blocks)) > 2


def test_a_subject_that_breaks_is_told_and_the_others_go_on():
    def breaks(_: int) -> Pair:
        raise WorkerFailed("bad (head)", "timing rounds", "was killed")

    loop = Machine(good=0.0).loop(bad=breaks)
    loop.run()
    (broken,) = loop.broken
    assert broken.subject == "bad"
    assert broken.reason == "bad (head): was killed (while timing rounds)"
    assert outcomes(loop) == {"good": "not worse", "bad": "cannot tell"}
    assert loop.doubtful == []


def test_other_errors_are_not_taken_for_a_broken_subject():
    def has_a_fault(_: int) -> Pair:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Machine(good=0.0).loop(bad=has_a_fault).run()


def test_step_times_are_decided_before_first_results():
    machine = Machine(a=0.0, b=0.03)
    loop = machine.loop(budget_s=60, quantities=("step time", "first result"))
    loop.run()
    assert machine.taken.count("a") < 20  # while b's step time is in doubt, whatever else is


def test_whoever_listens_is_told_before_and_after_each_pair():
    machine, heard = Machine(a=0.03), []
    loop = machine.loop(budget_s=5)
    loop.told = lambda loop: heard.append((len(loop.pairs), loop.running))
    loop.run()
    assert heard == [*((n + after, "" if after else "a") for n in range(5) for after in (0, 1))]
