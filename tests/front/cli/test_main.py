"""The command: what it prints in each form, and its exit status."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from attrs import evolve

from convbench import __version__
from convbench.base.units import count
from convbench.frameworks import registry
from convbench.front.cli import main, shared
from convbench.measure import records
from convbench.measure.machine import environment
from convbench.networks.zoo import names
from convbench.papers import sources
from convbench.papers.sources import tables_folder
from tests.conftest import output, wait_for
from tests.support import fakes, samples

pytestmark = pytest.mark.processes

FAKE = ("--framework", fakes.NAME)
NONE = ("--framework", "none")
ARITHMETIC = {
    "lenet1": (2_578, 0),
    "lenet5": (60_000, 840),
    "lenet5_keras": (44_426, 0),
}  # parameters and buffers


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command in this process."""

    def run_(*words: object) -> Done:
        with pytest.raises(SystemExit) as left:
            main.main([str(word) for word in words])
        return Done(left.value.code, *capsys.readouterr())

    return run_


def command(*words: object, **how: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    line = [sys.executable, "-m", "convbench", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300, **how)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reference tables to break, and the command reads it."""
    folder = tmp_path / "tables"
    shutil.copytree(tables_folder(), folder)
    monkeypatch.setattr(sources, "tables_folder", lambda: folder)
    return folder


def change(file: Path, old: str, new: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert content.count(old) >= 1
    file.write_text(content.replace(old, new, 1), encoding="utf-8")


def one_sentence(done: Done) -> str:
    """What the command complains of, when that is all it says."""
    assert done.status == shared.BROKEN
    (sentence,) = done.err.splitlines()
    assert sentence.startswith("convbench: ")
    return sentence


LIST_KEYS = ["name", "family", "year", "title", "input", "parameters", "buffers", "macs"]
CHECK_KEYS = ["name", "framework", "parameters", "buffers", "macs", "layers", "findings"]
FINDING_KEYS = [
    *("at", "quantity", "source", "printed", "computed", "observed", "status", "note"),
    *("unverified", "where"),
]


def test_list_as_json_has_every_architecture_and_exact_numbers(run):
    done = run("list", "--format", "json")
    rows = json.loads(done.out)
    assert [row["name"] for row in rows] == list(names.ARCHITECTURES)
    assert all(list(row) == LIST_KEYS for row in rows)
    lenet = next(row for row in rows if row["name"] == "lenet5")
    assert lenet == {
        "name": "lenet5",
        "family": "lenet",
        "year": 1998,
        "title": "Gradient-Based Learning Applied to Document Recognition",
        "input": [1, 32, 32],
        "parameters": 60_000,
        "buffers": 840,
        "macs": lenet["macs"],
    }
    assert done.status == shared.OK


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_list_as_text_has_one_row_for_each_architecture(run, form):
    done = run("list", "--format", form)
    head, rule, *rows = done.out.splitlines()
    assert len(rows) == len(names.ARCHITECTURES)
    assert head.startswith("| name" if form == "markdown" else "name")
    assert set(rule) <= set("|- :")
    vgg16 = next(row for row in rows if "vgg16 " in row)
    assert "138,357,544" in vgg16
    assert "2014" in vgg16
    assert "3x224x224" in vgg16


def test_show_has_every_layer_and_what_is_printed_of_it(run):
    done = run("show", "lenet5")
    assert done.status == shared.OK
    for node in names.architecture("lenet5"):
        assert any(line.split()[:1] == [node.address] for line in done.out.splitlines())
    assert "60,000 parameters, 840 buffers, 325,680 multiply-accumulates" in done.out
    totals = [line.split() for line in done.out.splitlines() if line.startswith("network ")]
    assert ["network", "connections", "340,908", "340,908"] in [words[:4] for words in totals]
    assert "Errata of the sources:" in done.out
    assert "prints 840; exact is 0" in done.out


def test_show_as_json_adds_up_to_its_totals(run):
    shown = json.loads(run("show", "lenet5", "--format", "json").out)
    assert list(shown) == ["schema", *LIST_KEYS, "layers", "findings", "implementations"]
    for quantity in ("parameters", "buffers", "macs"):
        assert sum(layer[quantity] for layer in shown["layers"]) == shown[quantity]
    assert [list(f) for f in shown["findings"]] == [FINDING_KEYS] * len(shown["findings"])


def test_show_as_json_has_numbers_and_lists(run):
    shown = json.loads(run("show", "lenet5", "--format", "json").out)
    assert shown["schema"] == shared.JSON_SCHEMA
    found = {(f["at"], f["quantity"], f["source"]): f for f in shown["findings"]}
    connections = found["network", "connections", "lenet-1998"]
    assert connections["computed"] == 340_908
    assert connections["printed"] == {"text": "340,908", "kilo": 1000}
    assert found["c1", "output", "lenet-1998"]["printed"] == [6, 28, 28]
    c1 = next(layer for layer in shown["layers"] if layer["at"] == "c1")
    assert {"quantity": "output", "printed": [6, 28, 28], "status": "agrees"} in c1["printed"]
    tensors = found["c1", "tensors", None]["computed"]
    assert {"name": "bias", "shape": [6], "trainable": True} in tensors


def test_show_as_markdown_is_a_table(run):
    done = run("show", "lenet5", "--format", "markdown")
    assert [line for line in done.out.splitlines() if line.startswith("| c1 ")]


@pytest.mark.parametrize(("words", "who"), [(NONE, None), (FAKE, fakes.NAME)])
def test_check_as_json_has_the_agreed_keys(run, words, who):
    done = run("check", "lenet", *words, "--format", "json")
    assert done.status == shared.OK
    content = json.loads(done.out)
    assert content["schema"] == shared.JSON_SCHEMA
    reports = content["reports"]
    assert [list(report) for report in reports] == [CHECK_KEYS] * 3
    assert {r["name"]: (r["parameters"], r["buffers"]) for r in reports} == ARITHMETIC
    for report in reports:
        assert report["framework"] == who
        assert [list(f) for f in report["findings"]] == [FINDING_KEYS] * len(report["findings"])
        assert any((f["observed"] is not None) == (who is not None) for f in report["findings"])
        assert {f["status"] for f in report["findings"]} <= {"agrees", "erratum", "unstated"}


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_check_as_text_has_a_verdict_for_each(run, form):
    done = run("check", "lenet", *FAKE, "--format", form)
    assert done.status == shared.OK
    rows = [line for line in done.out.splitlines() if fakes.NAME in line]
    assert len(rows) == len(ARITHMETIC)
    assert all("proven" in row for row in rows)
    assert all(count(parameters) in done.out for parameters, _ in ARITHMETIC.values())


def test_check_without_a_framework_checks_what_is_installed(run, monkeypatch):
    for name, place in list(registry.FRAMEWORKS.items()):
        absent = registry.Known(place.module, ("no_such_module",), place.install)
        monkeypatch.setitem(registry.FRAMEWORKS, name, absent)
    done = run("check", "lenet5")
    assert done.status == shared.OK
    assert "integers" in done.out
    assert "no_such_module not installed" in one_sentence(
        run("check", "lenet5", "--framework", "keras")
    )


UNKNOWN = [
    (("show", "lenet6"), "unknown architecture 'lenet6'; did you mean lenet5"),
    (("check", "lenet6"), "unknown architecture 'lenet6'; did you mean"),
    (
        ("check", "lenet5", "--framework", "torch"),
        "unknown framework 'torch'; did you mean pytorch",
    ),
    (("check", "lenet5", "--framework", ","), "framework"),
    (("check", "lenet5", "--framework", "nowhere.at_all"), "nowhere.at_all cannot be used"),
]


@pytest.mark.parametrize(("words", "sentence"), UNKNOWN)
def test_an_unknown_name_is_refused_in_one_sentence(run, words, sentence):
    done = run(*words)
    assert sentence in one_sentence(done)
    assert not done.out


@pytest.mark.parametrize("words", [(), ("lists",), ("list", "--format", "xml"), ("show",)])
def test_a_wrong_command_line_is_refused_with_the_usage(run, words):
    done = run(*words)
    assert done.status == shared.BROKEN
    assert done.err.startswith("usage: convbench")


def test_the_environment_as_json_is_what_a_run_records(run):
    done = run("environment", "--format", "json")
    found = records.structure(json.loads(done.out), records.Environment, "it")
    assert evolve(found, started="") == evolve(environment.environment(Path.cwd()), started="")


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_the_environment_as_text_has_a_row_for_each_fact(run, form):
    done = run("environment", "--format", form)
    here = environment.environment(Path.cwd())
    for name, value in (("Python", here.python), ("system", here.system), *here.packages):
        assert any(name in line and value in line for line in done.out.splitlines())
    assert done.status == 0


def test_the_version_is_told(run):
    assert run("--version") == (shared.OK, f"convbench {__version__}\n", "")


@pytest.mark.parametrize("words", [NONE, FAKE])
def test_a_wrong_digit_is_found_and_its_place_is_named(run, tables, words):
    change(tables / "lenet5.toml", '"340,908"', '"340,918"')
    done = run("check", "lenet", *words)
    assert done.status == shared.DIFFERS
    assert "network: connections: printed 340,918, computed 340,908" in done.out
    assert done.out.count("NOT PROVEN") == 1, "the other one is proven still"
    change(tables / "lenet5.toml", '"340,918"', '"340,908"')
    assert run("check", "lenet", *words).status == shared.OK


def test_an_erratum_that_no_longer_applies_is_a_difference(run, tables):
    change(tables / "lenet5.toml", "should = 0", "should = 1")
    done = run("check", "lenet5", *NONE)
    assert done.status == shared.DIFFERS
    assert "erratum 1 does not apply" in done.out


# What is wrong with a table, and what is said of it.
MALFORMED = {
    "not TOML": ("[[table]]", "[[table", "lenet5.toml: wanted TOML"),
    "no such address": ('at = "c1"', 'at = "c9"', "'c9'"),
    "a number for digits": ('depth = "7"', "depth = 7", "depth"),
    "another name": ('name = "lenet5"', 'name = "lenet"', "name: wanted 'lenet5'"),
    "no such source": ('source = "lenet-1998"', 'source = "lenet-98"', "'lenet-98'"),
}


@pytest.mark.parametrize(("old", "new", "said"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("words", [("check", "lenet5", *NONE), ("show", "lenet5")])
def test_a_malformed_table_is_refused_in_one_sentence(run, tables, words, old, new, said):
    change(tables / "lenet5.toml", old, new)
    sentence = one_sentence(run(*words))
    assert "lenet5.toml" in sentence
    assert said.strip("'") in sentence


@pytest.mark.parametrize("form", shared.FORMATS)
def test_one_broken_table_keeps_no_other_from_the_list(run, tables, form):
    whole = run("list", "--format", form)
    change(tables / "lenet5.toml", 'name = "lenet5"', 'name = "lenet"')
    done = run("list", "--format", form)
    assert done.status == shared.DIFFERS
    (sentence,) = {*done.err.splitlines()} - {*whole.err.splitlines()}
    assert sentence.startswith("convbench: lenet5.toml, name: wanted 'lenet5'")
    assert "vgg16" in done.out
    assert len(done.out.splitlines()) < len(whole.out.splitlines())


def test_a_table_that_is_not_there_is_named(run, tables):
    (tables / "lenet5.toml").unlink()
    assert "lenet5.toml: wanted a file in" in one_sentence(run("check", "lenet5", *FAKE))


def test_a_model_that_is_not_the_papers_differs(run, fault):
    fault("wrong-structure@observe@lenet5")
    done = run("check", "lenet", *FAKE)
    assert done.status == shared.DIFFERS
    assert (
        "lenet5 in tests.support.fakes: output: output: printed 10, computed 10, observed 10x7"
        in done.out
    )
    assert run("check", "lenet", *NONE).status == shared.OK


@pytest.mark.parametrize("what", ["sigkill", "RuntimeError", "garbage"])
def test_a_worker_that_dies_takes_its_architecture_with_it_alone(run, fault, what):
    fault(f"{what}@build@lenet5_keras")
    done = run("check", "lenet5_keras", "lenet5", "mnist_convnet", *FAKE, "--format", "json")
    assert "lenet5_keras" in one_sentence(done)
    assert [report["name"] for report in json.loads(done.out)["reports"]] == [
        "lenet5",
        "mnist_convnet",
    ]


@pytest.mark.parametrize("form", shared.FORMATS)
def test_when_every_worker_dies_each_is_named(run, fault, form):
    fault("exit@build")
    done = run("check", "lenet", *FAKE, "--format", form)
    assert done.status == shared.BROKEN
    assert len(done.err.splitlines()) == len(ARITHMETIC)


def test_report_writes_the_report_its_plot_and_the_index(run, tmp_path):
    folder = samples.write_run(tmp_path)
    assert run("report", folder) == (shared.OK, f"{folder / 'report.md'}\n", "")
    assert (folder / "throughput.png").exists()
    assert folder.name in (folder.parent / "README.md").read_text(encoding="utf-8")


def test_report_of_a_folder_without_a_journal_is_refused(tmp_path):
    done = command("report", tmp_path)
    sentence = one_sentence(Done(done.returncode, done.stdout, done.stderr))
    assert sentence.endswith("it is not the folder of one run; name one with measurements.jsonl")


def test_report_of_a_folder_of_runs_names_them(run, tmp_path):
    (tmp_path / "a-run").mkdir()
    (tmp_path / "a-run" / "measurements.jsonl").write_text("", encoding="utf-8")
    assert one_sentence(run("report", tmp_path)).endswith("name one of its runs: a-run")


@pytest.mark.parametrize("content", ["garbage\n", '{"schema": 99}\n', ""])
def test_report_of_a_broken_journal_is_refused(run, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "measurements.jsonl").write_text(content, encoding="utf-8")
    assert "measurements.jsonl" in one_sentence(run("report", tmp_path / "run"))


@pytest.mark.parametrize("words", [("list",), ("check", "lenet", *NONE, "--format", "json")])
def test_a_reader_that_hangs_up_is_no_crash(words):
    line = [sys.executable, "-m", "convbench", *words]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=300)
    os.close(writing)
    assert done.returncode == shared.HUNG_UP == 128 + signal.SIGPIPE
    assert done.stderr == b""


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_stream_that_is_closed_is_no_crash(closed):
    line = f"{shlex.quote(sys.executable)} -m convbench show lenet5 {closed}>&-"
    done = subprocess.run(line, shell=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == shared.OK
    assert done.stderr == b""
    assert done.stdout.startswith(b"lenet5") is (closed == "2")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk at hand")
def test_a_full_disk_is_told():
    with Path("/dev/full").open("w", encoding="ascii") as full:
        line = [sys.executable, "-m", "convbench", "list"]
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, check=False, timeout=300)
    assert done.returncode == shared.BROKEN
    assert done.stderr == b"convbench: output: No space left on device\n"


def test_ctrl_c_ends_a_check_without_a_traceback(fault, fault_file):
    fault("hang@build")
    line = [sys.executable, "-m", "convbench", "check", "lenet5", *FAKE]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        wait_for(fakes.struck(fault_file))
        os.kill(process.pid, signal.SIGINT)
        _, err = output(process)
    assert process.returncode == shared.INTERRUPTED
    assert err == "convbench: interrupted\n"


def test_bench_takes_pytests_arguments(tmp_path):
    words = ("--bench-framework", fakes.NAME, "--bench-arch=lenet5", "--collect-only", "-q")
    done = command("bench", *words, cwd=tmp_path)
    assert done.returncode == pytest.ExitCode.OK
    assert "test_forward[lenet5-tests.support.fakes]" in done.stdout
    assert not {path.name for path in tmp_path.iterdir()} - {".benchmarks"}
    refused = command("bench", "--bench-arch=lenet6", cwd=tmp_path)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "did you mean" in refused.stderr


def test_ctrl_c_in_a_bench_leaves_time_for_the_report(fault, fault_file, tmp_path):
    fault("hang@step@lenet5_keras")
    words = ["bench", "--bench-framework", fakes.NAME, "--bench-arch=lenet", "-k", "forward"]
    words += ["--bench-seconds=0.001", "--bench-batch=1", "--bench-report=reports"]
    line = [sys.executable, "-m", "convbench", *words]
    with subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for(fakes.struck(fault_file))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, _ = output(process)
    assert process.returncode in (pytest.ExitCode.INTERRUPTED, shared.INTERRUPTED)
    assert "report: " in out
    assert list(tmp_path.glob("reports/*/report.md"))
