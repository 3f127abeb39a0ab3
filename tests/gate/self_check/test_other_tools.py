"""The rules of other tools, on pairs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from convbench.gate.self_check.other_tools import RULES, stored
from convbench.gate.values import Pair, Sample
from operating.simulation import QUIET, SHARED, pairs_of, rounds
from tests.support.recorded_pairs import recorded


def pair(base, head):
    return Pair(
        subject="a", number=1, base=Sample(rounds_s=tuple(base)), head=Sample(rounds_s=tuple(head))
    )


def noisy(scale, seed=0, pairs=20, own=0.002):
    """Pairs of a still machine, the head slower by a share."""
    draw = np.random.default_rng(seed)
    taken = (1.0, 1 + scale) * np.exp(own * draw.standard_normal((pairs, 12, 2)))
    return [pair(sides[:, 0], sides[:, 1]) for sides in taken]


@pytest.mark.parametrize("rule", RULES)
def test_a_plain_slowdown_is_slower(rule):
    assert RULES[rule](noisy(0.3))


@pytest.mark.parametrize("rule", RULES)
def test_a_plain_speedup_is_not_slower(rule):
    assert not RULES[rule](noisy(-0.3))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pairs", [1, 2, 20])
def test_equal_values_are_not_slower(rule, pairs):
    assert not RULES[rule]([pair([1.0] * 9, [1.0] * 9)] * pairs)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", [1, 2])
def test_few_rounds_are_enough_to_answer(rule, count):
    assert RULES[rule]([pair([1.0] * count, [1.0] * count)]) is False


@pytest.mark.parametrize(
    ("rule", "below", "above"),
    [
        ("pytest-benchmark mean:5%", 0.049, 0.051),
        ("pytest-benchmark min:5%", 0.049, 0.051),
        ("TorchBench 7%", 0.069, 0.071),
        ("asv", 0.09, 0.11),
        ("criterion", 0.008, 0.02),
        ("google/benchmark U test", 0.0, 0.01),
        ("pyperf", 0.0, 0.005),
        ("paired t of ten", 0.0, 0.005),
    ],
)
def test_rules_have_the_thresholds_of_their_tools(rule, below, above):
    assert not RULES[rule](noisy(below, own=1e-5 if "%" in rule else 0.002))
    assert RULES[rule](noisy(above, own=1e-5 if "%" in rule else 0.002))


def test_a_rule_that_wants_one_process_looks_at_one():
    slow_later = [pair([1.0] * 9, [1.0] * 9), *noisy(0.5)]
    single = [name for name, rule in RULES.items() if not rule(slow_later)]
    assert {"TorchBench 7%", "pytest-benchmark mean:5%", "criterion"} <= set(single)
    assert "pyperf" not in single


def test_stored_pairs_have_their_base_from_before():
    pairs = [evolve(pair([n] * 3, [10.0 * n] * 3), number=n) for n in range(1, 7)]
    assert [(p.base.rounds_s[0], p.head.rounds_s[0]) for p in stored(pairs)] == [
        *((1, 40), (2, 50), (3, 60)),
    ]


def test_stored_pairs_have_as_many_rounds_as_both_had():
    (found,) = stored([pair([1.0] * 9, [1.0] * 9), pair([2.0] * 4, [2.0] * 4)])
    assert (len(found.base.rounds_s), len(found.head.rounds_s)) == (4, 4)


def alarms(name, machine, apart, runs=60):
    draw = np.random.default_rng(5)
    taken = [pairs_of(machine, rounds(machine, 40, 0.0, draw)) for _ in range(runs)]
    return sum(RULES[name](stored(pairs) if apart else pairs[:20]) for pairs in taken) / runs


def test_a_stored_baseline_on_a_shared_machine_makes_rules_cry_wolf():
    """As was measured on one: a third of comparisons of a thing with itself fails."""
    assert 0.2 < alarms("pytest-benchmark mean:5%", SHARED, apart=True) < 0.6
    assert 0.2 < alarms("google/benchmark U test", SHARED, apart=True) < 0.6


def test_the_same_rule_is_calmer_on_a_quiet_machine():
    assert alarms("pytest-benchmark mean:5%", QUIET, apart=False) < 0.1


def test_rules_answer_of_recorded_pairs():
    for pairs in recorded().values():
        assert {type(rule(pairs)) for rule in RULES.values()} == {bool}
