"""What the self-test counts: runs that fail, subjects that are found, and what they took."""

from __future__ import annotations

import pytest

from convbench.gate.self_check.tallies import OURS, Rate, any_worse, subjects, tallies
from convbench.gate.statistics.judging import judge
from convbench.gate.values import GateResult, Pair, Question, Sample, SideFacts

ALPHA = 0.001
QUESTION = Question(subject="net", quantity="step time", tolerance=0.03)
MEMORY = Question(subject="net", quantity="peak memory", tolerance=0.05)


def pair(number: int, ratio: float, memory: int = 100) -> Pair:
    return Pair(
        subject="net",
        number=number,
        base=Sample(rounds_s=(1.0, 1.0), memory_bytes=100),
        head=Sample(rounds_s=(ratio, ratio), memory_bytes=memory),
        taken_s=2.0,
    )


def run(ratio: float, pairs: int = 20, memory: int = 100) -> GateResult:
    taken = tuple(pair(number, ratio, memory) for number in range(1, pairs + 1))
    verdicts = [
        judge(asked, [p.log_ratio(asked.quantity) for p in taken], ALPHA)
        for asked in (QUESTION, MEMORY)
    ]
    sides = {r: SideFacts(role=r, given=".", meaning="this interpreter") for r in ("base", "head")}
    return GateResult(
        **sides,
        verdicts=tuple(verdicts),
        pairs=taken,
        alpha=0.01,
        beta=0.05,
        seed=1,
        budget_s=60.0,
        spent_s=40.0,
        command="convbench gate",
    )


def test_runs_and_subjects_are_counted_for_each_rule():
    found = tallies([run(1.0), run(1.1), run(1.0)], {"always": lambda _: True})
    ours, always = found
    assert (ours.rule, ours.runs, ours.subjects) == (OURS, Rate(1, 3), Rate(1, 3))
    assert (always.rule, always.runs) == ("always", Rate(3, 3))


def test_a_rule_sees_the_pairs_of_one_subject():
    seen = []
    tallies([run(1.0, pairs=7)], {"looks": lambda pairs: bool(seen.append(len(pairs)))})
    assert seen == [7]


def test_growth_of_memory_fails_a_run_but_is_no_slow_step():
    grown = run(1.0, memory=150)
    assert any_worse([grown, run(1.0)]) == Rate(1, 2)
    assert tallies([grown], {})[0].runs == Rate(0, 1)


def test_a_subject_is_told_with_what_it_took_until_it_was_decided():
    (found,) = subjects([run(1.0), run(1.1)])
    assert found.worse == Rate(1, 2)
    assert found.not_worse == Rate(1, 2)
    assert found.ratio == pytest.approx(1.05)
    assert found.pairs < 20
    assert found.seconds == pytest.approx(2.0 * found.pairs)


def test_what_was_never_decided_took_all_of_its_pairs():
    (found,) = subjects([run(1.03, pairs=4)])
    assert (found.worse, found.not_worse, found.pairs) == (Rate(0, 1), Rate(0, 1), 4)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"), [(0, 100, 0.0, 0.0362), (5, 100, 0.0164, 0.1128)]
)
def test_a_rate_has_the_interval_of_clopper_and_pearson(count, of, low, high):
    assert Rate(count, of).interval == pytest.approx((low, high), abs=1e-4)
