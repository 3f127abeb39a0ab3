"""The recipes of docs/ci.md are what they claim to be: YAML, shell, and commands that exist."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from convbench.front.cli import main
from convbench.front.cli.gate import options as gate_options
from convbench.gate.outputs.markdown import SECRET
from convbench.networks.zoo import names
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^<!-- (\S+) -->\n```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
LOADED: dict[str, Any] = {name: yaml.load(text, yaml.BaseLoader) for name, text in FILES.items()}
WORKFLOWS = {name: content for name, content in LOADED.items() if name.startswith(".github")}
GITLAB = LOADED[".gitlab-ci.yml"]
JOBS = {
    f"{name}: {job}": content
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
GITLAB_KEYWORDS = {"stages"}
ENDS = {"|", "||", "&&", ";", ">", ">>", "(", ")", "then", "else", "fi"}


def scripts() -> dict[str, str]:
    """Every script of the recipes, by where it stands."""
    found = {
        f"{job}, step {number}": step["run"]
        for job, content in JOBS.items()
        for number, step in enumerate(content["steps"], start=1)
        if "run" in step
    }
    found |= {
        f".gitlab-ci.yml: {job}, line {number}": line
        for job, content in GITLAB.items()
        if isinstance(content, dict)
        for number, line in enumerate(content.get("script", ()), start=1)
    }
    return found


SCRIPTS = scripts()


def commands(script: str) -> Iterator[list[str]]:
    """The words of each call of convbench or pytest in a script."""
    for line in script.replace("\\\n", " ").splitlines():
        if not line.strip().startswith(("convbench ", "pytest ")):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = [*lexer]
        ends = [at for at, word in enumerate(words) if word in ENDS]
        yield words[: ends[0]] if ends else words


COMMANDS = [words for script in SCRIPTS.values() for words in commands(script)]
COMMANDS += [
    words
    for text in re.findall(r"`((?:convbench (?:bench|gate)|pytest) [^`]*)`", TEXT)
    for words in commands(text.replace("\n", " "))
]


def parse(words: list[str]) -> argparse.Namespace:
    """What the real parsers make of a call; raises where they refuse it."""
    program, *rest = words
    if program == "pytest" or rest[0] == "bench":
        arguments = rest if program == "pytest" else rest[1:]
        return pytest.Config.fromdictargs({}, arguments).option
    parser = main._parser(rest[0])
    return parser.parse_args(rest)


def test_the_document_has_every_recipe():
    assert set(FILES) == {
        ".github/workflows/gate.yml",
        ".github/workflows/gate-comment.yml",
        ".github/workflows/nightly.yml",
        ".gitlab-ci.yml",
    }
    assert TEXT.count("```yaml") == len(FILES), "a block without the name of its file is not tested"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_what_it_needs_and_no_more_rights_than_it_says(name):
    workflow = WORKFLOWS[name]
    assert set(workflow) <= {"name", "on", "permissions", "concurrency", "jobs"}
    assert {"name", "on", "permissions", "jobs"} <= set(workflow)
    writes = {what for what, level in workflow["permissions"].items() if level == "write"}
    assert writes == ({"pull-requests"} if "comment" in name else set())


@pytest.mark.parametrize("job", JOBS)
def test_a_job_says_where_it_runs_and_for_how_long_and_its_steps_do_one_thing(job):
    content = JOBS[job]
    assert {"runs-on", "timeout-minutes", "steps"} <= set(content)
    for step in content["steps"]:
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_nothing_that_others_choose_is_pasted_into_a_script():
    for script in SCRIPTS.values():
        assert "${{" not in script


def test_what_comments_runs_nothing_of_the_pull_request():
    comment = WORKFLOWS[".github/workflows/gate-comment.yml"]
    uses = [step.get("uses", "") for step in comment["jobs"]["comment"]["steps"]]
    assert not any(use.startswith("actions/checkout") for use in uses)
    assert set(comment["on"]) == {"workflow_run"}
    gate = WORKFLOWS[".github/workflows/gate.yml"]
    assert comment["on"]["workflow_run"]["workflows"] == [gate["name"]]


def test_the_artifact_that_is_uploaded_is_the_one_that_is_fetched():
    ((gate,), (comment,)) = (
        [
            step["with"]["name"]
            for step in WORKFLOWS[f".github/workflows/{name}.yml"]["jobs"][job]["steps"]
            if "artifact" in step.get("uses", "")
        ]
        for name, job in (("gate", "gate"), ("gate-comment", "comment"))
    )
    assert gate == comment


def test_gitlabs_jobs_have_a_stage_rules_and_a_script():
    jobs = {name: job for name, job in GITLAB.items() if name not in GITLAB_KEYWORDS}
    for name, job in jobs.items():
        if name.startswith("."):
            continue
        assert {"stage", "rules", "script"} <= set(job)
        assert job["stage"] in GITLAB["stages"]
        assert job.get("extends", ".python") in GITLAB
        assert set(job.get("needs", ())) <= set(jobs)
    assert jobs["gate"]["artifacts"]["reports"]["junit"] in SCRIPTS[".gitlab-ci.yml: gate, line 3"]


@pytest.mark.parametrize("where", SCRIPTS)
def test_a_script_is_one_that_bash_can_read(where):
    script = SCRIPTS[where]
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_a_command_is_one_that_exists(words):
    options = parse(words)
    if words[1] == "gate" and options.from_ is None:
        assert options.base
        assert options.head
        gate_options._tolerances(options)
        assert gate_options.duration("--budget", options.budget) > 0
        assert gate_options._passes(options)
        assert options.test or names.select(gate_options.names("--arch", options.arch))


def test_the_commands_are_found():
    called = {words[1] for words in COMMANDS}
    assert called == {"gate", "baseline", "bench", "bench/"}
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize(
    "line",
    [
        "convbench gate --base A --head B --tolerence 3%",
        "convbench gate --base A --head B --budget 3 parsecs",
        "convbench baseline --too DIR",
        "convbench bench --bench-archs headline",
        "pytest bench/ --benchmark-onlyy",
    ],
)
def test_a_command_that_does_not_exist_is_refused(line):
    with pytest.raises((SystemExit, pytest.UsageError)):
        parse(shlex.split(line))


def test_a_budget_is_less_than_its_job_may_take():
    for name, minutes in (("gate.yml: gate", 60), ("nightly.yml: week", 60)):
        job = JOBS[f".github/workflows/{name}"]
        (words,) = (
            words
            for step in job["steps"]
            for words in commands(step.get("run", ""))
            if "--budget" in words
        )
        budget = gate_options.duration("--budget", words[words.index("--budget") + 1])
        assert budget < 0.75 * minutes * float(job["timeout-minutes"])


def test_the_mark_of_the_comments_is_the_one_that_is_looked_for():
    comment = SCRIPTS[".github/workflows/gate-comment.yml: comment, step 2"]
    assert comment.count(SECRET) == 1
    assert SECRET in SCRIPTS[".gitlab-ci.yml: gate-comment, line 1"]
    assert SECRET in SCRIPTS[".github/workflows/gate.yml: gate, step 4"]


STUBS = {
    "convbench": """
        echo "convbench $*" >> calls
        case "$*" in
            *--from*) echo drawn ;;
            *) test "$STATUS" = 2 || echo "{}" > gate/result.json
               test "$STATUS" = 2 || echo said > gate/comment.md ;;
        esac
        exit "$STATUS"
    """,
    "gh": """
        echo "gh $*" >> calls
        case "$*" in
            *pulls*) echo "$NUMBER" ;;
            *--paginate*) echo "$EARLIER" ;;
            *) test -s comment.md ;;
        esac
    """,
    "curl": """
        echo "curl $*" >> calls
        case "$*" in *per_page*) printf %s "$NOTES" ;; *) test -s gate/comment.md ;; esac
    """,
}


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """A call that runs a script with stubs in place of programs: its status, and their calls."""
    (tmp_path / "bin").mkdir()
    for name, text in STUBS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{dedent(text)}")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(where: str, **variables: str) -> tuple[int, str]:
        path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent)])
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail"],
            input=SCRIPTS[where],
            text=True,
            cwd=tmp_path,
            check=False,
            env={"PATH": f"{path}:/usr/bin:/bin", **variables},
        )
        calls = tmp_path / "calls"
        return done.returncode, calls.read_text() if calls.exists() else ""

    return run


GATE = ".github/workflows/gate.yml: gate, step 4"
COMMENT = ".github/workflows/gate-comment.yml: comment, step 2"
NOTE = ".gitlab-ci.yml: gate-comment, line 1"


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_step_ends_as_the_gate_did_and_leaves_a_comment(ran, tmp_path, status):
    where = {"GITHUB_SERVER_URL": "https://host", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"}
    summary = tmp_path / "summary"
    found, _ = ran(GATE, STATUS=str(status), GITHUB_STEP_SUMMARY=str(summary), **where)
    assert found == status
    comment = (tmp_path / "gate" / "comment.md").read_text()
    assert summary.read_text() == comment
    if status == 2:
        assert comment.startswith(SECRET)
        assert "exit status 2): https://host/a/b/actions/runs/7" in comment
    else:
        assert comment == "said\n"
        assert (tmp_path / "gate" / "result.txt").read_text() == "drawn\n"


@pytest.mark.parametrize(
    ("earlier", "call"),
    [
        ("", "gh api --method POST repos/a/b/issues/5/comments -F body=@comment.md"),
        ("11\n12", "gh api --method PATCH repos/a/b/issues/comments/11 -F body=@comment.md"),
    ],
)
def test_the_comment_is_written_or_replaced(ran, tmp_path, earlier, call):
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "comment.md").write_text("said")
    given = {"REPOSITORY": "a/b", "FROM": "fork:branch", "COMMIT": "c0ffee"}
    status, calls = ran(COMMENT, NUMBER="5", EARLIER=earlier, **given)
    assert status == 0
    assert calls.splitlines()[-1] == call


def test_a_commit_that_is_no_longer_the_newest_gets_no_comment(ran):
    status, calls = ran(COMMENT, NUMBER="", REPOSITORY="a/b", FROM="fork:branch", COMMIT="c0ffee")
    assert status == 0
    (call,) = calls.splitlines()
    assert call.startswith("gh api --method GET repos/a/b/pulls -f state=open -f head=fork:branch ")


@pytest.mark.parametrize(
    ("notes", "request_", "at"),
    [
        ([], "POST", "/notes"),
        ([{"id": 3, "body": "hello"}, {"id": 4, "body": f"{SECRET}\nold"}], "PUT", "/notes/4"),
    ],
)
def test_the_note_is_written_or_replaced(ran, tmp_path, notes, request_, at):
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "comment.md").write_text("said")
    given = {"CI_API_V4_URL": "https://host/api", "CI_PROJECT_ID": "1", "GATE_TOKEN": "t"}
    status, calls = ran(NOTE, NOTES=json.dumps(notes), CI_MERGE_REQUEST_IID="2", **given)
    assert status == 0
    last = calls.splitlines()[-1]
    assert f"--request {request_} " in last
    assert last.endswith(f" https://host/api/projects/1/merge_requests/2{at}")
