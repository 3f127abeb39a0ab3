"""Which design of the gate's decision is fastest at the promised error: those that were tried.

Run as `python bench/gate_designs.py`; prints tables. A design gets log ratios less the tolerance's,
a run a row, and says after how many pairs it first takes them to be above 0 with an error. Those
with planned looks have them at 6, 8, 9, 12, 15 pairs and so on up to 75, each 1.25 times later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log, log1p
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy import stats
from tabulate import tabulate

from convbench.gate.statistics import betting
from convbench.gate.statistics.judging import BETA, first_decision, level
from convbench.gate.values import Pair
from convbench.measure import records

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Design: TypeAlias = Callable[[Array, float], Array]

PAIRS = Path(__file__).parent.parent / "tests" / "recorded" / "gate_pairs.jsonl"
OURS = "bets on signs, three strengths (the gate's)"
MOST = 75
LONG = 150
"""Pairs, where the meaning of `worse` is asked for."""
SAID = ("worse", "not worse")
NEVER = 10**6
LOOKS = (6, 8, 9, 12, 15, 18, 23, 29, 36, 45, 56, 75)
DRAWS = 20_000
"""Of signs and of resamples."""
EFFECTS = (0.3, 0.7, 1.5, 3.0)
"""Means in standard deviations, between which the t process spreads its wealth."""
ALPHA = level(18)


def bets(strengths: Sequence[float]) -> Design:
    """The gate's own, with some strengths."""

    def first(above: Array, error: float) -> Array:
        kept, betting.STRENGTHS = betting.STRENGTHS, np.array(strengths)
        wealth = np.array([betting.log_wealth(row, 0.0) for row in above])
        betting.STRENGTHS = kept
        return first_of(wealth >= -log(error))

    return first


def t_process(above: Array, error: float) -> Array:
    """Likelihood ratios of Student's t, a mixture over effects: exact for Gaussian ratios only."""
    t, counts = t_statistics(above)
    t = np.clip(t, -50, 50)
    ratios = [
        stats.nct.pdf(t, counts - 1, effect * np.sqrt(counts)) / stats.t.pdf(t, counts - 1)
        for effect in EFFECTS
    ]
    return first_of(np.nan_to_num(np.mean(ratios, axis=0)) >= 1 / error, 3)


def asymptotic(above: Array, error: float) -> Array:
    """The asymptotic confidence sequence of Waudby-Smith et al. (2024), narrowest at 12 pairs."""
    counts = np.arange(1, above.shape[1] + 1)
    squared = (-2 * log(2 * error) + log(-2 * log(2 * error)) + 1) / 12
    mean = np.cumsum(above, axis=1) / counts
    deviation = np.sqrt(np.maximum(np.cumsum(above**2, axis=1) / counts - mean**2, 0))
    grown = counts * squared + 1
    half = np.sqrt(2 * grown / (counts**2 * squared) * np.log(1 + np.sqrt(grown) / (2 * error)))
    return first_of(mean > deviation * half, LOOKS[0])


def group_t(spent: Callable[[float, Array], Array]) -> Design:
    """Student's t at planned looks, each with its part of the error (Lan and DeMets 1983)."""

    def first(above: Array, error: float) -> Array:
        t, _ = t_statistics(above)
        bounds = stats.t.isf(stats.norm.sf(boundaries(spent, error)), np.array(LOOKS) - 1)
        at = np.array(LOOKS) - 1
        return first_look(t[:, at] > bounds)

    return first


def signed_ranks(above: Array, error: float) -> Array:
    """Wilcoxon's signed ranks at the same looks, by their normal approximation from 12 pairs on."""
    bounds, hits = boundaries(pocock, error), []
    for look, bound in zip(LOOKS, bounds, strict=True):
        ranks = stats.rankdata(np.abs(above[:, :look]), axis=1)
        score = (np.sign(above[:, :look]) * ranks).sum(1) / np.sqrt((ranks**2).sum(1))
        hits.append((score > bound) & (look >= 12))
    return first_look(np.array(hits).T)


def sign_flips(above: Array, error: float) -> Array:
    """The sum against those of signs drawn at random, at the same looks: exact, like ours."""
    signs = np.random.default_rng(1).choice((-1.0, 1.0), (DRAWS, MOST))
    budget = (pocock(error, np.array(LOOKS) / MOST) * DRAWS).astype(int)
    found = np.full(len(above), NEVER)
    for run, row in enumerate(above):
        alive, used = np.ones(DRAWS, bool), 0
        for look, allowed in zip(LOOKS, budget, strict=True):
            sizes = np.minimum(np.abs(row[:look]), 2 * np.median(np.abs(row[:look])))
            drawn, own = signs[:, :look] @ sizes, np.sign(row[:look]) @ sizes
            if ((drawn >= own - 1e-12) & alive).sum() <= allowed - used:
                found[run] = look
                break
            limit = np.sort(drawn[alive])[::-1][allowed - used]
            used += int((alive & (drawn > limit)).sum())
            alive &= drawn <= limit
    return found


def bootstrap(above: Array, error: float) -> Array:
    """Percentiles of resampled means, at the same looks, the error divided among them."""
    draw, hits = np.random.default_rng(2), []
    for look in LOOKS:
        weights = draw.multinomial(look, np.full(look, 1 / look), DRAWS) / look
        kept = max(1, int(error / len(LOOKS) * DRAWS))
        means = [np.partition(weights @ row[:look], kept - 1)[kept - 1] for row in above]
        hits.append(np.array(means) > 0)
    return first_look(np.array(hits).T)


def first_of(hits: Array, fewest: int = 1) -> Array:
    """The pair of each run's first hit, from so many pairs on."""
    hits[:, : fewest - 1] = False
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, NEVER)


def first_look(hits: Array) -> Array:
    """The same for hits at looks."""
    return np.where(hits.any(axis=1), np.array(LOOKS)[hits.argmax(axis=1)], NEVER)


def t_statistics(above: Array) -> tuple[Array, Array]:
    """Student's t after each pair, and the numbers of pairs."""
    counts = np.arange(1, above.shape[1] + 1)
    mean = np.cumsum(above, axis=1) / counts
    with np.errstate(all="ignore"):
        variance = (np.cumsum(above**2, axis=1) / counts - mean**2) * counts / (counts - 1)
        return mean * np.sqrt(counts / variance), counts


def obrien_fleming(error: float, share: Array) -> Array:
    """Error spent late: what is spent of it when a share of all pairs is there."""
    spent: Array = 2 * stats.norm.sf(stats.norm.isf(error / 2) / np.sqrt(share))
    return spent


def pocock(error: float, share: Array) -> Array:
    """Error spent evenly."""
    spent: Array = error * np.log1p((np.e - 1) * share)
    return spent


def boundaries(spent: Callable[[float, Array], Array], error: float, points: int = 1000) -> Array:
    """Normal quantiles at the looks that spend so much, by integrating over what goes on."""
    shares = np.array(LOOKS) / MOST
    parts = np.maximum(np.diff(spent(error, shares), prepend=0.0), 1e-14)
    bounds = [float(stats.norm.isf(parts[0]))]
    at = np.linspace(-8.0, bounds[0], points) * np.sqrt(shares[0])
    density = stats.norm.pdf(at, scale=np.sqrt(shares[0]))
    for before, now, part in zip(shares[:-1], shares[1:], parts[1:], strict=True):
        step, mass = np.sqrt(now - before), density * (at[1] - at[0])
        low, high = 0.0, 12 * np.sqrt(now)
        for _ in range(50):
            middle = (low + high) / 2
            crossing = float(mass @ stats.norm.sf((middle - at) / step))
            low, high = (middle, high) if crossing > part else (low, middle)
        bounds.append(float(high / np.sqrt(now)))
        then = np.linspace(-8.0 * np.sqrt(now), high, points)
        density = np.array([mass @ stats.norm.pdf((y - at) / step) / step for y in then])
        at = then
    return np.array(bounds)


DESIGNS: Mapping[str, Design] = {
    OURS: bets(betting.STRENGTHS),
    "bets on signs, five strengths": bets((0.125, 0.25, 0.5, 1.0, 2.0)),
    "t process": t_process,
    "asymptotic confidence sequence": asymptotic,
    "t at looks, O'Brien and Fleming": group_t(obrien_fleming),
    "t at looks, Pocock": group_t(pocock),
    "signed ranks at looks, Pocock": signed_ranks,
    "sign flips at looks, Pocock": sign_flips,
    "bootstrap at looks": bootstrap,
}
SLOW = ("t process", "sign flips at looks, Pocock", "bootstrap at looks")


def noise(kind: str, runs: int, spread: float = 0.03) -> Array:
    """Log ratios of equal sides: Gaussian, or with one in ten that is six times as wild."""
    draw = np.random.default_rng(3)
    sizes = np.where(draw.random((runs, MOST)) < (0.1 if kind == "wild" else 0.0), 6.0, 1.0)
    drawn: Array = spread * sizes * draw.standard_normal((runs, MOST))
    return drawn


def fared(name: str, kind: str) -> list[str]:
    """A design's row: its errors at the tolerance itself, and the pairs that it takes."""
    design, bound = DESIGNS[name], log1p(0.03)
    row = [name]
    for error, runs in ((0.05, 1000), (ALPHA, 2000 if name in SLOW else 20_000)):
        wrong = (design(noise(kind, runs), error) < NEVER).mean()
        row.append(f"{wrong:.1%}" if error == 0.05 else f"{10_000 * wrong:.1f}")
    taken = [
        design(bound - noise(kind, 300), BETA),
        *(design(noise(kind, 300) + log1p(worse) - bound, ALPHA) for worse in (0.05, 0.10)),
    ]
    for pairs in taken:
        usual, most = np.quantile(pairs, (0.5, 0.95), method="higher")
        row.append(" / ".join("more" if n == NEVER else str(n) for n in (usual, most)))
    return row


def summaries() -> list[list[str]]:
    """How the log ratios of recorded pairs spread by what each process is summed up as."""
    ways: Mapping[str, Callable[[Array, Array], float]] = {
        "median": lambda base, head: log(np.median(head) / np.median(base)),
        "minimum": lambda base, head: log(head.min() / base.min()),
        "trimmed mean": lambda base, head: log(
            stats.trim_mean(head, 0.2) / stats.trim_mean(base, 0.2)
        ),
        "mean": lambda base, head: log(head.mean() / base.mean()),
        "neighbouring rounds": lambda base, head: float(np.median(np.log(head / base))),
    }
    rounds: dict[str, list[tuple[Array, Array]]] = {}
    for line in PAIRS.read_bytes().splitlines():
        pair = records.structure(records.load(line, PAIRS.name), Pair, PAIRS.name)
        sides = np.array(pair.base.rounds_s), np.array(pair.head.rounds_s)
        rounds.setdefault(pair.subject, []).append(sides)
    return [
        [way, *(f"{np.std([of(*sides) for sides in kept]):.1%}" for kept in rounds.values())]
        for way, of in ways.items()
    ] + [["", *rounds]]


def meanings() -> list[list[str]]:
    """How often `worse` is said, and after how many pairs, if it means less than it does."""
    rows = []
    for spread in (0.02, 0.03, 0.04, 0.05):
        for slowdown in (0.0, 0.02, 0.025, 0.05):
            draw = np.random.default_rng(4)
            above = spread * draw.standard_t(3, (400, LONG)) / 1.14 + log1p(slowdown)
            centres = np.array([[np.median(row[: n + 1]) for n in range(LONG)] for row in above])
            ours = DESIGNS[OURS]
            shown = ours(above, ALPHA)[:, None] <= np.arange(1, LONG + 1)
            less = first_of(shown & (centres > log1p(0.03)))
            full = ours(above - log1p(0.03), ALPHA)
            ended = np.minimum(ours(log1p(0.03) - above, BETA), LONG)
            row = [f"{spread:.0%}", f"{slowdown:.1%}"]
            for pairs in (full, less):
                usual, most = np.quantile(np.minimum(pairs, ended), (0.5, 0.95), method="higher")
                row.append(f"{(pairs < ended).mean():.1%}, {usual} / {most}")
            rows.append(row)
    return rows


def shared_templates() -> list[list[str]]:
    """What is said where pairs share two templates, which differ by 1% or so by chance."""
    rows = []
    for shared in (1, 5, 10):
        row = [str(shared)]
        for slowdown in (0.0, 0.02, 0.03):
            draw = np.random.default_rng(5)
            templates = np.repeat(draw.normal(0, 0.01, (2000, 80 // shared)), shared, axis=1)
            log_ratios = templates + 0.015 * draw.standard_normal((2000, 80)) + log1p(slowdown)
            said = [first_decision(of, 0.03, ALPHA)[0] for of in log_ratios]
            row += [f"{said.count(outcome) / 2000:.2%}" for outcome in SAID]
        rows.append(row)
    return rows


def main() -> None:
    """Prints all tables."""
    *rows, heads = summaries()
    print(tabulate(rows, ["summary", *heads[1:]], tablefmt="pipe"), end="\n\n")
    wanted = ["spread", "slowdown", "shown above 1.03", "shown above 1, estimated above 1.03"]
    print(tabulate(meanings(), wanted, tablefmt="pipe", disable_numparse=True), end="\n\n")
    heads = ["pairs", *(f"{slowdown}: {said}" for slowdown in ("0%", "2%", "3%") for said in SAID)]
    print(tabulate(shared_templates(), heads, tablefmt="pipe", disable_numparse=True), end="\n\n")
    heads = [
        *("design", "errs (5% promised)", "errs (5.6 in 10,000 promised)"),
        *("unchanged", "+5%", "+10%"),
    ]
    for kind in ("Gaussian", "wild"):
        print(f"{kind}:\n")
        rows = [fared(name, kind) for name in DESIGNS]
        print(tabulate(rows, heads, tablefmt="pipe", disable_numparse=True), end="\n\n")


if __name__ == "__main__":
    main()
