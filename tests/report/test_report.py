"""The report: figures that follow from the journal, to the byte, and nothing else."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from convbench.base.errors import ConvbenchError
from convbench.base.text_tables import ABSENT, table
from convbench.checks.parity import Disagreement, Parity
from convbench.front.cases import Case
from convbench.measure.journal import Journal
from convbench.measure.records import Environment, Measurement, Memory, Unchecked
from convbench.report import plots, report
from tests.conftest import ROOT
from tests.support import samples
from tests.support.samples import ENTRIES, ENVIRONMENT, IN_TWO_MODES

GOLDEN = ROOT / "tests" / "golden"
RENEW = "CONVBENCH_RENEW_GOLDEN"  # set it, run this file, and read the difference in review


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return samples.write_sources(tmp_path)


def rows_below(text: str, heading: str) -> list[dict[str, str]]:
    """The first table below a heading, as a mapping from column to cell for each row."""
    lines = text.split(f"{heading}\n", 1)[1].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    cells = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")])
    head, rule, *rows = cells
    assert all(set(cell) <= set("-:") for cell in rule)
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_libraries_and_variables_are_told_where_they_are_known(tables):
    onednn = {"default": (("oneDNN", "off"),), "native_groups": (("oneDNN", "on"),)}
    entries = [
        evolve(e, libraries=onednn[e.task.mode])
        if isinstance(e, Measurement) and e.task.framework == "keras"
        else e
        for e in IN_TWO_MODES
    ]
    entries[0] = evolve(ENVIRONMENT, variables=(("OMP_NUM_THREADS", "1"), ("JAX_PLATFORMS", "cpu")))
    rows = {
        row[""]: row["value"]
        for row in rows_below(report.markdown(entries, "r", tables), "Environment")
    }
    assert rows["libraries of keras"] == "oneDNN off"
    assert rows["libraries of keras native_groups"] == "oneDNN on"
    assert rows["variables"] == "OMP_NUM_THREADS=1, JAX_PLATFORMS=cpu"
    assert "libraries of pytorch" not in rows


@pytest.mark.parametrize(("name", "entries"), [("report", ENTRIES), ("modes", IN_TWO_MODES)])
def test_the_report_is_the_one_that_was_read_in_review(tables, name, entries):
    made = report.markdown(entries, "a-run", tables)
    golden = GOLDEN / f"{name}.md"
    if os.environ.get(RENEW):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_throughput_is_batch_over_median_with_half_its_interval(tables):
    made = report.markdown(ENTRIES, "a-run", tables)
    lenet, vgg = rows_below(made, "### Forward (inference)")
    batch = 4
    assert lenet["pytorch"] == f"{batch / 0.01:.0f} ± 10.0%"
    assert lenet["keras"] == f"{batch / 0.02:.0f} ± 10.0%"
    assert vgg["keras"] == f"{batch / 2.0:.2f} ± 10.0%"
    assert vgg["pytorch"] == ABSENT
    assert lenet["first result, pytorch"] == "1.00 s", "half a second to build, half a first step"
    assert lenet["first result, keras"] == "1.50 s"


def test_figures_that_stand_on_two_rounds_say_so_and_show_all_that_they_know(tables):
    task = samples.task("vgg16", "keras", "forward")
    slow = evolve(samples.measured(task, 2.0, None), rounds_s=(1.9, 2.1), budget_s=1.0)
    made = report.markdown([*ENTRIES[:-1], slow], "a-run", tables)
    lenet, vgg = rows_below(made, "### Forward (inference)")
    assert vgg["keras"] == "2.00 ± 5.0% (2 rounds)"
    assert "rounds" not in lenet["keras"]
    assert made.count("2 rounds: too few for an interval, because the steps are long") == 1
    apart = evolve(slow, rounds_s=(1.0, 3.0))
    made = report.markdown([*ENTRIES[:-1], apart], "a-run", tables)
    assert "2.00 ± 50.0% (2 rounds, unstable)" in made
    assert "too few" not in report.markdown(ENTRIES, "a-run", tables)


def test_a_ratio_is_the_first_over_the_second_and_absent_where_one_is(tables):
    made = report.markdown(ENTRIES, "a-run", tables)
    lenet, vgg = rows_below(made, "### Forward (inference)")
    assert lenet["pytorch / keras"] == "2.00 ± 14.1%", "half the time, twice the images"
    assert vgg["pytorch / keras"] == ABSENT
    swapped = [e for e in ENTRIES if not isinstance(e, Measurement)]
    swapped += [e for e in reversed(ENTRIES) if isinstance(e, Measurement)]
    *_, lenet = rows_below(report.markdown(swapped, "a-run", tables), "### Forward (inference)")
    assert lenet["keras / pytorch"] == "0.500 ± 14.1%"


def without(entries, *sides):
    """The entries without what is known of the parity of two sides."""
    return [e for e in entries if not (isinstance(e, Parity) and e.sides == sides)]


@pytest.mark.parametrize("why", ["not looked into", "not the same", "losses drift"])
def test_there_is_no_ratio_of_what_is_not_proven_to_be_the_same(tables, why):
    made = report.markdown(ENTRIES, "a-run", tables)
    lenet, _ = rows_below(made, "### Forward (inference)")
    assert (lenet["parity"], lenet["pytorch / keras"]) == ("3e-14", "2.00 ± 14.1%")
    entries = without(ENTRIES, "pytorch", "keras")
    found = samples.same("lenet5", "pytorch", "keras")
    if why == "not the same":
        apart = Disagreement("c3", "output", 0.1, 1e-16, ("1", "2"))
        entries.append(evolve(found, outputs=0.1, disagreement=apart))
    elif why == "losses drift":
        entries.append(evolve(found, losses=1e-3))
    lenet, _ = rows_below(report.markdown(entries, "a-run", tables), "### Forward (inference)")
    assert (lenet["parity"], lenet["pytorch / keras"]) == (ABSENT, ABSENT)
    assert lenet["pytorch"] != ABSENT


def test_a_mode_that_is_not_proven_has_no_ratio(tables):
    entries = without(IN_TWO_MODES, "keras", "keras native_groups")
    (row,) = rows_below(report.markdown(entries, "a-run", tables), "## Modes of one framework")
    assert {row[key] for key in ("parity", "forward", "backward")} == {ABSENT}


def test_a_mode_is_set_against_the_default_pass_by_pass_with_its_meaning(tables):
    made = report.markdown(IN_TWO_MODES, "a-run", tables)
    (row,) = rows_below(made, "## Modes of one framework")
    assert row == {
        "architecture": "alexnet",
        "mode": "keras native_groups",
        "parity": "3e-14",
        "forward": "1.50 ± 5.0%",  # 60 ms to 40 ms, whose interval is the ratio's
        "backward": "15.0 ± 4.3%",  # half of 2.88 to 3.12 s, and half of 197 to 203 ms
    }
    assert made.count("Grouped convolutions call TensorFlow's own kernel") == 1
    assert "## Modes" not in report.markdown(ENTRIES, "a-run", tables)


def test_a_mode_has_a_column_of_its_own_and_a_ratio_only_to_the_same_mode(tables):
    made = report.markdown(IN_TWO_MODES, "a-run", tables)
    alexnet, lenet = rows_below(made, "### Forward (inference)")
    assert (alexnet["keras"], alexnet["keras native_groups"]) == ("66.7 ± 0.0%", "100 ± 5.0%")
    assert [column for column in alexnet if "/" in column] == ["pytorch / keras"]
    assert lenet["keras native_groups"] == ABSENT
    memory, *_ = rows_below(made, "## Memory")
    assert memory["host, keras native_groups"] == memory["host, keras"] == "90.0 MiB"
    (structure,) = rows_below(made, "## Structure")
    assert structure["keras native_groups"] == "60,965,224"


def test_a_mode_alone_is_set_against_nothing(tables):
    alone = [e for e in IN_TWO_MODES if not isinstance(e, Measurement) or e.task.mode != "default"]
    assert "## Modes" not in report.markdown(alone, "a-run", tables)
    task = evolve(samples.task("lenet5", "keras", "forward"), mode="native_groups", batch=5)
    made = report.markdown([*IN_TWO_MODES, samples.measured(task, 0.01, None)], "a-run", tables)
    (row,) = rows_below(made, "## Modes of one framework")
    assert row["architecture"] == "alexnet", "another batch is another task"


def test_passes_come_in_their_order_whatever_the_journals(tables):
    made = report.markdown(ENTRIES, "a-run", tables)
    assert made.index("### Forward (inference)") < made.index("### Forward and backward")


def test_what_failed_is_listed_with_its_reason(tables):
    made = report.markdown(ENTRIES, "a-run", tables)
    listed = made.split("## Not measured\n\n")[1].split("\n\n")[0].splitlines()
    assert sorted(listed) == [
        "- lenet5 keras backward: was killed by SIGKILL",
        "- vgg16 pytorch forward: not the paper's",
    ]
    whole = [e for e in ENTRIES if not isinstance(e, Measurement) or e.outcome == "measured"]
    assert "## Not measured" not in report.markdown(whole, "a-run", tables)


def test_a_model_that_could_not_be_checked_is_listed_with_its_reason(tables):
    unchecked = Unchecked(architecture="vgg19", framework="keras", reason="was killed by SIGKILL")
    made = report.markdown((*ENTRIES, unchecked), "a-run", tables)
    below = made.split("## Not measured\n")[1]
    assert "- vgg19 keras structure: was killed by SIGKILL\n" in below


def test_structure_has_what_is_printed_what_is_exact_and_what_each_framework_has(tables):
    made = report.markdown(ENTRIES, "a-run", tables)
    lenet, vgg = rows_below(made, "## Structure")
    assert (lenet["printed"], lenet["exact"]) == ("60,000", "60,000")
    assert (lenet["pytorch"], lenet["keras"]) == ("60,000", "60,000")
    assert lenet["MACs printed"] == "300K (erratum)"
    assert (lenet["numbers that agree"], lenet["errata"], lenet["verdict"]) == ("2", "1", "proven")
    assert vgg["printed"] == vgg["MACs printed"] == ABSENT
    assert (vgg["pytorch"], vgg["keras"]) == ("1 difference", "138,357,544")
    assert vgg["verdict"] == "**not proven**"
    assert made.count("“Gradient-Based Learning” prints 300K; exact is 325,680. Old.") == 1
    assert "vgg16 pytorch: conv1_1: output: computed 64x224x224, observed 64x222x222" in made


def test_memory_that_nobody_could_tell_is_absent_and_never_nought(tables):
    made = report.markdown(ENTRIES, "a-run", tables)
    lenet, vgg, backward = rows_below(made, "## Memory")
    assert (lenet["host, pytorch"], lenet["host, keras"]) == ("10.0 MiB", ABSENT)
    assert (vgg["host, pytorch"], vgg["host, keras"]) == (ABSENT, "700 MiB")
    assert (backward["pass"], backward["host, keras"]) == ("backward", ABSENT)
    assert "There is no GPU in this run" in made
    assert not any("allocated" in column for column in lenet)


def test_device_memory_is_told_apart_by_who_counts_it(tables):
    memory = Memory(host_bytes=0, device_allocated_bytes=3 * 2**20, device_process_bytes=2**30)
    task = evolve(samples.task("lenet5", "keras", "forward"), device="cuda")
    entry = evolve(samples.measured(task, 0.01, None), memory=memory)
    made = report.markdown([ENVIRONMENT, entry], "a-run", tables)
    (row,) = rows_below(made, "## Memory")
    assert row["host, keras"] == "0 B", "nought that was measured is nought"
    assert (row["allocated, keras"], row["reserved, keras"]) == ("3.00 MiB", ABSENT)
    assert row["NVML, keras"] == "1.00 GiB"
    assert "There is no GPU" not in made


def test_the_environment_is_all_there(tables):
    rows = rows_below(report.markdown(ENTRIES, "a-run", tables), "## Environment")
    told = {row[""]: row["value"] for row in rows}
    assert told["CPU"] == "AMD EPYC, 8 cores"
    assert told["memory"] == "16.0 GiB"
    assert told["convbench"] == "0.1.0, commit 0123456789ab"
    assert (told["pytorch"], told["keras"]) == ("pytorch 1.0", "keras 1.0")
    assert (told["batch"], told["threads"], told["device"]) == ("4", "8", "cpu")
    assert told["load average"] == "0.50 to 1.25 during the run"


@pytest.mark.parametrize("entries", [ENTRIES, IN_TWO_MODES], ids=["default", "modes"])
def test_the_command_that_repeats_the_run_is_one_that_pytest_takes(tables, pytester, entries):
    made = report.markdown(entries, "a-run", tables)
    (line,) = (line for line in made.splitlines() if line.startswith("pytest "))
    _, folder, *options = line.split()
    names = [*options, "--collect-only", "-q", "-p", "no:hypothesispytest"]
    result = pytester.runpytest_inprocess(ROOT / folder, f"--rootdir={pytester.path}", *names)
    assert result.ret == pytest.ExitCode.OK
    for entry in entries:
        if isinstance(entry, Measurement):
            task = entry.task
            case = Case(task.architecture, task.framework, task.mode)
            assert f"test_{task.pass_}[{case.id}]" in str(result.stdout)


def written(folder: Path) -> dict[str, bytes]:
    files = [*folder.iterdir(), folder.parent / "README.md"]
    return {file.name: file.read_bytes() for file in files}


def test_precisions_are_in_the_command_and_set_against_single(tables):
    task = evolve(samples.task("lenet5", "keras", "forward"), dtype="bfloat16")
    made = report.markdown([*ENTRIES, samples.measured(task, 0.01, None)], "a-run", tables)
    assert "--bench-dtype float32,bfloat16" in made
    (row,) = rows_below(made, "## Modes of one framework")
    assert (row["mode"], row["parity"]) == ("keras bfloat16", "rounding")
    assert row["forward"] == "2.00 ± 14.1%"
    assert "Half precisions are mixed" in made


def test_frameworks_stand_in_the_order_in_which_they_were_asked_for(tables):
    asked = evolve(ENVIRONMENT, chosen=("pytorch", "keras"), order_seed=1)
    entries = [asked, *[e for e in reversed(ENTRIES) if not isinstance(e, Environment)]]
    lenet, *_ = rows_below(report.markdown(entries, "a-run", tables), "### Forward (inference)")
    assert lenet["pytorch / keras"] == "2.00 ± 14.1%", "whichever ran first"


def test_an_interval_wider_than_its_figure_is_no_number(tables):
    wild = samples.measured(samples.task("lenet5", "keras", "forward"), 1.0, None)
    wild = evolve(wild, rounds_s=(0.01, 1.0, 0.01, 1.0, 0.01, 0.01))
    made = report.markdown([ENVIRONMENT, wild], "a-run", tables)
    assert "400 ± more than 100% (unstable)" in made


def test_a_search_and_a_limit_are_in_the_command(tables):
    limited = evolve(ENVIRONMENT, memory_limit_bytes=600 * 10**6)
    found = evolve(samples.measured(samples.task("lenet5", "keras", "forward"), 0.01, None))
    found = evolve(found, batch_search="batch 4 fits, 5 does not")
    made = report.markdown([limited, found], "a-run", tables)
    assert "--bench-batch max" in made
    assert "--bench-memory-limit 600000000B" in made
    assert re.search(r"memory limit of a task +\| 572 MiB", made)


def test_a_name_from_a_journal_is_one_word_of_the_command(tables):
    task = samples.task("lenet5; rm -rf $(pwd)\n#", "keras", "forward")
    made = report.markdown([ENVIRONMENT, samples.measured(task, 0.01, None)], "a-run", tables)
    assert "--bench-arch 'lenet5; rm -rf $(pwd)' --bench-framework" in made


def test_written_twice_it_is_the_same_to_the_byte(tmp_path, tables):
    folder = samples.write_run(tmp_path)
    assert report.write(folder, tables) == folder / "report.md"
    first = written(folder)
    assert set(first) == {"measurements.jsonl", "report.md", "throughput.png", "README.md"}
    report.write(folder, tables)
    assert written(folder) == first


def test_written_by_another_process_it_is_the_same_to_the_byte(tmp_path, tables):
    folder = samples.write_run(tmp_path)
    report.write(folder, tables)
    first = written(folder)
    code = "import sys, pathlib; from convbench.report import report; "
    code += "report.write(*map(pathlib.Path, sys.argv[1:]))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    command = [sys.executable, "-c", code, str(folder), str(tables)]
    subprocess.run(command, check=True, env=environment)
    assert written(folder) == first


def test_the_plot_is_large_enough_to_read_and_grows_with_the_run(tmp_path, tables):
    sizes = {}
    for name, entries in {"few": ENTRIES[-1:], "all": ENTRIES[1:]}.items():
        folder = samples.write_run(tmp_path / name, (ENVIRONMENT, *entries))
        report.write(folder, tables)
        header = (folder / "throughput.png").read_bytes()[:24]
        assert header.startswith(b"\x89PNG")
        sizes[name] = struct.unpack(">II", header[16:])
    assert sizes["few"][0] > 600
    assert sizes["few"][1] > 150
    assert sizes["all"][0] > sizes["few"][0], "a panel for each pass"
    assert sizes["all"][1] > sizes["few"][1], "a line for each architecture"


def test_a_run_that_measured_nothing_has_a_report_without_a_plot(tmp_path, tables):
    for name, entries in {"killed": ENTRIES[:1], "checked": ENTRIES[:5]}.items():
        folder = samples.write_run(tmp_path / name, entries)
        text = report.write(folder, tables).read_text(encoding="utf-8")
        assert "## Environment" in text
        assert "## Throughput" not in text
        assert "throughput.png" not in text
        assert not (folder / "throughput.png").exists()


def test_an_empty_journal_is_refused_in_one_sentence(tmp_path, tables):
    folder = samples.write_run(tmp_path)
    (folder / "measurements.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(ConvbenchError, match=r"measurements\.jsonl"):
        report.write(folder, tables)


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path, tables):
    folder = samples.write_run(tmp_path)
    journal = Journal(folder / "measurements.jsonl")
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-20])
    report.write(folder, tables)
    cut = (folder / "report.md").read_text(encoding="utf-8")
    assert cut == report.markdown(ENTRIES[:-1], folder.name, tables)


def test_the_index_has_one_line_for_each_run_the_newest_first(tmp_path, tables):
    old = samples.write_run(tmp_path)
    new = old.with_name("2026-02-02T000000-cuda")
    journal = Journal(new / "measurements.jsonl")
    journal.append(evolve(ENVIRONMENT, gpu="H200"))
    report.write(old, tables)
    rows = rows_below((old.parent / "README.md").read_text(encoding="utf-8"), "# Reports")
    assert [row["run"] for row in rows] == [f"[{f.name}]({f.name}/report.md)" for f in (new, old)]
    assert [(row["GPU"], row["measured"]) for row in rows] == [("H200", "0"), (ABSENT, "4")]


@pytest.mark.parametrize("name", ["run/report.md", "README.md"])
def test_what_cannot_be_written_anew_stays_as_it_was(tmp_path, tables, monkeypatch, name):
    def half(path, text, **_):
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = samples.write_run(tmp_path)
    file = folder.parent / name.replace("run", folder.name)
    file.write_bytes(b"what was there")
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space"):
        report.write(folder, tables) if "report" in name else report.write_index(folder.parent)
    assert file.read_bytes() == b"what was there"
    assert not list(tmp_path.rglob(".*")), "nothing is left beside it"


def test_a_run_whose_journal_cannot_be_read_does_not_stop_the_others(tmp_path, tables):
    folder = samples.write_run(tmp_path)
    for name, content in {"empty": "", "garbage": "garbage\n", "newer": '{"schema": 99}\n'}.items():
        (folder.with_name(name)).mkdir()
        (folder.with_name(name) / "measurements.jsonl").write_text(content, encoding="utf-8")
    (folder.with_name("folder") / "measurements.jsonl").mkdir(parents=True)
    report.write(folder, tables)
    index = (folder.parent / "README.md").read_text(encoding="utf-8")
    assert f"[{folder.name}]" in index
    assert index.count("cannot be read: ") == 4


MARKUP = ["<b>bold</b>", "a|b", "`code`", "two\nlines", "\n\n# heading", "\\|", "<script>"]


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_from_outside_is_shown_and_does_nothing(tables, markup):
    failed = Measurement(
        task=samples.task("lenet5", "pytorch", "forward"), outcome="failed", reason=markup
    )
    environment = evolve(ENVIRONMENT, cpu=markup, commit=markup)
    made = report.markdown([environment, failed], "a-run", tables)
    plain = report.markdown([ENVIRONMENT, evolve(failed, reason="x")], "a-run", tables)
    assert "<" not in made
    assert len(made.splitlines()) == len(plain.splitlines())
    assert len(rows_below(made, "## Environment")) == len(rows_below(plain, "## Environment"))
    lines = made.splitlines()
    assert [x for x in lines if x[:1] == "#"] == [x for x in plain.splitlines() if x[:1] == "#"]


def test_a_name_from_outside_is_escaped_like_a_reason(tables):
    task = evolve(samples.task("lenet5", "pytorch", "forward"), architecture="<b>|")
    failed = Measurement(task=task, outcome="failed", reason="why")
    for entry in (failed, samples.measured(task, 0.1, 1), evolve(samples.VGG, name="<b>|")):
        made = report.markdown([ENVIRONMENT, entry], "a-run", tables)
        shown = made.split("## How it was measured")[0]  # a command is shown as it is
        assert "<b>" not in shown


@pytest.mark.parametrize("markup", ["[a](b)", "![a](b)", "*a*", "__init__"])
def test_neither_a_link_nor_emphasis_is_made_of_a_reason(tables, markup):
    task = samples.task("lenet5", "pytorch", "forward")
    failed = Measurement(task=task, outcome="failed", reason=f"see {markup} there")
    assert markup not in report.markdown([ENVIRONMENT, failed], "a-run", tables)


@pytest.mark.parametrize("name", ["$\\frac$", "a$b$c", "\\", "\udc80"])
def test_a_name_in_a_plot_is_drawn_as_it_is(tmp_path, tables, name):
    task = samples.task(name, name, "forward")
    folder = samples.write_run(tmp_path, (ENVIRONMENT, samples.measured(task, 0.01, 1)))
    report.write(folder, tables)
    assert (folder / "throughput.png").exists()


def test_a_source_that_is_not_in_the_bibliography_is_named_by_its_key(tables):
    *_, erratum = samples.lenet("keras").findings
    unknown = evolve(samples.lenet("keras"), findings=(evolve(erratum, source="lost-1998"),))
    assert "“lost-1998” prints 300K" in report.markdown((ENVIRONMENT, unknown), "a-run", tables)


def test_a_table_has_numbers_and_only_numbers_to_the_right():
    rows = [{"name": "a", "n": "1,000", "mixed": "1"}, {"name": "b", "n": ABSENT, "mixed": "x"}]
    (first, *_), numbers, mixed = zip(
        *(line.strip("|").split("|") for line in table(rows).splitlines()[2:]), strict=True
    )
    assert first.startswith(" a")
    assert numbers[1].endswith(f"{ABSENT} ")
    assert mixed[0].startswith(" 1")


def test_a_row_without_a_column_has_a_dash_there():
    rows = [{"name": "a", "n": "1"}, {"name": "b"}]
    assert table(rows, "table").splitlines()[-1].split() == ["b", ABSENT]


def test_the_plot_shows_the_figures_of_the_tables(tmp_path, tables, monkeypatch):
    seen = {}

    def draw(panels, file):
        seen.update(panels)
        file.touch()

    monkeypatch.setattr(plots, "throughput", draw)
    report.write(samples.write_run(tmp_path, IN_TWO_MODES), tables)
    slow = seen["Forward and backward"][0]
    assert (slow.architecture, slow.framework) == ("alexnet", "keras")
    rates = slow.images_per_s  # 4 images in 2.88 and in 3.12 s
    assert [rates.low, rates.median, rates.high] == pytest.approx([4 / 3.12, 4 / 3, 4 / 2.88])


def test_numbers_of_points_that_share_a_line_stand_apart(tmp_path, tables, monkeypatch):
    places = []

    def annotate(self, text, *_, ha, va, **how):
        places.append((text, ha, va))
        return plain(self, text, *_, ha=ha, va=va, **how)

    plain = plots.Axes.annotate
    monkeypatch.setattr(plots.Axes, "annotate", annotate)
    entries = [e for e in IN_TWO_MODES if not isinstance(e, Measurement) or e.rounds_s[0] < 1]
    report.write(samples.write_run(tmp_path, tuple(entries)), tables)
    line = {text: place for text, *place in places}
    assert line["66.7"] == ["right", "center"]
    assert line["80.0"] == ["center", "bottom"]
    assert line["100"] == ["left", "center"]


def test_every_framework_is_in_the_legend_whatever_it_was_measured_in(
    tmp_path, tables, monkeypatch
):
    named = []

    def legend(self, handles, labels, **how):
        named.extend(labels)
        return plain(self, handles, labels, **how)

    plain = plots.Figure.legend
    monkeypatch.setattr(plots.Figure, "legend", legend)
    entries = [samples.measured(samples.task("lenet5", "pytorch", "forward"), 0.1, 1)]
    entries += [samples.measured(samples.task("lenet5", "keras", "backward"), 0.1, 1)]
    report.write(samples.write_run(tmp_path, (ENVIRONMENT, *entries)), tables)
    assert sorted(named) == ["keras", "pytorch"]
