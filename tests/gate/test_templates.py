"""Who serves whom: chance decides where it can, and nobody's template serves twice where not."""

from __future__ import annotations

from random import Random

from convbench.gate.pairs import Templates
from convbench.gate.sides.sides import Side
from convbench.gate.values import ROLES


class Played:
    """A template that notes what is asked of it."""

    def __init__(self, role: str, framework: str, variables: object) -> None:
        self.role, self.framework, self.closed = role, framework, False
        self.variables = variables

    def open(self, label: str) -> tuple[str, Played]:
        assert not self.closed
        return label, self

    def close(self) -> None:
        self.closed = True


def templates(python: str = "a", other: str = "a") -> tuple[Templates, list[Played]]:
    started: list[Played] = []

    def start(side: Side, framework: str, variables: object) -> Played:
        started.append(Played(side.role, framework, variables))
        return started[-1]

    sides = {
        "base": Side(role="base", given=".", meaning="", python=python),
        "head": Side(role="head", given=".", meaning="", python=other),
    }
    return Templates(sides, start, Random(2)), started


BOTH = dict.fromkeys(ROLES, ("pytorch", ()))


def test_two_templates_of_one_interpreter_serve_either_side_by_chance():
    kept, started = templates()
    served = [kept.for_pair(BOTH, "a task")("base")[1] for _ in range(200)]
    assert len(started) == 2
    assert 70 < served.count(started[0]) < 130


def test_in_a_pair_each_side_has_a_template_of_its_own():
    kept, _ = templates()
    for _ in range(50):
        open_ = kept.for_pair(BOTH, "a task")
        assert open_("base")[1] is not open_("head")[1]
        assert open_("base")[1] is open_("base")[1]


def test_templates_that_cannot_change_sides_are_new_for_each_pair():
    kept, started = templates(other="b")
    for number in range(1, 4):
        open_ = kept.for_pair(BOTH, "a task")
        assert open_("base")[1].role == "base"
        assert open_("head")[1].role == "head"
        assert len(started) == 2 * number
        assert [one.closed for one in started[:-2]] == [True] * (2 * number - 2)


def test_sides_of_two_frameworks_do_not_change_templates_either():
    kept, started = templates()
    frameworks = {"base": ("pytorch", ()), "head": ("keras", ())}
    for _ in range(2):
        open_ = kept.for_pair(frameworks, "a task")
        assert [open_(role)[1].framework for role in ROLES] == ["pytorch", "keras"]
    assert len(started) == 4


def test_each_framework_has_templates_of_its_own():
    kept, started = templates()
    kept.for_pair(BOTH, "a task")
    kept.for_pair(dict.fromkeys(ROLES, ("keras", ())), "a task")
    assert [one.framework for one in started] == ["pytorch", "pytorch", "keras", "keras"]


def test_sides_whose_environments_differ_do_not_change_templates():
    kept, started = templates()
    served = {"base": ("keras", ()), "head": ("keras", (("A", "1"),))}
    for _ in range(9):
        open_ = kept.for_pair(served, "a task")
        assert [open_(role)[1].variables for role in ROLES] == [(), (("A", "1"),)]
    assert {one.role for one in started if one.variables} == {"head"}


def test_processes_are_named_by_their_side():
    kept, _ = templates()
    assert kept.for_pair(BOTH, "a task")("head")[0] == "a task (head)"


def test_all_end_with_the_run():
    kept, started = templates()
    kept.for_pair(BOTH, "a task")
    kept.close()
    assert all(one.closed for one in started)
