"""The documents' examples, taken from the documents and run."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from convbench.networks.zoo.names import architecture
from tests.conftest import ROOT
from tests.support import fakes

OWN_NETWORKS = (ROOT / "docs" / "own_networks.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(OWN_NETWORKS)
FILES = {
    head.removeprefix("# ").strip(): text
    for _, text in BLOCKS
    for head in text.splitlines()[:1]
    if head.startswith("# ")
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with every file that the document shows."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def shell(project: Path, line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """What a line of the document does in that folder."""
    program, *words = line.split()
    assert program == "convbench"
    command = [sys.executable, "-m", program, *words, *more]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_document_shows_a_function_a_table_and_a_source():
    assert set(FILES) == {
        *("nets.py", "tables/strided.toml", "tables/sources.toml"),
        "nets_known.py",
    }


@pytest.mark.processes
@pytest.mark.pytorch
@pytest.mark.keras
def test_the_command_prints_what_the_document_shows(project):
    ((_, session),) = [block for block in BLOCKS if block[0] == "console"]
    line, _, shown = session.removeprefix("$ ").partition("\n")
    done = shell(project, line)
    assert done.stdout == shown
    assert done.returncode == 0


@pytest.mark.processes
def test_the_benchmark_runs(project):
    (line,) = [text.strip() for language, text in BLOCKS if not language]
    quick = ("--bench-framework", fakes.NAME, "--bench-seconds", "0.001", "--bench-batch", "1")
    done = shell(project, line, *quick, "--bench-device", "cpu", "--bench-threads", "1")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert "strided forward" in done.stdout


@pytest.mark.processes
@pytest.mark.parametrize("command", ["list", "show strided", "errata strided", "parity strided"])
def test_the_other_commands_that_it_names_take_the_tables(project, command):
    more = ("--framework", fakes.NAME, "--mode", fakes.OTHER_MODE) if "parity" in command else ()
    done = shell(project, f"convbench {command} --tables tables", *more)
    assert (done.returncode, done.stderr) == (0, "")
    assert "strided" in done.stdout


def test_the_session_in_python_says_the_truth():
    (session,) = [text for _, text in BLOCKS if text.startswith(">>> ")]
    example = doctest.DocTestParser().get_doctest(session, {}, "own_networks.md", None, None)
    assert doctest.DocTestRunner().run(example) == doctest.TestResults(0, 3)


def test_the_known_network_with_other_classes_is_what_it_says():
    made: dict[str, object] = {}
    exec(compile(FILES["nets_known.py"], "nets_known.py", "exec"), made)
    net = made["flowers"]("flowers")
    assert (net.input, net.output.output) == ((3, 96, 96), (5,))
    assert net.parameters == architecture("resnet18").parameters - (512 + 1) * (1000 - 5)
