"""What is written is what is read; what is cut off or corrupt is left out or refused."""

from __future__ import annotations

import errno
import json
import os
import re

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from convbench.base.errors import BadRecord
from convbench.checks.structure import check, condensed
from convbench.checks.values import OldText, Tensor, as_text
from convbench.measure import journal as journals
from convbench.measure import records
from convbench.measure.journal import Journal
from convbench.measure.records import Memory, Task
from convbench.papers.printed import Printed
from tests.support.builders import alike, graph, table
from tests.support.entries import (
    ATTAINABLE,
    ENTRIES,
    ENVIRONMENT,
    FAILURE,
    FINDINGS,
    MEASUREMENT,
    REPORT,
    TASK,
    anything,
)


@pytest.fixture
def journal(tmp_path):
    """A journal of three entries in a folder that is not there yet."""
    made = Journal(tmp_path / "reports" / "run" / "measurements.jsonl")
    for entry in (ENVIRONMENT, REPORT, FAILURE):
        made.append(entry)
    return made


def refusal(text, where="journal, line 1"):
    with pytest.raises(BadRecord) as caught:
        journals.parse(text, where)
    return str(caught.value)


def altered(entry, **changes):
    """The journal line of an entry with some keys changed; "absent" takes a key away."""
    content = {**json.loads(journals.line(entry)), **changes}
    return json.dumps({k: v for k, v in content.items() if v != "absent"}).encode()


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_is_read_as_it_was_written(tmp_path, entry):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(entry)
    assert list(journal.entries()) == [entry]
    assert journal.path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize(
    ("entry", "kind"), [(ENVIRONMENT, "environment"), (REPORT, "check"), (FAILURE, "measurement")]
)
def test_a_line_says_its_schema_and_kind(entry, kind):
    content = json.loads(journals.line(entry))
    assert (content["schema"], content["kind"]) == (records.SCHEMA, kind)


OLD = [  # quantity, what is printed, computed and observed in schema 1, and the values of those
    ("macs", ("300K", "34,944", None), (OldText("300K"), 34_944, None)),
    ("macs", ("3.8×10^9", "3,857,973,248", "1"), (Printed("3.8×10^9"), 3_857_973_248, 1)),
    ("output", ("6x28x28", "6x28x28", "10"), ((6, 28, 28), (6, 28, 28), (10,))),
    ("size", (None, "", "32x32"), (None, (), (32, 32))),
    ("times", ("12", "1200", None), (Printed("12"), 1200, None)),
    ("layer", (None, "Conv", "missing"), (None, "Conv", "missing")),
    (
        "tensors",
        (None, "weight 10x84, bias 10 fixed", ""),
        (None, (Tensor("weight", (10, 84), True), Tensor("bias", (10,), False)), ()),
    ),
    (
        "parameters against alexnet",
        ("3 times more", "2.269 times more", None),
        (OldText("3 times more"), OldText("2.269 times more"), None),
    ),
]


@pytest.mark.parametrize(("quantity", "texts", "values"), OLD)
def test_a_check_of_schema_1_is_read_into_values(quantity, texts, values):
    content = json.loads(journals.line(evolve(REPORT, findings=REPORT.findings[:1])))
    old = dict(zip(("printed", "computed", "observed"), texts, strict=True))
    finding = {**content["findings"][0], "quantity": quantity, **old}
    line = json.dumps({**content, "schema": 1, "findings": [finding]})
    entry = journals.parse(line.encode(), "here")
    (found,) = entry.findings
    assert (found.printed, found.computed, found.observed) == values
    assert [None if v is None else as_text(v) for v in values] == [
        "none" if text == "" else text.replace("1200", "1,200") if text else None for text in texts
    ]
    assert journals.parse(journals.line(entry).encode(), "here") == entry


FINDING = journals.as_json(REPORT.findings[1])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"printed": "3.8×10^9"}, "printed"),
        ({"printed": 38}, "printed"),
        ({"printed": {"text": "many"}}, "not a number"),
        ({"printed": {"text": "3K", "more": True}}, "extra fields found (more)"),
        (
            {"computed": 1.5},
            "expected a number, a list or a word, not 1.5 @ $.findings[0].computed",
        ),
        ({"computed": True}, "not True @ $.findings[0].computed"),
        ({"computed": [1, "2"]}, "expected int @ $.findings[0].computed[1]"),
        ({"computed": [{}]}, "required field missing @ $.findings[0].computed[0].name"),
        ({"observed": {}}, "not {} @ $.findings[0].observed"),
    ],
)
def test_a_finding_of_another_form_is_refused(changes, fault):
    content = json.loads(journals.line(REPORT))
    line = json.dumps({**content, "findings": [{**FINDING, **changes}]})
    with pytest.raises(BadRecord, match=re.escape(fault)):
        journals.parse(line.encode(), "here")


def test_pass_is_written_without_the_underscore():
    content = json.loads(journals.line(MEASUREMENT))["task"]
    assert content["pass"] == "train_step"
    assert "pass_" not in content
    assert records.structure(content, Task, "here") == TASK


def test_text_stays_readable():
    assert "A CPU®" in journals.line(ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        (b"", "JSON", "b''"),
        (b"{", "JSON", "b'{'"),
        (b'{"schema": 1} x', "JSON", "Extra data"),
        (b'{"cpu": "\xff"}', "JSON", "codec can't decode"),
        (b"[" * 100_000, "JSON", "recursion"),
        (b'{"schema": ' + b"1" * 5000 + b"}", "JSON", "4300 digits"),
        (b"[1]", "an object", "b'[1]'"),
        (b"null", "an object", "b'null'"),
        (b"{}", "schema 2 of this version", "schema None"),
        (b'{"schema": 3, "kind": "check"}', "schema 2 of this version", "schema 3"),
        (b'{"schema": 0, "kind": "check"}', "schema 2 of this version", "schema 0"),
        (b'{"schema": "1"}', "schema 2 of this version", "schema '1'"),
        (b'{"schema": true}', "schema 2 of this version", "schema True"),
        (b'{"schema": 1.0}', "schema 2 of this version", "schema 1.0"),
        (
            b'{"schema": 1}',
            "one of the kinds environment, check, unchecked, parity, attainable, measurement",
            "kind None",
        ),
        (b'{"schema": 1, "kind": "x"}', "one of the kinds", "kind 'x'"),
        (b'{"schema": 1, "kind": []}', "one of the kinds", "kind []"),
    ],
)
def test_a_line_of_another_form_is_refused(text, wanted, found):
    sentence = refusal(text)
    assert sentence.startswith(f"journal, line 1: wanted {wanted}")
    assert found in sentence


@pytest.mark.parametrize(
    ("entry", "changes", "fault"),
    [
        (FAILURE, {"extra": 1}, "extra fields found (extra) @ $"),
        (FAILURE, {"outcome": "absent"}, "required field missing @ $.outcome"),
        (FAILURE, {"outcome": "lost"}, "@ $.outcome"),
        (
            FAILURE,
            {"task": records.as_json(FAILURE.task) | {"pass": "sideways"}},
            "sideways not in literal",
        ),
        (FAILURE, {"iterations": "3"}, "expected int @ $.iterations"),
        (FAILURE, {"iterations": 1.5}, "expected int @ $.iterations"),
        (FAILURE, {"iterations": True}, "expected int @ $.iterations"),
        (FAILURE, {"rounds_s": [0.1, None]}, "expected float @ $.rounds_s[1]"),
        (FAILURE, {"rounds_s": 0.1}, "expected tuple @ $.rounds_s"),
        (FAILURE, {"memory": {"host": 1}}, "extra fields found (host) @ $.memory"),
        (FAILURE, {"task": {}}, "required field missing @ $.task.architecture"),
        (FAILURE, {"task": {"pass_": "forward"}}, "extra fields found (pass_) @ $.task"),
        (ENVIRONMENT, {"cores": None}, "expected int @ $.cores"),
        (ENVIRONMENT, {"cpu": None}, "expected str @ $.cpu"),
        (ENVIRONMENT, {"cpu": 5}, "expected str @ $.cpu"),
        (REPORT, {"findings": [{}]}, "required field missing @ $.findings[0].at"),
        (REPORT, {"name": ["x"]}, "expected str @ $.name"),
    ],
)
def test_an_entry_with_a_fault_is_refused_with_its_place(entry, changes, fault):
    sentence = refusal(altered(entry, **changes))
    wanted = {ENVIRONMENT: "an environment", FAILURE: "a measurement", REPORT: "a checkreport"}
    assert sentence.startswith(f"journal, line 1: wanted {wanted[entry]}, found ")
    assert fault in sentence


@pytest.mark.parametrize(
    ("entry", "changes", "fault"),
    [
        (MEASUREMENT, {"rounds_s": [0.0]}, "'rounds_s' must be >= 1e-18: 0.0 @ $"),
        (MEASUREMENT, {"rounds_s": [-1.0]}, "'rounds_s' must be >= 1e-18: -1.0 @ $"),
        (MEASUREMENT, {"rounds_s": [float("nan")]}, "'rounds_s' must be >= 1e-18: nan @ $"),
        (MEASUREMENT, {"rounds_s": [float("inf")]}, "'rounds_s' must be <= 1000000000.0: inf @ $"),
        (MEASUREMENT, {"first_s": -1.0}, "'first_s' must be >= 0.0: -1.0 @ $"),
        (MEASUREMENT, {"warmup_s": [1e300]}, "'warmup_s' must be <= 1000000000.0: 1e+300 @ $"),
        (MEASUREMENT, {"iterations": 0}, "'iterations' must be >= 1: 0 @ $"),
        (MEASUREMENT, {"budget_s": 0.0}, "'budget_s' must be > 0.0: 0.0 @ $"),
        (MEASUREMENT, {"load_after": float("nan")}, "'load_after' must be >= 0.0: nan @ $"),
        (MEASUREMENT, {"memory": {"host_bytes": 10**400}}, "'host_bytes' must be <= 92233720368"),
        (MEASUREMENT, {"rounds_s": [10**400]}, "too large"),
        (MEASUREMENT, {"rounds_s": []}, "found 0 of one that is measured"),
        (FAILURE, {"rounds_s": [0.1]}, "found 1 of one that is failed"),
        (ATTAINABLE, {"conv_flops": 0.0}, "'conv_flops' must be > 0.0: 0.0 @ $"),
        (ATTAINABLE, {"matmul_flops": float("inf")}, "'matmul_flops' must be <= 1e+24: inf @ $"),
        (ATTAINABLE, {"copy_bytes_s": float("nan")}, "'copy_bytes_s' must be > 0.0: nan @ $"),
        (ATTAINABLE, {"threads": 0}, "'threads' must be >= 1: 0 @ $"),
        (ENVIRONMENT, {"cores": 0}, "'cores' must be >= 1: 0 @ $"),
        (ENVIRONMENT, {"memory_bytes": 10**400}, "'memory_bytes' must be <= 9223372036854775807"),
    ],
)
def test_a_value_that_no_run_can_have_had_is_refused_with_its_bound(entry, changes, fault):
    sentence = refusal(altered(entry, **changes))
    assert sentence.startswith("journal, line 1: wanted ")
    assert fault in sentence


@pytest.mark.parametrize("key", ["batch", "threads"])
def test_a_task_without_an_image_or_a_thread_is_refused(key):
    task = {**json.loads(journals.line(MEASUREMENT))["task"], key: 0}
    assert f"'{key}' must be >= 1: 0 @ $.task" in refusal(altered(MEASUREMENT, task=task))


def test_a_whole_number_may_stand_for_seconds():
    found = journals.parse(altered(MEASUREMENT, build_s=2, rounds_s=[1, 2.5]), "here")
    assert (found.build_s, found.rounds_s) == (2.0, (1.0, 2.5))


@alike
@given(st.sampled_from(["environment", "check", "measurement"]), anything)
def test_no_line_raises_anything_else(kind, content):
    whole = content if isinstance(content, dict) else {"task": content}
    with pytest.raises(BadRecord):
        journals.parse(json.dumps({"schema": 1, "kind": kind, **whole}).encode(), "here")


def test_a_journal_grows_when_it_is_opened_again(journal):
    Journal(journal.path).append(MEASUREMENT)
    Journal(journal.path).append(ENVIRONMENT)
    want = [ENVIRONMENT, REPORT, FAILURE, MEASUREMENT, ENVIRONMENT]
    assert list(Journal(journal.path).entries()) == want


def test_a_last_line_that_was_cut_off_is_left_out(journal):
    whole = journal.path.read_bytes()
    for end in range(len(whole) + 1):
        journal.path.write_bytes(whole[:end])
        complete = whole[:end].count(b"\n")
        assert list(journal.entries()) == [ENVIRONMENT, REPORT, FAILURE][:complete]


@pytest.mark.parametrize("lost", [1, 2, 30, 10_000])
def test_an_entry_after_a_line_that_was_cut_off_takes_its_place(journal, lost):
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-lost])
    kept = list(journal.entries())
    journal.append(MEASUREMENT)
    assert list(journal.entries()) == [*kept, MEASUREMENT]


def test_a_corrupt_line_is_refused_with_file_and_line(journal):
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(lines[0] + lines[1][:-9] + b"\n" + lines[2])
    found = journal.entries()
    assert next(found) == ENVIRONMENT
    with pytest.raises(BadRecord, match=r"^measurements\.jsonl, line 2: wanted JSON, found "):
        next(found)


def test_a_full_disk_is_not_hidden(journal, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        journal.append(MEASUREMENT)


def test_every_entry_is_synced(journal, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(journal.path.read_bytes().count(b"\n")))
    journal.append(MEASUREMENT)
    journal.append(FAILURE)
    assert seen == [4, 5]


def test_condensed_keeps_what_a_source_states():
    assert condensed(REPORT) == evolve(REPORT, findings=FINDINGS[:3])


@pytest.mark.parametrize("name", ["resnet1202_cifar", "inception_resnet_v2", "googlenet"])
def test_condensed_counts_as_before_in_less_room(name):
    report = check(graph(name), table(name), others=graph)
    kept = condensed(report)
    assert kept.counts == report.counts
    assert kept.errata == report.errata
    assert len(journals.line(kept)) < 80_000
    broken = evolve(report, findings=tuple(evolve(f, status="differs") for f in report.findings))
    assert condensed(broken) == broken


@pytest.mark.parametrize(("step_s", "want"), [(0.5, 8.0), (4.0, 1.0), (1e-3, 4000.0)])
def test_throughput(step_s, want):
    assert MEASUREMENT.throughput(step_s) == pytest.approx(want)


def test_memory_that_nobody_could_tell_is_not_zero():
    assert FAILURE.memory == Memory()
    assert set(records.as_json(Memory()).values()) == {None}


def test_a_label_is_a_few_words():
    assert TASK.label == "vgg16 keras compiled bfloat16 train_step"
    plain = evolve(TASK, mode="default", dtype="float32")
    assert plain.label == "vgg16 keras train_step"


def test_runs_that_begin_at_once_have_a_folder_each(tmp_path):
    path = tmp_path / "reports" / "2026-01-02T030405-cpu" / journals.JOURNAL
    runs = [Journal(path, new=True) for _ in range(3)]
    assert not path.parent.parent.exists(), "a run without an entry leaves nothing"
    for journal in (*runs, *runs):
        journal.append(ENVIRONMENT)
    assert [journal.path.parent.name for journal in runs] == [
        path.parent.name,
        f"{path.parent.name}-2",
        f"{path.parent.name}-3",
    ]
    assert [len(list(journal.entries())) for journal in runs] == [2, 2, 2]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(OSError, match="File exists"):
        Journal(tmp_path / "file" / "run" / journals.JOURNAL, new=True).append(ENVIRONMENT)
