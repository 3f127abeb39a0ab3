"""What came of the gate in words: verdicts, the line of the run, the promise, rows of tables.

Every form of output takes its sentences from here. They are plain text; who writes Markdown or XML
escapes them. What is certain but for the error (`at least`) is rounded towards saying less.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from statistics import fmean
from typing import Literal, TypeAlias

from attrs import frozen

from convbench.base.errors import one_line
from convbench.base.text_tables import ABSENT
from convbench.base.units import about, size
from convbench.gate.statistics.betting import fewest
from convbench.gate.values import (
    ROLES,
    Broken,
    Difference,
    GateResult,
    Pair,
    Quantity,
    SideFacts,
    Verdict,
)
from convbench.measure.records import Environment

Mood: TypeAlias = Literal["passed", "in doubt", "failed", "no verdict"]
MOST_NAMED = 3
"""How many of a kind the line of the run names."""
MOST_SIGNS = 500
"""Of somebody else's sentence that are shown."""


@frozen
class Wording:
    """How one quantity is spoken of."""

    worse: str
    better: str
    of: str
    growth: str


WORDING: dict[Quantity, Wording] = {
    "step time": Wording("slower", "faster", "", "a slowdown"),
    "first result": Wording("slower", "faster", " to the first result", "a slowdown"),
    "peak memory": Wording("larger", "smaller", "", "growth"),
}


def short(verdict: Verdict) -> str:
    """The verdict in a word or two."""
    words = WORDING[verdict.question.quantity]
    match verdict.outcome:
        case "worse":
            return words.worse
        case "not worse":
            return words.better if verdict.better else f"not {words.worse}"
        case "cannot tell":
            return "cannot tell"


def sentence(verdict: Verdict, pairs: Sequence[Pair] = ()) -> str:
    """The verdict with what is known; `pairs` are the run's, for the time that more would take."""
    words = WORDING[verdict.question.quantity]
    tolerance, ratio = verdict.question.tolerance, verdict.ratio
    match verdict.outcome:
        case "worse":
            # `worse` itself says that it is by more than the tolerance.
            least = max(tolerance, (verdict.low or 0.0) - 1)
            return _with_least(words.worse, words.of, least, None if ratio is None else ratio - 1)
        case "not worse" if verdict.better:
            least = max(0.0, 1 - (1.0 if verdict.high is None else verdict.high))
            return _with_least(words.better, words.of, least, None if ratio is None else 1 - ratio)
        case "not worse":
            return f"not {words.worse}{words.of} (within {share(tolerance)})"
        case "cannot tell":
            return f"cannot tell: {'; '.join(_doubts(verdict, words, pairs))}"


def answer(result: GateResult, verdict: Verdict) -> str:
    """The verdict in its run: of what broke, no more pairs would tell anything."""
    if verdict.outcome == "cannot tell" and verdict.question.subject in {
        found.subject for found in result.broken
    }:
        return "cannot tell: it could not be compared"
    return sentence(verdict, result.pairs)


def _with_least(what: str, of: str, least: float, usual: float | None) -> str:
    bound = f" by at least {percent(least, ROUND_FLOOR)}" if least >= 0.001 else ""
    middle = f" (about {percent(usual)})" if usual is not None and usual > least else ""
    return f"{what}{of}{bound}{middle}"


def _doubts(verdict: Verdict, words: Wording, pairs: Sequence[Pair]) -> list[str]:
    own = [pair for pair in pairs if pair.subject == verdict.question.subject]
    if not verdict.pairs:
        return [f"its {verdict.question.quantity} is not known" if own else "no pair was taken"]
    if verdict.high is None:
        missed = f"{words.growth} of any size could have been missed"
    else:
        most = max(0.0, verdict.high - 1)
        missed = f"{words.growth} below {percent(most, ROUND_CEILING)} could have been missed"
    if verdict.more_pairs is None:
        return [missed, "how many more pairs would tell is not known"]
    one = "pair" if verdict.more_pairs == 1 else "pairs"
    wait = f", {about(verdict.more_pairs * fmean(p.taken_s for p in own))}," if own else ""
    return [missed, f"about {verdict.more_pairs} {one}{wait} more would tell"]


def mood(result: GateResult) -> Mood:
    """What the exit status says, and whether a pass leaves something open."""
    match result.status:
        case 0:
            return "in doubt" if _open(result) else "passed"
        case 1:
            return "failed"
        case _:
            return "no verdict"


def _open(result: GateResult) -> tuple[Verdict, ...]:
    return tuple(v for v in result.verdicts if v.outcome == "cannot tell")


@frozen
class Headline:
    """The line of verdict of a run: the verdict in a word, and why."""

    word: str
    why: str

    def __str__(self) -> str:
        return f"{self.word}: {self.why}" if self.why else self.word


def headline(result: GateResult) -> Headline:
    """The line of verdict of the run."""
    asked = _several(len(result.verdicts), "question")
    better = sum(v.better and v.outcome == "not worse" for v in result.verdicts)
    match mood(result):
        case "failed":
            parts = [_worse(result), _differing(result), _undecided(result), _named_broken(result)]
            return Headline("failed", "; ".join(filter(None, parts)))
        case "no verdict":
            largest = f"{_undecided(result)}{_largest(result)}" if result.interrupted else ""
            parts = [largest if result.measured else "nothing was measured", _named_broken(result)]
            none = Headline("no verdict", "; ".join(filter(None, parts)))
            return Headline("interrupted", str(none)) if result.interrupted else none
        case "in doubt":
            open_ = f"{_undecided(result)}{_largest(result)}"
            word, why = "passed with doubt", f"nothing is known to be worse, but {open_}"
        case _:
            word, why = "passed", f"nothing is worse in {asked}"
    return Headline(word, f"{why}; {better} {_are(better)} better" if better else why)


def _undecided(result: GateResult) -> str:
    open_ = len(_open(result))
    asked = _several(len(result.verdicts), "question")
    return f"{open_} of {asked} {_are(open_)} open" if open_ else ""


def _largest(result: GateResult) -> str:
    """The largest slowdown of a step that is open, which a short budget may have left so."""
    open_ = [v for v in _open(result) if v.question.quantity == "step time" and v.ratio is not None]
    largest = max(open_, key=lambda v: v.ratio or 0.0, default=None)
    if largest is None or largest.ratio is None or largest.ratio <= 1.0:
        return ""
    more = len(_open(result)) - 1
    said = f": {plain(largest.question.subject)}, about {change(largest.ratio)}"
    return f"{said}, and {more} more" if more else said


def _worse(result: GateResult) -> str:
    if not result.worse:
        return ""
    asked = _several(len(result.verdicts), "question")
    named = [f"{plain(v.question.subject)} is {sentence(v)}" for v in result.worse]
    return f"{len(result.worse)} of {asked} {_are(len(result.worse))} worse: {_some(named)}"


def _differing(result: GateResult) -> str:
    wrong = [difference(d) for d in result.differences if not d.allowed]
    return f"{_several(len(wrong), 'exact difference')}: {_some(wrong)}" if wrong else ""


def _named_broken(result: GateResult) -> str:
    named = [broken(b) for b in result.broken]
    return f"{len(named)} could not be compared: {_some(named)}" if named else ""


def _some(named: Sequence[str]) -> str:
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def promise(result: GateResult) -> str:
    """What errors the run promises to make at most how often."""
    return (
        f"The chance that a run in which nothing changed fails is at most {share(result.alpha)}. "
        "The chance that a head which is worse by more than is tolerated is called not worse is at "
        f"most {share(result.beta)} for each question."
    )


def reading(result: GateResult) -> str:
    """How the columns of the table are to be read."""
    each = share(result.verdicts[0].alpha) if result.verdicts else share(result.alpha)
    unknown = " A question mark is an end that is not known: there were too few pairs for it."
    if not any("?" in interval(v) for v in result.verdicts):
        unknown = ""
    return (
        "Change: the head's over the base's, above 0 where the head is slower or larger. It is "
        f"above the interval's lower end but for an error of {each}, and below its upper end but "
        f"for {share(result.beta)}.{unknown}"
    )


def notes(result: GateResult) -> list[str]:
    """What a reader must know of the run, what the budget was too short for included."""
    return [*result.notes, *filter(None, (_too_few(result),))]


def _too_few(result: GateResult) -> str:
    """Whose pairs could not have shown even a clear slowdown, and what budget would have."""
    failed = {found.subject for found in result.broken}
    taken = {v.question.subject: v for v in _open(result) if v.question.subject not in failed}
    missing = {name: fewest(v.alpha) - v.pairs for name, v in taken.items()}
    missing = {name: number for name, number in missing.items() if number > 0}
    if not missing or not result.pairs or result.interrupted:
        return ""
    usual = fmean(pair.taken_s for pair in result.pairs)
    more_s = 0.0
    for name, number in missing.items():
        own = [pair.taken_s for pair in result.pairs if pair.subject == name]
        more_s += number * (fmean(own) if own else usual)
    named = [f"{plain(name)} got {taken[name].pairs}" for name in missing]
    needed = max(fewest(taken[name].alpha) for name in missing)
    return (
        f"Even a clear slowdown takes {needed} pairs here, and {_some(named)}: about "
        f"{about(more_s)} more of --budget would do for that."
    )


def difference(found: Difference) -> str:
    """An exact difference as one sentence."""
    allowed = ", as was allowed" if found.allowed else ""
    base, head = one_line(found.base, MOST_SIGNS), one_line(found.head, MOST_SIGNS)
    return f"{plain(found.subject)}: {plain(found.what)}: base {base}, head {head}{allowed}"


def broken(found: Broken) -> str:
    """What could not be compared, and why, as one sentence; a reason may name the subject."""
    reason, subject = one_line(found.reason, MOST_SIGNS), plain(found.subject)
    if reason.startswith(subject):
        return reason
    return f"{subject}{f' ({found.role})' if found.role else ''}: {reason}"


def sides(result: GateResult) -> list[str]:
    """Both sides as they were given, and what that is."""
    return [f"{role}: {side(facts)}" for role, facts in zip(ROLES, both(result), strict=True)]


def both(result: GateResult) -> tuple[SideFacts, SideFacts]:
    """The base and the head."""
    return result.base, result.head


def side(facts: SideFacts) -> str:
    """A side in a few words."""
    given, meaning = plain(facts.given), plain(facts.meaning)
    return f"{given} ({meaning})" if meaning and meaning != given else given


def plain(name: str) -> str:
    """A name that may come from somebody else, in one line that no terminal obeys."""
    return one_line(name, MOST_SIGNS)


def facts(found: Environment) -> dict[str, str]:
    """What an environment is, without when its run began.

    The commit is not of it: it is that of the folder in which a side was asked, which differs
    wherever two revisions are compared, and a side's meaning names those.
    """
    gpu = {} if found.gpu is None else {"GPU": found.gpu, "driver": found.driver or ABSENT}
    return {
        "CPU": f"{found.cpu}, {found.cores} cores",
        "memory": size(found.memory_bytes),
        **gpu,
        "system": found.system,
        "Python": found.python,
        "convbench": found.convbench,
        **dict(found.packages),
        **dict(found.variables or ()),
    }


def unlike(result: GateResult) -> list[tuple[str, str, str]]:
    """What is known of both environments and differs: its name, the base's and the head's."""
    base, head = (side.environment for side in both(result))
    if base is None or head is None:
        return []
    one, two = facts(base), facts(head)
    return [
        (name, one.get(name, ABSENT), two.get(name, ABSENT))
        for name in dict.fromkeys((*one, *two))
        if one.get(name) != two.get(name)
    ]


def alike(base: Environment, head: Environment) -> dict[str, str]:
    """What both environments share."""
    other = facts(head)
    same = {name: value for name, value in facts(base).items() if other.get(name) == value}
    commit = base.commit if base.commit == head.commit else None
    return same if commit is None else {**same, "commit": commit}


def command(result: GateResult) -> str:
    """What repeats the run, whole and in one line."""
    return one_line(result.command, 10_000)


def rows(result: GateResult) -> list[dict[str, str]]:
    """One row for each question, what needs to be read first."""
    return [
        {
            "subject": plain(v.question.subject),
            "quantity": v.question.quantity,
            "change": ABSENT if v.ratio is None else change(v.ratio),
            "interval": interval(v),
            "pairs": str(v.pairs),
            "verdict": answer(result, v),
        }
        for v in by_weight(result.verdicts)
    ]


def by_weight(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What is worse, then what is open, then what is better, then the rest, each in its order."""
    weights = {"worse": 0, "cannot tell": 1, "not worse": 2}
    return sorted(verdicts, key=lambda v: (weights[v.outcome], not v.better))


def interval(verdict: Verdict) -> str:
    """Where the ratio is, as changes; an end that is not known is a question mark."""
    if verdict.low is None and verdict.high is None:
        return ABSENT
    ends = (verdict.low, ROUND_FLOOR), (verdict.high, ROUND_CEILING)
    return " to ".join("?" if end is None else change(end, rounding) for end, rounding in ends)


def change(ratio: float, rounding: str = ROUND_HALF_EVEN) -> str:
    """A ratio as a change with its sign.

    >>> change(1.0634), change(0.95), change(2.5)
    ('+6.3%', '-5.0%', '+150%')
    """
    text = percent(ratio - 1, rounding)
    return text if text.startswith("-") else f"+{text}"


def percent(value: float, rounding: str = ROUND_HALF_EVEN) -> str:
    """A share in percent, to a tenth below ten.

    >>> percent(0.0419), percent(0.0419, ROUND_FLOOR), percent(0.128), percent(-0.00001)
    ('4.2%', '4.1%', '13%', '0.0%')
    """
    exact = Decimal(f"{100 * value:.9g}")  # 100 * 0.07 is 7 here
    places = "0.1" if abs(exact) < 10 else "1"
    rounded = exact.quantize(Decimal(places), rounding)
    return f"{rounded or abs(rounded):,f}%"


def share(value: float) -> str:
    """A share that was chosen, with the digits that it was given.

    >>> share(0.03), share(0.01 / 18)
    ('3%', '0.056%')
    """
    exact = f"{100 * value:.6g}"
    return f"{exact if len(exact) <= 4 else f'{100 * value:.2g}'}%"


def _several(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
