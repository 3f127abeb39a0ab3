"""The comment on a pull request: what it shows, what it folds, and that no name breaks it."""

from __future__ import annotations

import os
import re

import pytest
from attrs import evolve
from markdown_it import MarkdownIt

from convbench.gate.outputs import words
from convbench.gate.outputs.markdown import MARKS, NO_MENTION, comment
from convbench.gate.values import Broken, Difference
from tests.gate.outputs.test_json_file import GOLDEN, RENEW
from tests.support import gate_samples as samples
from tests.support.gate_samples import RESULTS


@pytest.mark.parametrize("name", RESULTS)
def test_the_comment_is_the_one_that_was_read_in_review(name):
    golden = GOLDEN / f"{name}.md"
    made = comment(RESULTS[name], "ratios.png")
    if os.environ.get(RENEW):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def html(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


def tags(text: str) -> list[str]:
    return re.findall(r"<(/?\w+)", html(text))


@pytest.mark.parametrize("name", RESULTS)
def test_the_verdict_and_its_mark_are_the_first_line_that_is_seen(name):
    result = RESULTS[name]
    line = next(line for line in comment(result).splitlines() if line and line[0] != "<")
    said, why = words.headline(result).word, words.headline(result).why
    assert line.startswith(f"{MARKS[words.mood(result)]} **convbench gate: {said}:** {why[:20]}")
    assert len(set(MARKS.values())) == len(MARKS)


def test_every_question_is_in_the_folded_table():
    made = comment(RESULTS["slower"])
    folded = made.split("<details>")[1].split("</details>")[0]
    rows = [line for line in folded.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(RESULTS["slower"].verdicts)
    assert "| slower by at least 4.1% (about 6.3%)" in rows[1]
    shown = html(made)
    assert shown.count("<table>") == 3, "questions, what differs, what is the same"
    assert shown.count("<details>") == shown.count("</details>") == 2


def test_what_differs_between_environments_is_seen_before_what_is_the_same():
    made = comment(RESULTS["slower"])
    seen, folded = made.split("#### Environments differ")[1].split("<details>")
    assert re.search(r"\| torch \| 2\.12\.0 \| 2\.13\.0 \|", seen)
    assert "AMD EPYC" not in seen
    assert "AMD EPYC" in folded
    assert "torch" not in folded.split("</details>")[0]


def test_environments_that_are_the_same_do_not_differ():
    made = comment(RESULTS["faster"])
    assert "differ" not in made
    assert "The environment, the same on both sides" in made


def test_an_environment_that_nobody_asked_for_is_not_called_different():
    made = comment(RESULTS["nothing_measured"])
    assert "differ" not in made
    assert "The environment of the head is not known." in made


def test_there_is_no_picture_of_nothing():
    assert "![" in comment(RESULTS["slower"], "ratios.png")
    assert "![" not in comment(RESULTS["slower"])
    assert "![" not in comment(RESULTS["nothing_measured"], "ratios.png")


@pytest.mark.parametrize(
    ("plot", "link"),
    [
        ("ratios.png", "ratios.png"),
        ("https://host/a/b.png?raw=1", "https://host/a/b.png?raw=1"),
        ("my plots/(a).png", "my%20plots/%28a%29.png"),
        ("a.png) <script>", "a.png%29%20%3Cscript%3E"),
    ],
)
def test_the_picture_is_where_the_caller_says(plot, link):
    assert f"]({link})" in comment(RESULTS["slower"], plot)


@pytest.mark.parametrize("ticks", ["", "`", "```", "`````"])
def test_the_command_is_shown_as_it_is(ticks):
    made = comment(evolve(RESULTS["slower"], command=f"convbench gate --arch '{ticks}<b>'"))
    ((shown,),) = [re.findall(r"<code>(.*)\n</code>", html(made))]
    assert shown == f"convbench gate --arch '{ticks}&lt;b&gt;'"


@pytest.mark.parametrize("command", ["```", "`````"])
def test_no_command_ends_its_own_fence(command):
    ((shown,),) = [
        re.findall(r"<code>(.*)\n</code>", html(comment(samples.result(command=command))))
    ]
    assert shown == command


MARKUP = ("<img src=x>", "a|b", "`code`", "*a*", "[a](b)", "![a](b)", "two\nlines", "\n\n# head")


ODD = ("</details>", "<!--", "\\|", "__init__", "| - |", "- a", "1. a", "2) a", "+ a", "~~~", "> a")


@pytest.mark.parametrize("markup", [*MARKUP, *ODD])
def test_a_name_from_outside_is_shown_and_does_nothing(markup):
    def named(name):
        worse = evolve(samples.SLOWER, question=evolve(samples.SLOWER.question, subject=name))
        side = evolve(
            samples.BASE,
            given=name,
            meaning=f"x {name}",
            environment=evolve(samples.ENVIRONMENT, cpu=name, packages=((f"p{name}", name),)),
        )
        return samples.result(
            worse,
            base=side,
            notes=(name,),
            differences=(Difference(subject=name, what=name, base=name, head=name),),
            broken=(Broken(subject=name, reason=f"because {name}"),),
        )

    assert tags(comment(named(markup))) == tags(comment(named("name")))


def test_nobody_is_called_by_a_name():
    side = evolve(samples.BASE, given="@everyone", meaning="@team/core")
    made = comment(
        samples.result(samples.SLOWER, base=side, broken=(Broken(subject="@me", reason="@you"),))
    )
    assert made.count("@") >= 4
    assert not re.search(f"@(?!{NO_MENTION})", made)


def test_the_promise_and_the_time_are_there():
    made = comment(RESULTS["all_fine"])
    assert words.promise(RESULTS["all_fine"]) in made
    assert "The run took 2:03 of 10:00" in made


def test_a_note_is_told():
    made = comment(RESULTS["interrupted"])
    assert "\n- Interrupted after 2:03 of 10:00" in made


def test_the_goldens_are_of_results_that_are_still_there():
    assert {file.stem for file in GOLDEN.iterdir()} == set(RESULTS)
