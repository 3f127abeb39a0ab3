"""How often the gate errs, what it finds and how long it takes, beside the rules of other tools.

Run as `python bench/operating_curves.py [RUNS]`: prints tables and draws docs/gate-curves.png. The
same RUNS give the same figures. Data are simulated pairs, and recorded ones of equal sides that are
drawn again (tests/recorded). A run has six tasks and three questions of each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import log1p
from pathlib import Path
from statistics import mean

import numpy as np
from attrs import evolve
from tabulate import tabulate

from convbench.gate.self_check.other_tools import RULES, stored
from convbench.gate.self_check.tallies import Rate
from convbench.gate.statistics.judging import level
from convbench.gate.values import QUANTITIES, Pair
from convbench.measure import records
from operating.curves import Gate, Recorded, Simulated, Source, failing, tailed
from operating.plot_curves import OURS, Needed, operating_curves
from operating.simulation import SHARED

ROOT = Path(__file__).parent.parent
PAIRS = ROOT / "tests" / "recorded" / "gate_pairs.jsonl"
PLOT = ROOT / "docs" / "gate-curves.png"
SEED = 20
RUNS = 200
TASKS = 6
PAIR_S = 2.4
"""Seconds of a recorded pair, on average."""
TASK_S = 180.0
"""What a task may take."""
GATE = Gate(tolerance=0.03, alpha=level(TASKS * len(QUANTITIES)), most=int(TASK_S / PAIR_S))
SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.15)
SPREADS = (0.02, 0.03, 0.04, 0.05)
LONGEST = 150
"""Where the search for the number of pairs ends."""
ON_RECORDED = (0.0, 0.05, 0.10)
TOLERANCES = (0.03, 0.05, 0.10)
SHOWN = ("pytest-benchmark mean:5%", "TorchBench 7%", "google/benchmark U test", "pyperf")


def kept() -> dict[str, list[Pair]]:
    """The recorded pairs of each task."""
    found: dict[str, list[Pair]] = {}
    for line in PAIRS.read_bytes().splitlines():
        pair = records.structure(records.load(line, PAIRS.name), Pair, PAIRS.name)
        found.setdefault(pair.subject, []).append(pair)
    return found


def recorded() -> list[Source]:
    """Six tasks whose pairs are drawn from the recorded ones."""
    subjects = list(kept().values())
    return [Recorded(subjects[i % len(subjects)]) for i in range(TASKS)]


def false_alarms(runs: int) -> dict[str, dict[str, Rate]]:
    """By data and rule, where nothing has changed."""
    shared: list[Source] = [Simulated(SHARED)] * TASKS
    paired = partial(failing, RULES, slowdown=0.0, runs=runs, count=20)
    return {
        "recorded, interleaved": {
            OURS: GATE.failing(recorded(), 0.0, 5 * runs, seeded(1)),
            **paired(subjects=recorded(), chance=seeded(2)),
        },
        "simulated, interleaved": {
            OURS: GATE.failing(shared, 0.0, 5 * runs, seeded(3)),
            **paired(subjects=shared, chance=seeded(4)),
        },
        "simulated, stored baseline": paired(
            subjects=shared, chance=seeded(5), seen=stored, count=40
        ),
    }


def found(runs: int) -> dict[str, dict[float, Rate]]:
    """By rule and slowdown of one task of the simulated machine."""
    subject = Simulated(SHARED)
    shares: dict[str, dict[float, Rate]] = {}
    for name, most in ((OURS, GATE.most), (f"{OURS}, twice the time", 2 * GATE.most)):
        gate = evolve(GATE, most=most)
        shares[name] = {s: _worse(gate, subject, s, 2 * runs) for s in SLOWDOWNS}
    rules = {name: RULES[name] for name in SHOWN}
    for slowdown in SLOWDOWNS:
        for name, share in failing(rules, [subject], slowdown, 2 * runs, seeded(7)).items():
            shares.setdefault(name, {})[slowdown] = share
    return shares


def _worse(gate: Gate, subject: Source, slowdown: float, runs: int) -> Rate:
    chance = seeded(6)
    drawn = (subject.log_ratios("step time", gate.most, slowdown, chance) for _ in range(runs))
    worse = sum(gate.decide(log_ratios)[0] == "worse" for log_ratios in drawn)
    return Rate(worse, runs)


def needed(runs: int) -> list[Needed]:
    """By spread and slowdown, the pairs until a task is decided."""
    gate = evolve(GATE, most=LONGEST)
    curves = []
    for spread in SPREADS:
        usual, most = [], []
        for slowdown in SLOWDOWNS:
            chance, shift = seeded(8), log1p(slowdown)
            taken = [
                gate.decide(tailed(spread, LONGEST, chance) + shift)[1] for _ in range(2 * runs)
            ]
            usual.append(float(np.median(taken)))
            most.append(float(np.quantile(taken, 0.95)))
        curves.append(Needed(spread, SLOWDOWNS, usual, most))
    return curves


def on_recorded(runs: int) -> list[list[str]]:
    """By recorded task: seconds until it is decided, usually and for 95%, and how often rightly."""
    rows = []
    for subject, pairs in kept().items():
        source, pair_s = Recorded(pairs), mean(pair.taken_s for pair in pairs)
        gate = evolve(GATE, most=int(TASK_S / pair_s))
        spread = np.std([pair.log_ratio("step time") for pair in pairs])
        row = [f"{subject}, {spread:.1%}, {pair_s:.1f} s a pair"]
        for slowdown in ON_RECORDED:
            chance = seeded(9)
            taken = [
                gate.decide(source.log_ratios("step time", gate.most, slowdown, chance))
                for _ in range(2 * runs)
            ]
            usual, most = (np.quantile([n for _, n in taken], q) * pair_s for q in (0.5, 0.95))
            right = sum(said == ("worse" if slowdown else "not worse") for said, _ in taken)
            row.append(f"{usual:.0f} s / {most:.0f} s, {right / len(taken):.0%}")
        rows.append(row)
    return rows


def unchanged(runs: int) -> list[list[str]]:
    """By quantity and recorded task: pairs until nothing changed is decided, by tolerance."""
    rows = []
    for quantity in QUANTITIES:
        for subject, pairs in kept().items():
            row = [f"{quantity}, {subject}"]
            for tolerance in TOLERANCES:
                gate, chance = evolve(GATE, tolerance=tolerance, most=LONGEST), seeded(10)
                draw = partial(Recorded(pairs).log_ratios, quantity, LONGEST, 0.0, chance)
                taken = [gate.decide(draw())[1] for _ in range(runs)]
                usual, most = np.quantile(taken, (0.5, 0.95))
                row.append(f"{usual:.0f} / {most:.0f}")
            rows.append(row)
    return rows


def seeded(part: int) -> np.random.Generator:
    """A generator of its own for each part, that none depends on another's draws."""
    return np.random.default_rng([SEED, part])


def table(first: str, rows: Iterable[Sequence[object]], heads: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    print(tabulate(rows, [first, *heads], tablefmt="pipe", disable_numparse=True), end="\n\n")


def percent(rate: Rate | None) -> str:
    """A rate with its interval."""
    if rate is None:
        return "-"
    low, high = rate.interval
    return f"{rate.share:.1%} ({low:.1%} to {high:.1%})"


def by_rule(shares: dict[str, dict[str, Rate]], tell: Callable[[Rate | None], str]) -> None:
    """Prints the false alarms, a rule a row."""
    names = dict.fromkeys(name for of in shares.values() for name in of)
    rows = [[name, *(tell(of.get(name)) for of in shares.values())] for name in names]
    table("rule", rows, list(shares))


def main() -> None:
    """Prints and draws."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    alarms, detected, pairs = false_alarms(runs), found(runs), needed(runs)
    by_rule(alarms, percent)
    heads = [f"{slowdown:.0%}" for slowdown in SLOWDOWNS]
    table(
        "called slower",
        [[name, *(f"{of[s].share:.0%}" for s in SLOWDOWNS)] for name, of in detected.items()],
        heads,
    )
    rows = [
        [
            f"{of.spread:.0%}",
            *(f"{u:.0f} / {m:.0f}" for u, m in zip(of.usual, of.most, strict=True)),
        ]
        for of in pairs
    ]
    table("spread", rows, heads)
    table("recorded task", on_recorded(runs), [f"{s:.0%}" for s in ON_RECORDED])
    table("unchanged, tolerance", unchanged(runs), [f"{t:.0%}" for t in TOLERANCES])
    operating_curves(
        alarms,
        detected,
        pairs,
        tolerance=GATE.tolerance,
        longest=LONGEST,
        pair_s=PAIR_S,
        file=PLOT,
    )


if __name__ == "__main__":
    main()
