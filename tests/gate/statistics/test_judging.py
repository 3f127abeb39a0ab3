"""Verdicts: their errors are what they promise, and their intervals say the same as they do."""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
import pytest

from convbench.gate.statistics import judging
from convbench.gate.statistics.judging import ALPHA, BETA, centre, judge, level, limit
from convbench.gate.values import Question

QUESTION = Question(subject="lenet5", quantity="step time", tolerance=0.03)
BOUND = log1p(0.03)
EACH = level(18)


def noise(seed, pairs, spread=0.03):
    return spread * np.random.default_rng(seed).standard_normal(pairs)


def outcomes(shift, runs=200, pairs=60, alpha=EACH, spread=0.03):
    """What the verdicts of many runs are, each from all of its pairs."""
    return [judge(QUESTION, noise(i, pairs, spread) + shift, alpha).outcome for i in range(runs)]


def test_what_is_unchanged_is_not_worse():
    assert set(outcomes(0.0)) == {"not worse"}


def test_what_is_slower_by_a_tenth_is_worse():
    assert set(outcomes(log1p(0.10))) == {"worse"}


def test_at_the_tolerance_each_error_is_as_rare_as_promised():
    # Of 200 runs 2 and 10 are expected; more than 8 and 20 come by chance once in 1,000 times.
    said = outcomes(BOUND, alpha=0.01)
    assert said.count("worse") <= 8
    assert said.count("not worse") <= 20


def test_nothing_is_said_too_early():
    """Five heads in a row come by chance too often: 2^-5 is above the error of any question."""
    assert judge(QUESTION, [0.2] * 5, EACH).outcome == "cannot tell"
    assert judge(QUESTION, [-0.2] * 4, EACH).outcome == "cannot tell"


def test_levels_add_up_to_the_whole():
    assert level(18) * 18 == pytest.approx(ALPHA)
    assert level(0) == ALPHA


@pytest.mark.parametrize("shift", [-0.05, 0.0, 0.02, 0.03, 0.05, 0.10])
@pytest.mark.parametrize("pairs", [1, 6, 12, 25, 60])
def test_intervals_say_what_the_verdict_says(shift, pairs):
    for seed in range(6):
        verdict = judge(QUESTION, noise(seed, pairs) + shift, 0.01)
        low = -1.0 if verdict.low is None else verdict.low
        high = 1e9 if verdict.high is None else verdict.high
        assert (verdict.outcome == "worse") == (low >= 1.03 - 1e-12)
        assert (high <= 1.03 + 1e-12) == (verdict.outcome == "not worse") or low >= 1.03 - 1e-12


def test_intervals_hold_the_truth_as_often_as_promised():
    missed = 0
    for seed in range(300):
        log_ratios = noise(seed, 30) + 0.011
        low, high = (limit(log_ratios, BOUND, 0.05, direction) for direction in (1, -1))
        assert low is not None
        assert high is not None
        assert low < high
        missed += not low < 0.011 < high
    assert 0 < missed < 45  # 30 expected at most; 45 and more come once in 200 times


def test_more_pairs_make_intervals_narrower():
    widths = []
    for pairs in (15, 30, 60, 120):
        verdict = judge(QUESTION, noise(1, pairs), EACH)
        widths.append(verdict.high - verdict.low)
    assert widths == sorted(widths, reverse=True)


def test_what_was_shown_stays_shown():
    shown = [0.2] * 20
    verdict = judge(QUESTION, [*shown, *[-0.2] * 30], EACH)
    assert verdict.outcome == "worse"
    assert verdict.low == pytest.approx(1.03)


def test_no_pair_says_nothing():
    verdict = judge(QUESTION, [], EACH)
    assert (verdict.outcome, verdict.pairs, verdict.ratio) == ("cannot tell", 0, None)


def test_one_pair_says_its_ratio_and_no_limits():
    verdict = judge(QUESTION, [log(1.5)], EACH)
    assert verdict.outcome == "cannot tell"
    assert verdict.ratio == pytest.approx(1.5)
    assert (verdict.low, verdict.high) == (None, None)


def test_equal_values_are_not_worse_and_not_better():
    verdict = judge(QUESTION, [0.0] * 14, EACH)
    assert verdict.outcome == "not worse"
    assert not verdict.better
    assert verdict.ratio == 1.0
    assert verdict.low == pytest.approx(1.0, abs=2e-4)
    assert verdict.high == pytest.approx(1.0, abs=2e-4)


def test_a_change_without_noise_is_seen_within_few_pairs():
    assert judge(QUESTION, [log(1.04)] * 14, EACH).outcome == "worse"
    assert judge(QUESTION, [log(1.02)] * 14, EACH).outcome == "not worse"
    assert judge(QUESTION, [log(0.96)] * 14, EACH).better
    assert not judge(QUESTION, [log(0.98)] * 14, EACH).better  # within what is tolerated


def test_huge_ratios_have_limits_too():
    log_ratios = 20 + noise(3, 30, 1.0)
    verdict = judge(QUESTION, log_ratios, EACH)
    assert verdict.outcome == "worse"
    assert exp(19) < verdict.low < verdict.ratio < verdict.high < exp(21)


def test_the_centre_ignores_a_wild_pair():
    assert centre([0.0, 0.01, -0.01, 0.02, -0.02, 9.0]) == pytest.approx(0.0, abs=0.011)
    assert centre([1.0, 2.0, 3.0]) == 2.0


def test_more_pairs_are_about_as_many_as_it_takes():
    log_ratios = noise(5, 400) + log1p(0.055)
    begun = judge(QUESTION, log_ratios[:20], EACH)
    assert begun.outcome == "cannot tell"
    needed = next(n for n in range(20, 400) if judge(QUESTION, log_ratios[:n], EACH).low >= 1.03)
    assert begun.more_pairs is not None
    assert (needed - 20) / 4 <= begun.more_pairs <= (needed - 20) * 4


def test_more_pairs_are_not_told_where_nothing_grows():
    assert judge(QUESTION, [BOUND, BOUND], EACH).more_pairs is None


def test_a_test_that_believes_every_sum_is_caught(monkeypatch):
    """The error rates above can fail."""
    monkeypatch.setattr(
        judging, "reached", lambda values, null, way=1: 1e3 * way * sum(values - null)
    )
    assert outcomes(BOUND, alpha=0.01).count("worse") > 8
    assert outcomes(BOUND, alpha=0.01).count("not worse") > 20


def test_beta_is_of_each_question():
    assert judge(QUESTION, noise(0, 40), EACH).beta == BETA
