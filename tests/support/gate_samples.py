"""Results of the gate made by hand: one for each thing that a reader must be told."""

from __future__ import annotations

from attrs import evolve

from convbench.gate.statistics.judging import judge, level
from convbench.gate.values import (
    Broken,
    Difference,
    GateResult,
    Outcome,
    Pair,
    Quantity,
    Question,
    Sample,
    SideFacts,
    Verdict,
)
from tests.support.samples import ENVIRONMENT

RESNET, LENET = "resnet18 pytorch forward", "lenet5 keras train_step"
ALPHA, BETA = 0.01, 0.05
KERAS = (("keras", "3.15.1"), ("torch", "2.12.0"))
MIB = 2**20


def verdict(
    subject: str,
    outcome: Outcome,
    ratio: float | None,
    low: float | None = None,
    high: float | None = None,
    **more,
) -> Verdict:
    """A verdict on the step time, within 3%, from twelve pairs."""
    quantity: Quantity = more.pop("quantity", "step time")
    question = Question(subject=subject, quantity=quantity, tolerance=0.03)
    known = {"pairs": 2, "alpha": ALPHA / 4, "beta": BETA, **more}
    return Verdict(question=question, outcome=outcome, ratio=ratio, low=low, high=high, **known)


def pair(subject: str, number: int, ratio: float) -> Pair:
    """A pair whose head takes `ratio` times as long, and took 3 s and a third."""
    sides = [
        Sample(
            rounds_s=(0.01 * part, 0.0102 * part, 0.0099 * part),
            first_result_s=0.5,
            memory_bytes=round(30 * MIB * part),
        )
        for part in (1.0, ratio)
    ]
    first = "head" if number % 2 else "base"
    base, head = sides
    return Pair(subject=subject, number=number, base=base, head=head, first=first, taken_s=10 / 3)


FINE = verdict(RESNET, "not worse", 1.004, 0.982, 1.021)
FINE_MEMORY = verdict(RESNET, "not worse", 1.0, 0.999, 1.001, quantity="peak memory")
FASTER = verdict(LENET, "not worse", 0.923, 0.901, 0.948, better=True)
SLOWER = verdict(LENET, "worse", 1.063, 1.041, 1.088)
SLOWER_TO_FIRST = verdict(LENET, "worse", 1.52, 1.405, None, quantity="first result")
LARGER = verdict(RESNET, "worse", 1.131, 1.1289, 1.14, quantity="peak memory")
UNKNOWN = verdict(LENET, "cannot tell", 1.021, 0.99, 1.0713, more_pairs=12)

BASE = SideFacts(
    role="base",
    given="main",
    meaning="revision 3f2a1b0",
    environment=evolve(ENVIRONMENT, packages=KERAS),
)
HEAD = SideFacts(
    role="head",
    given=".",
    meaning="the working tree",
    environment=evolve(
        ENVIRONMENT,
        packages=(*KERAS[:1], ("torch", "2.13.0")),
        started="2026-01-02T03:04:09+00:00",
    ),
)


def result(*verdicts: Verdict, **more) -> GateResult:
    """What a run of two minutes of ten has found."""
    subjects = dict.fromkeys(v.question.subject for v in verdicts if v.pairs)
    pairs = tuple(pair(s, number, 1.0 + number / 100) for s in subjects for number in (1, 2))
    known = {
        "base": BASE,
        "head": HEAD,
        "verdicts": verdicts,
        "pairs": pairs,
        "alpha": ALPHA,
        "beta": BETA,
        "seed": 7,
        "budget_s": 600.0,
        "spent_s": 123.4,
        "command": "convbench gate --base main --head . --arch resnet18,lenet5 --seed 7",
    }
    return GateResult(**{**known, **more})


def judged(pairs: int = 16, **ratios: float) -> GateResult:
    """What a run has found whose heads take `ratios` as long, by its own pairs alone."""
    taken = tuple(
        evolve(pair(name, number, ratio * (1.001 if number % 2 else 0.999)), interleaved=True)
        for name, ratio in ratios.items()
        for number in range(1, pairs + 1)
    )
    asked = [Question(subject=name, quantity="step time", tolerance=0.03) for name in ratios]
    error = level(len(asked), ALPHA)
    verdicts = [
        judge(
            question,
            [
                known
                for p in taken
                if p.subject == question.subject and (known := p.log_ratio("step time"))
            ],
            error,
            BETA,
        )
        for question in asked
    ]
    return result(*verdicts, pairs=taken)


RESULTS = {
    "all_fine": result(FINE, FINE_MEMORY, verdict(LENET, "not worse", 0.99, 0.97, 1.012)),
    "slower": result(FINE, SLOWER, SLOWER_TO_FIRST),
    "larger": result(FINE, LARGER, FASTER),
    "cannot_tell": result(FINE, UNKNOWN),
    "broken_head": result(
        FINE,
        verdict(LENET, "cannot tell", None, pairs=0),
        broken=(
            Broken(
                subject=LENET,
                role="head",
                reason="was killed by SIGKILL (while building, verifying and warming up)",
            ),
        ),
    ),
    "difference": result(
        FINE,
        differences=(
            Difference(subject=RESNET, what="parameters", base="11,689,512", head="11,689,000"),
            Difference(subject=RESNET, what="dtype", base="float32", head="bfloat16", allowed=True),
        ),
    ),
    "faster": result(FINE, FASTER, head=evolve(HEAD, environment=BASE.environment)),
    "nothing_measured": result(
        verdict(RESNET, "cannot tell", None, pairs=0),
        head=evolve(HEAD, environment=None),
        broken=(Broken(subject=RESNET, reason="no module named 'torch' (while importing it)"),),
    ),
    "interrupted": result(
        FINE,
        UNKNOWN,
        verdict("alexnet pytorch forward", "cannot tell", None, pairs=0),
        interrupted=True,
        notes=("Interrupted after 2:03 of 10:00: what was not decided by then is open.",),
    ),
}
