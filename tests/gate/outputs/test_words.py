"""What the gate says, in words: each sentence says what is known and not a bit more."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.gate.outputs import words
from convbench.gate.values import Broken, Question, Verdict
from tests.support import gate_samples as samples
from tests.support.gate_samples import ALPHA, LENET, RESNET, RESULTS, verdict


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (samples.SLOWER, "slower by at least 4.1% (about 6.3%)"),
        (samples.FINE, "not slower (within 3%)"),
        (samples.FASTER, "faster by at least 5.2% (about 7.7%)"),
        (samples.LARGER, "larger by at least 12% (about 13%)"),
        (samples.FINE_MEMORY, "not larger (within 3%)"),
        (samples.SLOWER_TO_FIRST, "slower to the first result by at least 40% (about 52%)"),
        (
            evolve(samples.FASTER, question=evolve(samples.LARGER.question)),
            "smaller by at least 5.2% (about 7.7%)",
        ),
        (
            samples.UNKNOWN,
            "cannot tell: a slowdown below 7.2% could have been missed; about 12 pairs more would "
            "tell",
        ),
    ],
)
def test_a_verdict_says_what_is_known(given, said):
    assert words.sentence(given) == said


def test_more_pairs_are_given_with_the_time_that_they_take():
    pairs = [samples.pair(LENET, number, 1.0) for number in (1, 2)]
    other = evolve(samples.pair(RESNET, 1, 1.0), taken_s=1000.0)
    said = words.sentence(samples.UNKNOWN, [*pairs, other])
    assert said.endswith("; about 12 pairs, 40 s, more would tell")
    one = words.sentence(evolve(samples.UNKNOWN, more_pairs=1), pairs)
    assert one.endswith("; about 1 pair, 3 s, more would tell")


def test_what_nothing_is_known_of_says_so():
    nothing = verdict(LENET, "cannot tell", None, pairs=0, quantity="peak memory")
    assert words.sentence(nothing) == "cannot tell: no pair was taken"
    pairs = [samples.pair(LENET, 1, 1.0)]
    assert words.sentence(nothing, pairs) == "cannot tell: its peak memory is not known"
    wide = verdict(LENET, "cannot tell", 1.2, pairs=1)
    said = "cannot tell: a slowdown of any size could have been missed; "
    assert words.sentence(wide) == said + "how many more pairs would tell is not known"


def test_what_is_worse_is_worse_by_the_tolerance_at_least():
    """Later pairs may draw the ratio down, below what was refused before."""
    back = verdict(LENET, "worse", 1.01, 1.002, 1.05)
    assert words.sentence(back) == "slower by at least 3.0%"


def test_a_certain_share_is_rounded_towards_saying_less():
    assert "at least 4.1%" in words.sentence(verdict(LENET, "worse", 1.2, 1.0419, 1.3))
    missed = verdict(LENET, "cannot tell", 1.0, 0.9, 1.0411)
    assert "below 4.2%" in words.sentence(missed)
    assert words.interval(missed) == "-10% to +4.2%"
    assert words.interval(verdict(LENET, "worse", 1.2, 1.0419)) == "+4.1% to ?"


def test_a_better_one_whose_bound_is_nothing_has_none():
    barely = verdict(LENET, "not worse", 0.99, 0.98, 0.9999, better=True)
    assert words.sentence(barely) == "faster (about 1.0%)"


def test_short_verdicts():
    every = (samples.SLOWER, samples.FINE, samples.FASTER, samples.LARGER, samples.UNKNOWN)
    assert [words.short(v) for v in every] == [
        *("slower", "not slower", "faster", "larger", "cannot tell")
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("all_fine", "passed: nothing is worse in 3 questions"),
        (
            "slower",
            f"failed: 2 of 3 questions are worse: {LENET} is slower by at least 4.1% (about 6.3%), "
            f"{LENET} is slower to the first result by at least 40% (about 52%)",
        ),
        (
            "larger",
            f"failed: 1 of 3 questions is worse: {RESNET} is larger by at least 12% (about 13%)",
        ),
        (
            "cannot_tell",
            "passed with doubt: nothing is known to be worse, but 1 of 2 questions is open: "
            f"{LENET}, about +2.1%",
        ),
        (
            "broken_head",
            f"no verdict: 1 could not be compared: {LENET} (head): was killed by SIGKILL (while "
            "building, verifying and warming up)",
        ),
        (
            "difference",
            f"failed: 1 exact difference: {RESNET}: parameters: base 11,689,512, head 11,689,000",
        ),
        ("faster", "passed: nothing is worse in 2 questions; 1 is better"),
        (
            "nothing_measured",
            f"no verdict: nothing was measured; 1 could not be compared: {RESNET}: no module named "
            "'torch' (while importing it)",
        ),
        (
            "interrupted",
            f"interrupted: no verdict: 2 of 3 questions are open: {LENET}, about +2.1%, and 1 more",
        ),
    ],
)
def test_the_line_of_the_run(name, said):
    assert str(words.headline(RESULTS[name])) == said


@pytest.mark.parametrize("name", RESULTS)
def test_the_line_agrees_with_the_exit_status(name):
    status = {"passed": 0, "failed": 1, "no verdict": 2, "interrupted": 2}
    first = words.headline(RESULTS[name]).word.removesuffix(" with doubt")
    assert status[first] == RESULTS[name].status


def test_what_was_interrupted_is_no_pass_whatever_was_known_by_then():
    fine = evolve(RESULTS["all_fine"], interrupted=True)
    assert (fine.status, str(words.headline(fine))) == (2, "interrupted: no verdict")
    assert words.mood(fine) == "no verdict"
    worse = evolve(RESULTS["slower"], interrupted=True)
    assert worse.status == 1
    nothing = samples.result(interrupted=True)
    assert str(words.headline(nothing)) == "interrupted: no verdict: nothing was measured"


def test_the_largest_open_change_of_a_step_is_named():
    slow = verdict("slow", "cannot tell", 1.32, 0.9, None)
    larger = verdict("slow", "cannot tell", 9.0, quantity="peak memory")
    quick = verdict("quick", "cannot tell", 0.7, None, 1.5)
    said = str(words.headline(samples.result(quick, larger, slow, samples.UNKNOWN)))
    assert said.endswith("4 of 4 questions are open: slow, about +32%, and 3 more")
    assert str(words.headline(samples.result(quick))).endswith("1 of 1 question is open")


def few(**more):
    open_ = verdict("slow", "cannot tell", 1.32, pairs=2, alpha=ALPHA / 18, **more)
    return samples.result(open_, evolve(open_, question=evolve(open_.question, subject="other")))


def test_where_too_few_pairs_were_taken_a_note_says_how_much_more_budget_they_take():
    """13 pairs at an error of 1% over 18 questions, as docs/gate.md has it; 22 of 10/3 s miss."""
    (said,) = words.notes(few())
    assert said == (
        "Even a clear slowdown takes 13 pairs here, and slow got 2, other got 2: about 73 s more "
        "of --budget would do for that."
    )


def test_a_subject_without_pairs_is_taken_to_need_as_long_as_the_others():
    none = verdict("none", "cannot tell", None, pairs=0)
    (said,) = words.notes(samples.result(samples.FINE, none))
    assert "none got 0: about 37 s more" in said


@pytest.mark.parametrize(
    "result",
    [
        samples.result(verdict("slow", "cannot tell", 1.3, pairs=11)),
        samples.result(samples.FINE, samples.SLOWER),
        samples.result(samples.UNKNOWN, broken=(Broken(subject=LENET, reason="why"),)),
        evolve(samples.result(samples.UNKNOWN), pairs=()),
        evolve(samples.result(samples.UNKNOWN), interrupted=True),
    ],
    ids=["enough", "decided", "broken", "stored", "interrupted"],
)
def test_no_more_budget_is_asked_for_where_it_was_not_the_reason(result):
    assert words.notes(result) == []


def test_notes_of_the_run_come_first():
    assert words.notes(evolve(few(), notes=("Other work.",)))[0] == "Other work."


def test_an_end_that_is_not_known_is_explained_where_there_is_one():
    assert "A question mark is an end that is not known" in words.reading(RESULTS["slower"])
    assert "question mark" not in words.reading(RESULTS["all_fine"])


def test_the_commit_of_the_folder_is_no_difference_between_environments():
    """It is that of the user's repository, and two revisions of it are what is compared."""
    base, head = samples.BASE, samples.HEAD
    other = evolve(head, environment=evolve(head.environment, commit="fedcba987654"))
    result = samples.result(samples.FINE, base=base, head=other)
    assert [name for name, *_ in words.unlike(result)] == ["torch"]
    assert "commit" not in words.alike(base.environment, other.environment)
    assert words.alike(base.environment, head.environment)["commit"] == "0123456789ab"
    unknown = evolve(base.environment, commit=None)
    assert "commit" not in words.alike(unknown, unknown)


def test_of_many_that_are_worse_three_are_named():
    many = [verdict(f"net{i}", "worse", 1.2, 1.1, 1.3) for i in range(7)]
    said = str(words.headline(samples.result(*many)))
    assert said.startswith("failed: 7 of 7 questions are worse: net0 is slower by at least 10%")
    assert said.endswith("net2 is slower by at least 10% (about 20%) and 4 more")


def test_a_failure_does_not_hide_what_broke_or_is_open():
    result = samples.result(
        samples.SLOWER, samples.FINE, samples.UNKNOWN, broken=(Broken(subject="x", reason="why"),)
    )
    said = str(words.headline(result))
    assert "1 of 3 questions is worse" in said
    assert said.endswith("1 of 3 questions is open; 1 could not be compared: x: why")


def test_the_promise_has_the_numbers_of_the_run():
    said = words.promise(RESULTS["all_fine"])
    assert said.startswith("The chance that a run in which nothing changed fails is at most 1%. ")
    assert "at most 5% for each question" in said
    assert "at most 0.1%" in words.promise(evolve(RESULTS["all_fine"], alpha=0.001))


def test_what_needs_to_be_read_comes_first():
    order = [samples.FINE, samples.FASTER, samples.UNKNOWN, samples.SLOWER]
    expected = [samples.SLOWER, samples.UNKNOWN, samples.FASTER, samples.FINE]
    assert words.by_weight(order) == expected
    rows = words.rows(samples.result(*order))
    assert rows[0] == {
        "subject": LENET,
        "quantity": "step time",
        "change": "+6.3%",
        "interval": "+4.1% to +8.8%",
        "pairs": "2",
        "verdict": "slower by at least 4.1% (about 6.3%)",
    }


def test_a_reason_that_names_its_subject_is_not_made_to_name_it_twice():
    reason = f"{LENET} on head: was killed by SIGKILL"
    assert words.broken(Broken(subject=LENET, role="head", reason=reason)) == reason


HOSTILE = "\x1b[31mred\x1b[0m\nnext"


def test_no_name_of_somebody_else_is_obeyed_by_a_terminal():
    question = Question(subject=HOSTILE, quantity="step time", tolerance=0.03)
    worse = evolve(samples.SLOWER, question=question)
    side = evolve(samples.BASE, given=HOSTILE, meaning=HOSTILE)
    result = samples.result(worse, base=side, broken=(Broken(subject=HOSTILE, reason=HOSTILE),))
    told = [str(words.headline(result)), *words.sides(result), *words.rows(result)[0].values()]
    told += [words.broken(b) for b in result.broken]
    assert not any("\x1b" in text or "\n" in text for text in told)


def test_the_error_of_the_interval_is_the_questions_own():
    told = words.reading(RESULTS["all_fine"])
    assert "an error of 0.25%" in told
    none = samples.result()
    assert isinstance(none.verdicts, tuple)
    assert "an error of 1%" in words.reading(none)


def test_verdicts_have_a_word_for_every_quantity():
    for quantity in words.WORDING:
        question = Question(subject="x", quantity=quantity, tolerance=0.5)
        shown = Verdict(question=question, outcome="not worse", pairs=9, alpha=0.01, beta=0.05)
        assert words.sentence(shown).endswith("(within 50%)")


def test_of_what_broke_no_more_pairs_are_asked_for():
    result = samples.result(samples.UNKNOWN, broken=(Broken(subject=LENET, reason="why"),))
    assert words.rows(result)[0]["verdict"] == "cannot tell: it could not be compared"
    assert "12 pairs" in words.rows(samples.result(samples.UNKNOWN))[0]["verdict"]
