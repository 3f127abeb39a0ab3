"""The examples of docs/explain.md run, and print what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from convbench.checks.explain.ledger import CONVENTIONS, UNUSED
from tests.conftest import ROOT
from tests.support.random_graphs import CHANGES

PAGE = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = dict(re.match(r"# (\S+)\n(.*)", b, re.DOTALL).groups() for kind, b in BLOCKS if kind)
SESSIONS = [block.removeprefix("$ ").partition("\n") for kind, block in BLOCKS if not kind]

pytestmark = pytest.mark.processes


@pytest.fixture
def project(tmp_path):
    """A folder with every file that the page shows."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def run(project, *command):
    environment = {**os.environ, "COLUMNS": "100"}  # the page's own width
    return subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def mark(line):
    return pytest.mark.keras if "keras" in line else pytest.mark.pytorch


@pytest.mark.parametrize(
    ("line", "printed"),
    [pytest.param(line, printed, marks=mark(line)) for line, _, printed in SESSIONS],
)
def test_the_command_prints_what_the_page_says(project, line, printed):
    done = run(project, "-m", *line.split())
    assert done.stdout == printed
    assert done.returncode == ("is not" in printed)


@pytest.mark.pytorch
def test_the_test_of_the_page_passes(project):
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_resnet.py")
    assert "1 passed" in done.stdout, done.stdout


def test_the_page_names_every_kind():
    for kind in {*(change.kind for change in CHANGES), *CONVENTIONS[:1], UNUSED}:
        words = kind.removeprefix("batch norm ")
        assert words in PAGE, kind
