"""A run as data frames: the report's figures as numbers, and clear words for what is no run."""

from __future__ import annotations

import doctest
import json
import re
import warnings

import pytest
from attrs import evolve

import convbench
from convbench.base.units import count, rate, significant, size
from convbench.measure.journal import JOURNAL, Journal
from convbench.measure.records import Memory
from tests.conftest import ROOT
from tests.report.test_report import rows_below
from tests.support import samples
from tests.support.samples import ENTRIES, ENVIRONMENT

PUBLISHED = ROOT / "reports" / "2026-11-22T233545-cpu"
REPORT = (PUBLISHED / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def published():
    return convbench.load_run(PUBLISHED)


def written(folder, *entries):
    for entry in entries:
        Journal(folder / JOURNAL).append(entry)
    return folder


@pytest.mark.parametrize(
    ("pass_", "heading"),
    [("forward", "### Forward (inference)"), ("backward", "### Forward and backward")],
)
def test_throughput_is_the_published_reports(published, pass_, heading):
    frame = published.throughput[published.throughput["pass"] == pass_]
    shown = rows_below(REPORT, heading)
    assert len(frame) == 3 * len(shown) == 24
    for row in shown:
        for found in frame[frame.architecture == row["architecture"]].itertuples():
            half = (found.step_s_high - found.step_s_low) / 2 / found.step_s
            figure = f"{rate(found.images_per_second)} ± {half:.1%}"
            assert row[found.framework].removesuffix(" (unstable)") == figure
            low, high = found.images_per_second_low, found.images_per_second_high
            assert low < found.images_per_second < high
            assert found.images_per_second == found.batch / found.step_s
            assert (low, high) == (found.batch / found.step_s_high, found.batch / found.step_s_low)
            assert (found.processes, found.interval_known) == (1, True)
            number, unit = row[f"first result, {found.framework}"].split()
            assert significant(found.first_result_s * {"s": 1, "ms": 1000}[unit]) == number


def test_memory_structure_and_parity_are_the_published_reports(published):
    told = {(row["architecture"], row["pass"]): row for row in rows_below(REPORT, "## Memory")}
    for found in published.memory.to_dict("records"):
        row = told[found["architecture"], found["pass"]]
        assert row[f"host, {found['framework']}"] == size(found["host_bytes"])
    assert len(published.memory) == 48
    assert published.memory["device_process_bytes"].isna().all()

    told = {row["architecture"]: row for row in rows_below(REPORT, "## Structure")}
    for found in published.structure.itertuples():
        row = told[found.architecture]
        exact = count(found.parameters)
        assert (row["exact"], row[found.framework], row["MACs exact"]) == (
            exact,
            exact,
            count(found.macs),
        )
        assert row["numbers that agree"] == str(found.agree)
        assert row["errata"] == str(found.errata or "")
        assert (found.proven, found.differ) == (True, 0)
    assert len(published.structure) == 24

    told = {(r["architecture"], r["sides"]): r for r in rows_below(REPORT, "## The same function")}
    for found in published.parity.itertuples():
        row = told[found.architecture, f"{found.one} and {found.other}"]
        assert row["outputs"] == f"{found.outputs:.0e}"
        assert row["gradients"] == f"{found.gradients:.0e}"
        assert row["seconds"] == f"{found.seconds:.1f}"
        assert (row["worst node"], found.same) == (found.worst_node, True)
    assert len(published.parity) == len(told) == 16


def test_the_environment_is_the_published_reports(published):
    (found,) = published.environment.to_dict("records")
    told = {row[""]: row["value"] for row in rows_below(REPORT, "## Environment")}
    assert told["started"] == found["started"]
    assert told["CPU"] == f"{found['cpu']}, {found['cores']} cores"
    assert told["memory"] == size(found["memory_bytes"])
    assert told["pytorch"] == f"torch {found['version_torch']}"
    assert told["convbench"] == f"{found['convbench']}, commit {found['commit']}"


def test_what_was_not_measured_has_no_row_and_what_nobody_could_tell_is_absent(tmp_path):
    run = convbench.load_run(written(tmp_path, *ENTRIES))
    assert len(run.throughput) == len(run.memory) == 4
    assert "vgg16 pytorch" not in {*(run.throughput.architecture + " " + run.throughput.framework)}
    peaks = run.memory.set_index(["architecture", "framework", "pass"])["host_bytes"]
    assert peaks["lenet5", "pytorch", "forward"] == 10 * 2**20
    assert peaks.isna()["lenet5", "keras", "forward"]


def test_processes_of_a_task_are_one_row(tmp_path):
    one = samples.measured(samples.task("lenet5", "keras", "forward"), 0.01, 5)
    other = evolve(one, task=evolve(one.task, process=2), rounds_s=(0.04,) * 6)
    other = evolve(other, memory=Memory(host_bytes=7))
    run = convbench.load_run(written(tmp_path, ENVIRONMENT, one, other))
    (found,) = run.throughput.to_dict("records")
    assert (found["processes"], found["rounds"]) == (2, 6)
    assert found["step_s"] == pytest.approx(0.02), "the geometric mean"
    assert run.memory["host_bytes"].to_list() == [7]


def test_a_continued_run_has_an_environment_for_each_beginning(tmp_path):
    later = evolve(ENVIRONMENT, started="2026-01-03", variables=(("OMP_NUM_THREADS", "1"),))
    run = convbench.load_run(written(tmp_path, ENVIRONMENT, later))
    assert run.environment["started"].to_list() == [ENVIRONMENT.started, "2026-01-03"]
    assert run.environment["variable_OMP_NUM_THREADS"].isna().to_list() == [True, False]


def test_a_run_that_measured_nothing_has_the_same_columns(tmp_path, published):
    run = convbench.load_run(written(tmp_path, ENVIRONMENT))
    for name in ("throughput", "memory", "structure", "parity"):
        frame = getattr(run, name)
        assert frame.empty
        assert frame.dtypes.to_dict() == getattr(published, name).dtypes.to_dict()


def test_a_run_is_a_frozen_value(published):
    with pytest.raises(AttributeError):
        published.memory = published.throughput


def refused(folder):
    with pytest.raises(convbench.ConvbenchError) as caught:
        convbench.load_run(folder)
    (sentence,) = str(caught.value).splitlines()
    assert sentence.startswith(str(folder))
    return sentence.removeprefix(str(folder))


def test_no_such_folder_is_said(tmp_path):
    sentence = refused(tmp_path / "absent")
    assert sentence == ": there is no such folder; name one with measurements.jsonl"


def test_a_folder_without_a_journal_is_said(tmp_path):
    said = ": it is not the folder of one run; name "
    assert refused(tmp_path) == f"{said}one with measurements.jsonl"
    (tmp_path / "a-run").mkdir()
    written(tmp_path / "a-run", ENVIRONMENT)
    assert refused(tmp_path) == f"{said}one of its runs: a-run"


def test_an_empty_journal_is_said(tmp_path):
    (tmp_path / JOURNAL).write_bytes(b"")
    said = "/measurements.jsonl: wanted an environment as its first line, found none"
    assert refused(tmp_path) == said


def test_a_line_that_is_none_of_a_journals_is_named(tmp_path):
    written(tmp_path, ENVIRONMENT)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"schema": 2, "kind"\n')
    assert refused(tmp_path).startswith("/measurements.jsonl, line 2: wanted JSON, found ")


def test_a_number_that_no_run_can_have_is_said(tmp_path):
    written(tmp_path, evolve(ENVIRONMENT, order_seed=2**64))
    said = "/measurements.jsonl: wanted numbers of 64 bits at most, found "
    assert refused(tmp_path).startswith(said)


def test_a_last_line_that_was_cut_off_is_left_out_with_a_warning(tmp_path):
    written(tmp_path, *ENTRIES)
    whole = (tmp_path / JOURNAL).read_bytes()
    (last,) = whole.splitlines()[-1:]
    assert json.loads(last)["outcome"] == "measured"
    (tmp_path / JOURNAL).write_bytes(whole[:-20])
    with pytest.warns(UserWarning, match="last line was cut off and is left out") as said:
        run = convbench.load_run(tmp_path)
    assert str(said[0].message).startswith(f"{tmp_path / JOURNAL}: ")
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tmp_path / JOURNAL).write_bytes(whole)
        assert len(convbench.load_run(tmp_path).throughput) == len(run.throughput) + 1


def test_the_pages_example_prints_what_the_page_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    example = doctest.DocTestParser().get_doctest(block, {}, "runs.md", None, None)
    heard = []
    assert doctest.DocTestRunner().run(example, out=heard.append) == (0, 4), "".join(heard)


def test_the_page_names_every_frame(published):
    page = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    for name in ("throughput", "memory", "structure", "parity", "environment"):
        assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE)
    for name in published.throughput.columns:
        assert re.sub("_(low|high)$", "", name) in page
