"""Networks of the user's own: found, proven, timed and reported like convbench's; or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convbench.base.errors import BadOption, TableError
from convbench.measure.run import ask_check
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Launcher
from convbench.networks.zoo.names import architecture, family, names, select
from convbench.papers import own_networks
from convbench.papers.sources import read_sources, tables_folder
from convbench.report import report
from tests.support import fakes
from tests.support.benches import bench, measurements, run_folder, text

NETS = """\
from convbench import Builder, architecture
from convbench.networks.ops import Conv, Dense, Flatten, Softmax


def small(name):
    net = Builder(name, (1, 8, 8))
    net.chain(
        net.input,
        ("conv", Conv(4, 3)),
        ("flatten", Flatten()),
        ("fc", Dense(3)),
        ("softmax", Softmax()),
    )
    return net.graph()


def known(name):
    return architecture("lenet5_keras", classes=3)


def refuses(name):
    raise ValueError("the cat sat on it\\nand stays")


def leaves(name):
    raise SystemExit(3)


def fits_not(name):
    net = Builder(name, (1, 8, 8))
    net("conv", Conv(4, 9), net.input)


def takes_nothing():
    pass


def returns_nothing(name):
    pass


number = 3
"""
PARAMETERS = 4 * (9 + 1) + (4 * 6 * 6 + 1) * 3

TABLE = """\
name = "small"
paper = "our-notes"
graph = "nets:small"

[[table]]
source = "our-notes"
place = "page 1"
rows = [{ at = "network", parameters = "475" }, { at = "fc", parameters = "430" }]

[[erratum]]
at = "fc"
quantity = "parameters"
source = "our-notes"
printed = "430"
should = 435
why = "a slip of the pen"
"""

BIBLIOGRAPHY = """\
[our-notes]
title = "Our Notes"
authors = "we"
year = 2026
where = "a drawer"
"""


def write(folder, nets=NETS, tables=None):
    """A folder as a user has it: nets.py, and tables beside it."""
    (folder / "tables").mkdir(parents=True)
    (folder / "nets.py").write_text(nets, encoding="utf-8")
    for name, content in {"small": TABLE, "sources": BIBLIOGRAPHY, **(tables or {})}.items():
        (folder / "tables" / f"{name}.toml").write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    yield write(tmp_path)
    sys.modules.pop("nets", None)


def own(home):
    return own_networks.own(home / "tables", "--tables", home)


def test_within_a_run_they_are_architectures_like_all_others(home):
    before, path = names(), list(sys.path)
    with own_networks.joined(own(home)):
        net = architecture("small")
        assert (net.name, net.parameters) == ("small", PARAMETERS)
        assert family("small") == "nets"
        assert select(["nets"]) == ("small",)
        assert select(["all"]) == (*before, "small")
        assert architecture("small", input=(1, 9, 9), classes=5).output.output == (5,)
    assert names() == before
    assert sys.path == path


def test_a_known_network_with_other_classes_can_go_by_a_name_of_ones_own(home):
    change(home, 'graph = "nets:small"', 'graph = "nets:known"')
    with own_networks.joined(own(home)):
        net = architecture("small")
    assert (net.name, net.output.output) == ("small", (3,))


def test_nothing_is_imported_before_it_is_asked_for(home):
    (home / "nets.py").write_text("raise SystemExit", encoding="utf-8")
    with own_networks.joined(own(home)):
        assert "small" in names()
        assert "nets" not in sys.modules


def test_sources_of_both_folders_can_be_cited(home):
    sources = read_sources(*own_networks.folders(tables_folder(), own(home)))
    assert {"our-notes", "vgg-2014"} <= set(sources)


def test_without_tables_of_ones_own_there_are_convbenchs():
    before = names()
    with own_networks.joined(None):
        assert names() == before
    assert own_networks.folders(Path("tables"), None) == (Path("tables"),)


def change(home, old, new):
    file = home / "tables" / "small.toml"
    content = file.read_text(encoding="utf-8")
    assert old in content
    file.write_text(content.replace(old, new), encoding="utf-8")


# What is wrong with the table, and what is said before anything runs.
BROKEN_TABLES = {
    "no function": (
        'graph = "nets:small"\n',
        "",
        "small.toml: wanted the key 'graph', found ['erratum', 'name', 'paper', 'table']; "
        "reference_tables/README.md has the form",
    ),
    "no function in its name": (
        "nets:small",
        "nets.small",
        "small.toml, graph: wanted module:function, such as nets.small:describe, "
        "found 'nets.small'; reference_tables/README.md has the form",
    ),
    "code for a function": (
        "nets:small",
        "nets:small(3)",
        "small.toml, graph: wanted module:function",
    ),
    "no such source": (
        'paper = "our-notes"',
        'paper = "their-notes"',
        "small.toml, paper: wanted a source that is a key of reference_tables/sources.toml or "
        "tables/sources.toml, found 'their-notes'; did you mean our-notes?",
    ),
    "a source in neither": (
        'source = "our-notes"\nplace',
        'source = "xyz"\nplace',
        "found 'xyz'; add it there",
    ),
    "another name": (
        'name = "small"',
        'name = "large"',
        "small.toml, name: wanted 'small', the name of the file, found 'large'",
    ),
}


@pytest.mark.parametrize(("old", "new", "sentence"), BROKEN_TABLES.values(), ids=BROKEN_TABLES)
def test_a_broken_table_is_refused_before_anything_runs(home, old, new, sentence):
    change(home, old, new)
    with pytest.raises(TableError) as caught, own_networks.joined(own(home)):
        pass
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["vgg16", "vgg", "all", "headline"])
def test_a_name_that_means_another_network_is_refused(home, name):
    (home / "tables" / f"{name}.toml").write_text(TABLE, encoding="utf-8")
    with pytest.raises(TableError) as caught, own_networks.joined(own(home)):
        pass
    assert str(caught.value) == (
        f"{name}.toml, name: wanted a name that means nothing else, found {name!r}, which "
        "convbench has already; rename file and network"
    )
    assert "small" not in names()


def test_a_name_that_no_option_could_name_is_refused(home):
    (home / "tables" / "a,b.toml").write_text(TABLE, encoding="utf-8")
    with pytest.raises(TableError, match="wanted a name of letters, digits and _, found 'a,b'"):
        own_networks.joined(own(home)).__enter__()


def test_a_source_that_convbench_has_is_refused(home):
    file = home / "tables" / "sources.toml"
    file.write_text(BIBLIOGRAPHY.replace("our-notes", "vgg-2014"), encoding="utf-8")
    with pytest.raises(TableError) as caught:
        read_sources(*own_networks.folders(tables_folder(), own(home)))
    assert str(caught.value) == (
        "sources.toml, [vgg-2014]: wanted a key that reference_tables/sources.toml does not have, "
        "found 'vgg-2014'; cite that one, or take another key"
    )


@pytest.mark.parametrize("folder", ["nowhere", "nets.py", ".", "x" * 300])
def test_a_folder_without_tables_is_refused(home, folder):
    with pytest.raises(BadOption, match="--tables must be a folder with a table for each network"):
        own_networks.own(home / folder, "--tables", home)


# What the table names, and what is said when the network is asked for.
BROKEN_FUNCTIONS = {
    "nests:small": (
        "small.toml, graph: wanted a module that can be imported, found nests, which raises "
        "ModuleNotFoundError: No module named 'nests'; put it into the current folder, pytest's "
        "rootdir or on the Python path"
    ),
    "nets:smal": "small.toml, graph: wanted a function smal in {home}/nets.py, found none; "
    "did you mean small?",
    "nets:number": "small.toml, graph: wanted a function number in {home}/nets.py, found none",
    "nets:returns_nothing": (
        "small.toml, graph: wanted a function that describes small, found nets:returns_nothing, "
        "which returns None; return the Builder's graph()"
    ),
    "nets:refuses": (
        "small.toml, graph: wanted a function that describes small, found nets:refuses, which "
        "raises ValueError: the cat sat on it; see what "
        "python -c 'import nets; nets.refuses(\"small\")' says"
    ),
    "nets:leaves": "found nets:leaves, which raises SystemExit: 3; see what python -c",
    "nets:takes_nothing": "found nets:takes_nothing, which raises TypeError: takes_nothing() takes",
    "nets:fits_not": "which raises ShapeMismatch: small.conv: wants at least 9x9 positions",
}


@pytest.mark.parametrize(("target", "sentence"), BROKEN_FUNCTIONS.items())
def test_a_broken_function_is_refused_when_it_is_asked_for(home, target, sentence):
    change(home, "nets:small", target)
    with own_networks.joined(own(home)), pytest.raises(TableError) as caught:
        architecture("small")
    assert sentence.format(home=home) in str(caught.value)


@pytest.mark.parametrize(
    ("nets", "said"),
    [
        ("import no_such_thing", "No module named 'no_such_thing'; see what python -c 'import"),
        ("1 / 0", "which raises ZeroDivisionError: division by zero; see what"),
        ("raise SystemExit", "found nets, which raises SystemExit; see what"),
        ("def small(", "which raises SyntaxError: '(' was never closed"),
    ],
)
def test_a_module_that_does_not_import_is_refused(home, nets, said):
    (home / "nets.py").write_text(nets, encoding="utf-8")
    with own_networks.joined(own(home)), pytest.raises(TableError) as caught:
        architecture("small")
    assert str(caught.value).startswith(
        "small.toml, graph: wanted a module that can be imported, found nets, which raises "
    )
    assert said in str(caught.value)


@pytest.mark.processes
@pytest.mark.parametrize("spawn", [False, True])
def test_a_worker_knows_them_wherever_it_runs(home, monkeypatch, tmp_path_factory, spawn):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    launcher = Launcher(fakes.NAME, spawn=spawn, own=own(home))
    with launcher, launcher.open("small") as child:
        checked = ask_check(child, "small", tables_folder())
    assert (checked.proven, checked.parameters) == (True, PARAMETERS)
    assert "small" not in names()


@pytest.mark.processes
def test_a_worker_refuses_what_is_broken_and_goes_on(home):
    change(home, "nets:small", "nets:refuses")
    with Launcher(fakes.NAME, own=own(home)) as launcher, launcher.open("small") as child:
        reply = child.ask(messages.Check("small", str(tables_folder())), messages.Checked, "x")
        assert reply.why.startswith("small.toml, graph: wanted a function that describes small")
        assert ask_check(child, "lenet5", tables_folder()).proven


def command(home, *words):
    line = [sys.executable, "-m", "convbench", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300, cwd=home)


@pytest.mark.processes
def test_the_commands_know_them(home):
    tables = ("--tables", "tables", "--format", "json")
    rows = json.loads(command(home, "list", *tables).stdout)
    assert [row["name"] for row in rows] == [*names(), "small"]
    assert rows[-1] | {"macs": 0} == {
        "name": "small",
        "family": "nets",
        "year": 2026,
        "title": "Our Notes",
        "input": [1, 8, 8],
        "parameters": PARAMETERS,
        "buffers": 0,
        "macs": 0,
    }
    assert json.loads(command(home, "show", "small", *tables).stdout)["name"] == "small"
    told = command(home, "check", "nets", "--framework", fakes.NAME, *tables)
    (checked,) = json.loads(told.stdout)["reports"]
    assert (checked["name"], checked["framework"]) == ("small", fakes.NAME)
    (erratum,) = json.loads(command(home, "errata", "small", *tables).stdout)["errata"]
    assert (erratum["source"], erratum["exact"]) == ("Our Notes", 435)
    sides = ("--framework", fakes.NAME, "--mode", fakes.OTHER_MODE)
    (parity,) = json.loads(command(home, "parity", "small", *sides, *tables).stdout)
    assert (parity["name"], parity["same"]) == ("small", True)


@pytest.mark.processes
@pytest.mark.parametrize(
    "words", [("show", "small"), ("check", "small"), ("errata", "small"), ("parity", "small")]
)
def test_a_command_refuses_what_is_broken_in_one_sentence(home, words):
    change(home, "nets:small", "nets:refuses")
    done = command(home, *words, "--tables", "tables")
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("convbench: small.toml, graph: wanted a function that describes")


@pytest.mark.processes
def test_one_that_is_broken_keeps_no_other_from_the_list(home):
    change(home, "nets:small", "nets:refuses")
    done = command(home, "list", "--tables", "tables")
    assert done.returncode == 1
    assert "vgg16" in done.stdout
    assert done.stderr.startswith("convbench: small.toml, graph: ")


OWN = ("--bench-tables", "tables", "--bench-arch")


@pytest.mark.processes
def test_they_are_timed_proven_and_reported(pytester):
    write(pytester.path)
    modes = ("--bench-mode", f"default,{fakes.OTHER_MODE}", "--bench-report", "r")
    result = bench(pytester, *OWN, "small", *modes)
    result.assert_outcomes(passed=7, deselected=1)
    assert {m.task.architecture for m in measurements(pytester.path / "r")} == {"small"}
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    assert "- **small** fc, parameters: “Our Notes” prints 430; exact is 435." in written
    assert "--bench-tables tables\n" in written
    assert "small" not in names()
    again = run_folder(pytester.path / "r"), tables_folder(), pytester.path / "tables"
    assert report.write(*again).read_text(encoding="utf-8") == written


@pytest.mark.processes
def test_a_report_names_their_folder_only_where_they_are_in_it(pytester):
    write(pytester.path)
    bench(pytester, *OWN, "lenet5", "-k", "forward", "--bench-report", "r")
    written = (run_folder(pytester.path / "r") / "report.md").read_text(encoding="utf-8")
    assert "lenet5" in written
    assert "--bench-tables" not in written


@pytest.mark.processes
def test_all_means_them_too(pytester):
    write(pytester.path)
    result = bench(pytester, *OWN, "all", "--collect-only", "-q", "-k", "structure")
    assert f"test_structure[small-{fakes.NAME}]" in text(result)
    assert f"test_structure[vgg16-{fakes.NAME}]" in text(result)


@pytest.mark.processes
def test_functions_are_found_in_the_rootdir(pytester):
    write(pytester.path / "project")
    tables = ("--bench-tables", "project/tables", "--bench-arch", "small")
    result = bench(pytester, *tables, f"--rootdir={pytester.path / 'project'}", "-k", "structure")
    result.assert_outcomes(passed=1, deselected=3)


@pytest.mark.processes
def test_a_broken_table_ends_pytest_with_one_sentence(pytester):
    write(pytester.path, tables={"small": TABLE.replace('graph = "nets:small"\n', "")})
    result = bench(pytester, *OWN, "lenet5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: small.toml: wanted the key 'graph', found *"])
    assert "Traceback" not in text(result)


@pytest.mark.processes
def test_a_folder_that_is_not_there_ends_pytest_with_one_sentence(pytester):
    result = bench(pytester, "--bench-tables", "nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    found = f"--bench-tables must be a folder with a table for each network, but is '{os.sep}"
    assert found in text(result)


@pytest.mark.processes
def test_a_broken_function_fails_its_own_tests_alone(pytester):
    write(pytester.path, tables={"small": TABLE.replace("nets:small", "nets:refuses")})
    result = bench(pytester, *OWN, "small,lenet5", "-k", "structure or forward")
    result.assert_outcomes(passed=2, failed=2, deselected=2 + 1)
    assert "small.toml, graph: wanted a function that describes small" in text(result)
    assert "Traceback" not in text(result)
