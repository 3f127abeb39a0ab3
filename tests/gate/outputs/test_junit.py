"""JUnit XML: what fails, what is skipped, and that any reader of the format can read it."""

from __future__ import annotations

import os
import re
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from convbench.gate.outputs import junit, words
from convbench.gate.values import Broken, Difference
from tests.gate.outputs.test_json_file import GOLDEN, RENEW
from tests.support import gate_samples as samples
from tests.support.gate_samples import LENET, RESNET, RESULTS

FAULTS = ("failure", "error", "skipped")


@pytest.mark.parametrize("name", RESULTS)
def test_the_file_is_the_one_that_was_read_in_review(name):
    golden = GOLDEN / f"{name}.xml"
    made = junit.xml(RESULTS[name])
    if os.environ.get(RENEW):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def suite_of(result) -> ET.Element:
    root = ET.fromstring(junit.xml(result).encode())
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def cases(result) -> dict[str, tuple[str, str] | None]:
    """The fault of each test and what is said of it; None for what passed."""
    found = {}
    for case in suite_of(result).iter("testcase"):
        assert len(case) <= 1
        found[case.attrib["name"]] = next(((f.tag, f.text or "") for f in case), None)
    return found


def test_what_is_worse_is_a_failure_that_says_by_how_much():
    assert cases(RESULTS["slower"]) == {
        f"{RESNET}: step time": None,
        f"{LENET}: step time": ("failure", "slower by at least 4.1% (about 6.3%)"),
        f"{LENET}: first result": (
            "failure",
            "slower to the first result by at least 40% (about 52%)",
        ),
    }


def test_what_cannot_be_told_is_skipped_with_what_more_time_would_tell():
    fault, said = cases(RESULTS["cannot_tell"])[f"{LENET}: step time"]
    assert fault == "skipped"
    assert said.endswith("about 12 pairs, 40 s, more would tell")


def test_what_broke_is_an_error_beside_its_questions():
    found = cases(RESULTS["broken_head"])
    fault, said = found[f"{LENET}: can be compared"]
    assert fault == "error"
    assert "was killed by SIGKILL" in said
    assert found[f"{LENET}: step time"] == ("skipped", "cannot tell: it could not be compared")


def test_a_run_that_was_interrupted_is_an_error():
    fault, said = cases(RESULTS["interrupted"])["the run: was finished"]
    assert fault == "error"
    assert said == str(words.headline(RESULTS["interrupted"]))


def test_an_exact_difference_is_a_failure_unless_it_is_allowed():
    found = cases(RESULTS["difference"])
    assert found[f"{RESNET}: parameters is the same"][0] == "failure"
    assert found[f"{RESNET}: dtype is the same"][0] == "skipped"


@pytest.mark.parametrize("name", RESULTS)
def test_a_file_with_a_failure_or_an_error_is_of_a_run_with_that_exit_status(name):
    faults = {found[0] for found in cases(RESULTS[name]).values() if found}
    status = 1 if "failure" in faults else 2 if "error" in faults else 0
    assert RESULTS[name].status == status


@pytest.mark.parametrize("name", RESULTS)
def test_the_counts_are_those_of_the_elements(name):
    suite = suite_of(RESULTS[name])
    assert suite.attrib["tests"] == str(len(suite.findall("testcase")))
    for attribute, tag in zip(("failures", "errors", "skipped"), FAULTS, strict=True):
        assert suite.attrib[attribute] == str(len(list(suite.iter(tag))))


@pytest.mark.parametrize("name", RESULTS)
def test_it_has_what_the_schemas_of_the_format_ask_for(name):
    """Those of Ant's report, which is the strictest, and of Jenkins's plugin, by hand."""
    suite = suite_of(RESULTS[name])
    order = [child.tag for child in suite]
    cases_ = len(suite.findall("testcase"))
    assert order == ["properties", *["testcase"] * cases_, "system-out", "system-err"]
    asked = {"name", "package", "id", "tests", "failures", "errors", "time", "hostname"}
    assert asked | {"timestamp", "skipped"} == set(suite.attrib)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    for timed in (suite, *suite.iter("testcase")):
        assert re.fullmatch(r"\d+\.\d{3}", timed.attrib["time"])
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"name", "classname", "time"}
        assert " ".join(case.attrib["name"].split()) == case.attrib["name"], "a token"
        for fault in case:
            types = set() if fault.tag == "skipped" else {"type"}
            assert set(fault.attrib) == {"message", *types}
        assert all(fault.tag in FAULTS for fault in case)
    for property_ in suite.iter("property"):
        assert set(property_.attrib) == {"name", "value"}
        assert property_.attrib["name"]


@pytest.mark.parametrize("name", RESULTS)
def test_the_sentence_is_where_each_reader_looks(name):
    for fault in FAULTS:
        for found in suite_of(RESULTS[name]).iter(fault):
            assert found.text == found.attrib["message"]
            assert found.text


def test_no_two_tests_have_one_name():
    twice = Broken(subject=LENET, reason="why")
    result = samples.result(samples.SLOWER, samples.SLOWER, broken=(twice, twice))
    names = list(cases(result))
    assert len(names) == len(set(names)) == 4
    assert f"{LENET}: step time (2)" in names


def test_the_time_of_a_subjects_pairs_is_counted_once():
    result = samples.result(samples.SLOWER, samples.SLOWER_TO_FIRST)
    times = [float(case.attrib["time"]) for case in suite_of(result).iter("testcase")]
    assert times == [pytest.approx(sum(p.taken_s for p in result.pairs), abs=1e-3), 0.0]


@pytest.mark.parametrize("name", ["<b>&\"'", "a\x00b", "\x1b[31mred", "]]>", "\udc80", "\ufffe"])
def test_any_name_makes_a_file_that_can_be_read(name):
    worse = evolve(samples.SLOWER, question=evolve(samples.SLOWER.question, subject=name))
    side = evolve(samples.BASE, given=name, environment=evolve(samples.ENVIRONMENT, python=name))
    result = samples.result(
        worse,
        base=side,
        command=name,
        notes=(name,),
        differences=(Difference(subject=name, what=name, base=name, head=name),),
        broken=(Broken(subject=name, reason=name),),
    )
    assert len(cases(result)) == 3
    shown = list(cases(evolve(result, differences=(), broken=())))
    assert shown[0].endswith(": step time")


def test_without_an_environment_there_is_no_time_of_day():
    side = evolve(samples.BASE, environment=None)
    head = evolve(samples.HEAD, environment=None)
    suite = suite_of(samples.result(samples.FINE, base=side, head=head))
    assert "timestamp" not in suite.attrib


def test_the_line_of_the_run_and_its_notes_are_its_output():
    said = suite_of(RESULTS["interrupted"]).findtext("system-out")
    assert said.startswith(str(words.headline(RESULTS["interrupted"])))
    assert "Interrupted after 2:03" in said
