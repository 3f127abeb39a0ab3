"""Files that are written as a whole: what is left of a writer that died goes, and nothing else."""

from __future__ import annotations

import os

import psutil
import pytest

from convbench.base.files import replace, replace_text


@pytest.fixture
def dead(monkeypatch) -> int:
    """The number of a process that is no more."""
    number = 2022
    alive = psutil.pid_exists
    monkeypatch.setattr(psutil, "pid_exists", lambda pid: pid != number and alive(pid))
    return number


@pytest.mark.parametrize("name", ["notes", "a*b", "**", "[a]", "b?.json"])
def test_a_file_of_the_users_own_is_left_alone(tmp_path, dead, name):
    others = [f".{name}.{dead}", f".axb.convbench-{dead}", ".notes.convbench-x", ".a.convbench-1"]
    folder = tmp_path / ".below"
    folder.mkdir()
    for other in (*others, f".below/.{name}.convbench-{dead}"):
        (tmp_path / other).write_text("mine")
    replace_text(tmp_path / name, "new")
    assert (tmp_path / name).read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {name, ".below", *others}
    assert len([*folder.iterdir()]) == 1


@pytest.mark.parametrize("name", ["notes", "a*b", "**"])
def test_what_a_dead_writer_has_left_goes(tmp_path, dead, name):
    (tmp_path / f".{name}.convbench-{dead}").write_text("half")
    (tmp_path / f".{name}.convbench-{os.getppid()}").write_text("of one who still writes")
    replace_text(tmp_path / name, "new")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name, f".{name}.convbench-{os.getppid()}"}


def test_what_is_being_written_has_a_name_of_its_own(tmp_path):
    seen = []
    replace(tmp_path / "notes", lambda at: (seen.append(at.name), at.write_text("x")))
    assert seen == [f".notes.convbench-{os.getpid()}"]
