"""The test of ranks: its error is what it promises, exactly, and it sees what is there."""

from __future__ import annotations

from itertools import combinations
from math import comb, log, log1p

import numpy as np
import pytest

from convbench.gate.statistics import ranks
from convbench.gate.values import Question

QUESTION = Question(subject="lenet5 pytorch forward", quantity="step time", tolerance=0.03)
BOUND = log1p(QUESTION.tolerance)
TEN, FIVE = 10, 5


def outcome(base, head, alpha=0.01, beta=0.05):
    return ranks.judge(QUESTION, base, head, alpha, beta).outcome


def share(wanted, draw, slowdown, *, runs=500, processes=TEN, alpha=0.01):
    """How often a verdict is said of a head that is slower by so much."""
    chance = np.random.default_rng(5)
    said = 0
    for _ in range(runs):
        base, head = draw(chance, processes), draw(chance, processes) + log1p(slowdown)
        said += outcome(base, head, alpha) == wanted
    return said / runs


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
@pytest.mark.parametrize(("base", "head"), [(5, 5), (4, 7), (8, 3)])
def test_of_all_orders_that_are_equally_likely_no_more_than_promised_are_called_worse(
    base, head, alpha
):
    """Times of any kind, of which none knows which run it is of; the tolerance is used up."""
    times = np.random.default_rng(3).standard_cauchy(base + head)
    every = {*range(base + head)}
    found = {"worse": 0, "not worse": 0, "cannot tell": 0}
    for chosen in combinations(range(base + head), head):
        others = sorted(every - {*chosen})
        found[outcome(times[others], times[[*chosen]] + BOUND, alpha, beta=alpha)] += 1
    orders = comb(base + head, head)
    assert 0 < found["worse"] <= alpha * orders
    assert 0 < found["not worse"] <= alpha * orders


def test_ties_make_no_verdict_likelier():
    times = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    said = 0
    for chosen in combinations(range(10), FIVE):
        others = sorted({*range(10)} - {*chosen})
        said += outcome(times[others], times[[*chosen]] + BOUND, 0.05) == "worse"
    assert said <= 0.05 * comb(10, FIVE)


def normal(chance, processes):
    return chance.normal(0.0, 0.03, processes)


def in_two_states(chance, processes):
    return chance.choice((0.0, 0.2), processes) + chance.normal(0.0, 0.01, processes)


@pytest.mark.parametrize("draw", [normal, in_two_states], ids=["normal", "in two states"])
def test_a_run_that_is_as_slow_as_is_tolerated_is_seldom_called_worse(draw):
    # With 5 expected of 500, 14 and more come by chance once in 1,500 times.
    assert share("worse", draw, QUESTION.tolerance) < 14 / 500


def test_nothing_that_is_unchanged_is_called_worse():
    assert share("worse", normal, 0.0) == 0.0


def test_ten_processes_find_ten_percent_and_what_is_unchanged():
    assert share("worse", normal, 0.10) > 0.95
    assert share("not worse", normal, 0.0) > 0.5


def test_processes_that_are_not_exchangeable_break_the_promise():
    """A machine that has become slower between the runs is what the spread does not have."""
    chance = np.random.default_rng(5)
    drift = chance.normal(0.0, 0.1, 500)
    said = sum(outcome(normal(chance, TEN), normal(chance, TEN) + by) == "worse" for by in drift)
    assert said > 100


@pytest.mark.parametrize("spread", [0.01, 0.1])
@pytest.mark.parametrize("processes", [TEN, 25])
def test_what_is_said_to_be_visible_is_seen_about_nine_times_in_ten(spread, processes):
    slowdown = ranks.visible(spread, processes, 0.005, QUESTION.tolerance)

    def draw(chance, n):
        return chance.normal(0.0, spread, n)

    found = share("worse", draw, slowdown, processes=processes, alpha=0.005)
    assert 0.82 < found < 0.96


def test_needed_is_the_least_number_that_sees_it():
    found = ranks.needed(0.05, 0.1, 0.005, 0.03)
    assert ranks.visible(0.05, found, 0.005, 0.03) <= 0.1
    assert ranks.visible(0.05, found - 1, 0.005, 0.03) > 0.1
    assert ranks.needed(0.05, 0.02, 0.005, 0.03) is None, "less than is tolerated"


@pytest.mark.parametrize(
    ("base", "head", "alpha", "able"),
    [(1, 1, 0.6, False), (1, 200, 0.01, False), (2, 2, 0.2, True), (2, 2, 0.16, False)],
)
def test_too_few_processes_tell_nothing(base, head, alpha, able):
    assert ranks.can_tell(base, head, alpha) == able
    verdict = ranks.judge(QUESTION, [0.0] * base, [9.0] * head, alpha)
    assert (verdict.outcome, verdict.pairs) == (("worse", 2) if able else ("cannot tell", 0))


def test_a_thousand_processes_are_no_matter():
    assert ranks.can_tell(1000, 1000, 1e-9)
    exact = ranks.most_below(100, 100, 0.001)
    assert ranks.most_below(101, 100, 0.001) == pytest.approx(exact, rel=0.02)


def test_the_chances_are_those_of_a_table():
    """Mann and Whitney 1947, Table I: 3 and 4 things, at most 1 below, 0.057."""
    assert ranks.chances(3, 4).sum() == pytest.approx(1.0)
    assert ranks.chances(3, 4)[:2].sum() == pytest.approx(0.057, abs=0.0005)


def test_the_ratio_lies_between_its_limits():
    chance = np.random.default_rng(2)
    verdict = ranks.judge(QUESTION, normal(chance, TEN), normal(chance, TEN) + log(1.2), 0.01)
    assert 1.1 < verdict.low < verdict.ratio < verdict.high < 1.3
    assert not verdict.better
    faster = ranks.judge(QUESTION, normal(chance, TEN), normal(chance, TEN) - log(1.2), 0.01)
    assert (faster.outcome, faster.better) == ("not worse", True)


def test_memory_that_is_the_same_to_the_byte_is_not_worse():
    assert outcome([log(1000)] * TEN, [log(1000)] * TEN) == "not worse"
    assert outcome([log(1000)] * TEN, [log(1031)] * TEN) == "worse"
