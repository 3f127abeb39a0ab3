"""Operating curves say what verdicts say, and their plot is made anew to the byte."""

from __future__ import annotations

from math import log1p

import numpy as np
import pytest

from convbench.gate.self_check.tallies import Rate
from convbench.gate.statistics.judging import first_decision, judge, level
from convbench.gate.values import QUANTITIES, Question
from operating.curves import (
    Gate,
    Recorded,
    Simulated,
    failing,
    tailed,
)
from operating.plot_curves import OURS, Needed, operating_curves
from operating.simulation import SHARED
from tests.support.recorded_pairs import recorded

EACH = level(18)
GATE = Gate(tolerance=0.03, alpha=EACH, most=40)
SOURCES = {"simulated": Simulated(SHARED), "recorded": Recorded(next(iter(recorded().values())))}


def chance(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.1])
def test_the_first_decision_is_the_first_verdict(shift):
    question = Question(subject="a", quantity="step time", tolerance=0.03)
    log_ratios = tailed(0.03, 40, chance()) + shift
    verdicts = [judge(question, log_ratios[:n], EACH) for n in range(1, 41)]
    decided = [v for v in verdicts if v.outcome != "cannot tell"] or verdicts[-1:]
    expected = (decided[0].outcome, decided[0].pairs)
    assert first_decision(log_ratios, 0.03, EACH) == expected


def test_a_gate_decides_within_its_most_pairs():
    assert GATE.decide(np.full(100, log1p(0.03))) == ("cannot tell", 40)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_source_has_as_many_pairs_as_were_asked_for(source):
    assert [pair.number for pair in source.pairs(4, 0.0, chance())] == [1, 2, 3, 4]
    for quantity in QUANTITIES:
        assert source.log_ratios(quantity, 4, 0.0, chance()).shape == (4,)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_slowdown_is_of_the_step_time_alone(source):
    for quantity in QUANTITIES:
        equal, slower = (source.log_ratios(quantity, 9, s, chance()) for s in (0.0, 0.5))
        shift = log1p(0.5) if quantity == "step time" else 0.0
        assert slower - equal == pytest.approx(shift)
    equal, slower = (source.pairs(9, s, chance()) for s in (0.0, 0.5))
    for one, other in zip(equal, slower, strict=True):
        assert other.base == one.base
        assert other.log_ratio("step time") - one.log_ratio("step time") == pytest.approx(
            log1p(0.5)
        )


def test_recorded_sides_are_swapped_by_chance():
    kept = SOURCES["recorded"].kept
    bases = {pair.base.rounds_s for pair in SOURCES["recorded"].pairs(40, 0.0, chance())}
    assert bases & {pair.base.rounds_s for pair in kept}
    assert bases & {pair.head.rounds_s for pair in kept}


def test_failing_runs_are_counted():
    subjects = list(SOURCES.values())
    assert GATE.failing(subjects, 0.0, 20, chance()).count == 0
    assert GATE.failing(subjects, 0.2, 20, chance()).share == 1.0


def test_rules_are_asked_about_every_subject():
    told = []
    rules = {"never": lambda _: False, "always": lambda pairs: not told.append(len(pairs))}
    shares = failing(rules, list(SOURCES.values()), 0.0, 3, chance(), seen=lambda p: p[:5])
    assert {name: share.count for name, share in shares.items()} == {"never": 0, "always": 3}
    assert set(told) == {5}


def test_an_interval_of_a_share_is_exact():
    assert Rate(0, 100).interval == pytest.approx((0.0, 0.0362), abs=1e-4)
    assert Rate(1, 4).share == 0.25


def test_the_plot_is_made_anew_to_the_byte(tmp_path):
    share = {OURS: Rate(0, 10), "other": Rate(4, 10)}
    detected = {name: {0.0: Rate(1, 10), 0.1: Rate(9, 10)} for name in share}
    needed = [Needed(0.02, (0.0, 0.1), (5.0, 14.0), (9.0, 20.0))]
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    for file in files:
        operating_curves(
            {"recorded": share, "stored": {"other": Rate(9, 10)}},
            detected,
            needed,
            tolerance=0.03,
            longest=40,
            pair_s=2.0,
            file=file,
        )
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().startswith(b"\x89PNG")
