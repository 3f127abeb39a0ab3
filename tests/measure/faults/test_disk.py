"""A disk that is full, at whichever write: results are kept in memory, and files are whole."""

from __future__ import annotations

import errno
import os
import random
import tempfile
from pathlib import Path

import pytest

from convbench.measure.journal import Journal
from convbench.report import report
from tests.measure.faults.harness import Harness
from tests.measure.faults.plans import Plan, plan
from tests.support.samples import ENTRIES, ENVIRONMENT, write_run, write_sources

SEEDS = range(40)


def full(where: int) -> OSError:
    return OSError(where, os.strerror(where))


class FullDisk:
    """A file that takes `left` bytes more, and perhaps a part of what is one too many."""

    def __init__(self, file, left: int) -> None:
        self.file, self.left = file, left

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, text: bytes) -> int:
        if self.left <= 0:
            raise full(errno.ENOSPC)
        taken = self.file.write(text[: self.left])
        self.left -= taken
        return taken


@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}-disk".format)
def test_a_journal_is_whole_up_to_the_entry_that_the_disk_did_not_take(tmp_path, monkeypatch, seed):
    whole = b"".join(_lines(tmp_path / "whole"))
    left = random.Random(seed).randrange(len(whole))
    usual, disk = Path.open, [left]

    def opened(path, *args, **kwargs):
        file = usual(path, *args, **kwargs)
        if "a" not in str(args):
            return file
        files.append(FullDisk(file, disk[0]))
        return files[-1]

    files: list[FullDisk] = []
    journal = Journal(tmp_path / "run" / "measurements.jsonl")
    kept = 0
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        for entry in ENTRIES:
            try:
                journal.append(entry)
            except OSError:
                break
            disk[0] = files[-1].left
            kept += 1
    assert kept < len(ENTRIES)
    assert list(journal.entries()) == list(ENTRIES[:kept])
    text = journal.path.read_bytes()
    assert whole.startswith(text)
    assert text.endswith(b"\n") or not text, "nothing is half written"
    for entry in ENTRIES[kept:]:
        journal.append(entry)
    assert journal.path.read_bytes() == whole, "there is room again"


def _lines(folder: Path) -> list[bytes]:
    journal = Journal(folder / "measurements.jsonl")
    for entry in ENTRIES:
        journal.append(entry)
    return journal.path.read_bytes().splitlines(keepends=True)


def test_a_disk_that_does_not_sync_takes_the_entry_back(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "measurements.jsonl")
    journal.append(ENVIRONMENT)

    def fsync(_):
        raise full(errno.EIO)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(ENTRIES[1])
    assert list(journal.entries()) == [ENVIRONMENT]


@pytest.mark.parametrize("name", ["report.md", "README.md", "throughput.png"])
def test_a_report_is_as_it_was_if_the_disk_is_full(tmp_path, monkeypatch, name):
    tables = write_sources(tmp_path)
    folder = write_run(tmp_path)
    report.write(folder, tables)
    files = [*folder.iterdir(), folder.parent / "README.md"]
    before = {file: file.read_bytes() for file in files}
    usual = Path.replace

    def replace(path, target):
        if target.name == name:
            raise full(errno.ENOSPC)
        return usual(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="No space"):
            report.write(folder, tables)
    assert {file: file.read_bytes() for file in files} == before
    assert sorted(folder.iterdir()) == sorted(file for file in files if file.parent == folder)


def test_what_somebody_who_was_killed_has_left_is_taken_away(tmp_path):
    folder = write_run(tmp_path)
    name = ".report.md.convbench-"
    gone, here = folder / f"{name}4194305", folder / f"{name}{os.getppid()}"
    for file in (gone, here, folder / ".report.md.mine"):
        file.write_text("half", encoding="ascii")
    report.write(folder, write_sources(tmp_path))
    assert not gone.exists()
    assert here.exists(), "that one is alive"
    assert (folder / ".report.md.mine").exists()


@pytest.mark.processes
@pytest.mark.parametrize("seed", range(3), ids="seed-{}-temporary-disk".format)
def test_what_parity_cannot_keep_costs_that_parity_alone(harness, seed):
    struck: Harness = harness(plan(1000 + seed, "full", "examining"))
    struck.run()
    assert struck.audit() == []
    assert "File too large" in struck.sentences[struck.plan.struck]


@pytest.mark.processes
def test_no_room_for_a_workers_words_costs_one_task(harness, monkeypatch):
    struck: Harness = harness(
        Plan(1010, "", "nowhere", (("time", "lenet5"), ("time", "lenet1")), 0)
    )
    usual, calls = tempfile.TemporaryFile, []

    def refuse(*args, **kwargs):
        calls.append(args)
        if len(calls) <= 2:  # the first is of what the machine attains, which costs no task
            raise full(errno.ENOSPC)
        return usual(*args, **kwargs)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    struck.run()
    assert struck.audit() == ["the fault has not struck"]
    assert "No space left on device" in struck.sentences[0]
