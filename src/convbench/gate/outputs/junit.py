"""A result of the gate as JUnit XML, for what shows test reports.

One test for each question, each exact difference and each subject that broke. What is worse is a
failure, what broke an error, and so is a run that was interrupted. What cannot be told is skipped
and not passed: GitLab shows no word of a test that passed (`lib/gitlab/ci/parsers/test/junit.rb`
drops its output) but the text of one that was skipped, Jenkins counts both and shows the message,
and neither fails a job for it. GitLab knows tests by class and name, and takes the first of several
alike; it reads sentences from the elements' text, and Jenkins from their `message`. So both are
there.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from xml.etree import ElementTree as ET

from convbench.base.units import Second
from convbench.gate.outputs import words
from convbench.gate.values import GateResult

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
SUITE = "convbench.gate"
Fault: TypeAlias = Literal["failure", "error", "skipped"]


def xml(result: GateResult) -> str:
    """The whole file; `words.plain` leaves no sign in a name that XML may not hold."""
    suite = ET.Element("testsuite", name=SUITE, package="convbench", id="0")
    _add_properties(suite, result)
    _add_questions(suite, result)
    for difference in result.differences:
        what = f"{difference.subject}: {difference.what} is the same"
        said = words.difference(difference)
        _add_case(suite, what, "skipped" if difference.allowed else "failure", "differs", said)
    for broken in result.broken:
        _add_case(
            suite, f"{broken.subject}: can be compared", "error", "broken", words.broken(broken)
        )
    if result.interrupted:
        _add_case(
            suite, "the run: was finished", "error", "interrupted", str(words.headline(result))
        )
    ET.SubElement(suite, "system-out").text = "\n".join(_told(result))
    ET.SubElement(suite, "system-err")
    _make_unlike(suite)
    _add_counts(suite, result)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f"{DECLARATION}\n{ET.tostring(suites, encoding='unicode')}\n"


def _add_questions(suite: ET.Element, result: GateResult) -> None:
    taken = {v.question.subject: 0.0 for v in result.verdicts}
    for pair in result.pairs:
        taken[pair.subject] = taken.get(pair.subject, 0.0) + pair.taken_s
    faults: dict[str, Fault] = {"worse": "failure", "cannot tell": "skipped"}
    for verdict in result.verdicts:
        subject, quantity = verdict.question.subject, verdict.question.quantity
        # All questions of a subject are answered by the same pairs: the first has their time.
        spent = taken.pop(subject, 0.0)
        fault, said = faults.get(verdict.outcome), words.answer(result, verdict)
        _add_case(suite, f"{subject}: {quantity}", fault, words.short(verdict), said, spent)


def _add_case(
    suite: ET.Element, name: str, fault: Fault | None, kind: str, said: str, time: Second = 0.0
) -> None:
    case = ET.SubElement(
        suite, "testcase", name=words.plain(name), classname=SUITE, time=f"{time:.3f}"
    )
    if fault is not None:
        types = {} if fault == "skipped" else {"type": kind}  # which that element may not have
        ET.SubElement(case, fault, types, message=said).text = said


def _make_unlike(suite: ET.Element) -> None:
    """Numbers names that come again, which no reader of reports would show."""
    seen: dict[str, int] = {}
    for case in suite.iter("testcase"):
        name = case.attrib["name"]
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            case.set("name", f"{name} ({seen[name]})")


def _add_counts(suite: ET.Element, result: GateResult) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for name, fault in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{fault}"))))
    suite.set("time", f"{result.spent_s:.3f}")
    suite.set("hostname", "localhost")  # the format's word for a name that is not told
    environment = result.base.environment or result.head.environment
    if environment is not None and (began := re.match(r"[\d-]{10}T[\d:]{8}", environment.started)):
        suite.set("timestamp", began[0])


def _add_properties(suite: ET.Element, result: GateResult) -> None:
    properties = ET.SubElement(suite, "properties")
    told = {
        "verdict": str(words.headline(result)),
        "command": words.command(result),
        "seed": str(result.seed),
    }
    for side in words.both(result):
        told[side.role] = words.side(side)
        if side.environment is not None:
            facts = words.facts(side.environment)
            told |= {f"{side.role} {words.plain(k)}": words.plain(v) for k, v in facts.items()}
    for name, value in told.items():
        ET.SubElement(properties, "property", name=name, value=value)


def _told(result: GateResult) -> list[str]:
    return [
        str(words.headline(result)),
        *map(words.plain, words.notes(result)),
        words.promise(result),
    ]
