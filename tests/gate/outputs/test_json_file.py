"""A result of the gate on the disk: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from convbench.base.errors import BadRecord, ConvbenchError, Unsupported
from convbench.gate.outputs import json_file
from convbench.gate.values import (
    Broken,
    Difference,
    GateResult,
    Pair,
    Question,
    Sample,
    SideFacts,
    Verdict,
)
from tests.conftest import ROOT
from tests.support import gate_samples as samples
from tests.support.gate_samples import RESULTS

GOLDEN = ROOT / "tests" / "golden" / "gate"
RENEW = "CONVBENCH_RENEW_GOLDEN"  # set it, run this file, and read the difference in review


@pytest.mark.parametrize("name", RESULTS)
def test_the_file_is_the_one_that_was_read_in_review(name):
    golden = GOLDEN / f"{name}.json"
    made = json_file.text(RESULTS[name])
    if os.environ.get(RENEW):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")
    assert json_file.parse(golden.read_bytes(), "it") == RESULTS[name]


names = st.text(max_size=20)
seconds = st.floats(1e-18, 1e9)
shares = st.floats(1e-12, 1.0)
ratios = st.none() | st.floats(1e-6, 1e6)
sample = st.builds(
    Sample,
    rounds_s=st.lists(seconds, min_size=1, max_size=3).map(tuple),
    first_result_s=st.none() | seconds,
    memory_bytes=st.none() | st.integers(-(2**63), 2**63 - 1),
)
question = st.builds(
    Question,
    subject=names,
    quantity=st.sampled_from(("step time", "first result", "peak memory")),
    tolerance=st.floats(1e-6, 10.0),
)
verdict = st.builds(
    Verdict,
    question=question,
    outcome=st.sampled_from(("worse", "not worse", "cannot tell")),
    pairs=st.integers(0, 10**6),
    ratio=ratios,
    low=ratios,
    high=ratios,
    alpha=shares,
    beta=shares,
    more_pairs=st.none() | st.integers(1, 10**6),
    better=st.booleans(),
)
roles = st.sampled_from(("base", "head"))


def paired(base: Sample, head: Sample, *, interleaved: bool, **more) -> Pair:
    alike = len(base.rounds_s) == len(head.rounds_s)
    return Pair(base=base, head=head, interleaved=interleaved and alike, **more)


pair = st.builds(
    paired,
    subject=names,
    number=st.integers(1, 10**6),
    base=sample,
    head=sample,
    first=roles,
    taken_s=st.floats(0.0, 1e9),
    interleaved=st.booleans(),
)
environments = st.sampled_from((None, samples.ENVIRONMENT))


def side(role):
    return st.builds(
        SideFacts, role=st.just(role), given=names, meaning=names, environment=environments
    )


results = st.builds(
    GateResult,
    base=side("base"),
    head=side("head"),
    verdicts=st.lists(verdict, max_size=3).map(tuple),
    pairs=st.lists(pair, max_size=3).map(tuple),
    differences=st.lists(
        st.builds(
            Difference, subject=names, what=names, base=names, head=names, allowed=st.booleans()
        ),
        max_size=2,
    ).map(tuple),
    broken=st.lists(
        st.builds(Broken, subject=names, reason=names, role=st.none() | roles), max_size=2
    ).map(tuple),
    alpha=shares,
    beta=shares,
    seed=st.integers(),
    budget_s=st.floats(0.0, 1e9),
    spent_s=st.floats(0.0, 1e9),
    command=names,
    notes=st.lists(names, max_size=2).map(tuple),
    interrupted=st.booleans(),
)


@settings(deadline=None)
@given(results)
def test_what_is_read_is_what_was_written(result):
    assert json_file.parse(json_file.text(result).encode(errors="backslashreplace"), "x") == result


def test_each_pair_has_a_line_of_its_own():
    made = json_file.text(RESULTS["slower"])
    lines = [line for line in made.splitlines() if '"rounds_s"' in line]
    assert len(lines) == len(RESULTS["slower"].pairs)
    assert json.loads(made)["schema"] == json_file.SCHEMA


def changed(**values) -> bytes:
    return json.dumps({**json.loads(json_file.text(RESULTS["slower"])), **values}).encode()


def one_verdict(**values) -> bytes:
    (first, *_) = json.loads(json_file.text(RESULTS["slower"]))["verdicts"]
    return changed(verdicts=[{**first, **values}])


def one_pair(**head) -> bytes:
    (first, *_) = json.loads(json_file.text(RESULTS["slower"]))["pairs"]
    return changed(pairs=[{**first, "head": {**first["head"], **head}}])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "wanted JSON"),
        (b"[]", "wanted an object"),
        (b"\xff\xfe", "wanted JSON"),
        (changed(schema=2), "wanted schema 1 of this version, found schema 2"),
        (changed(schema=True), "found schema True"),
        (changed(schema="1"), "found schema '1'"),
        (changed(kind="measurement"), "wanted a result of the gate, found kind 'measurement'"),
        (changed(kind=["gate"]), "wanted a result of the gate"),
        (changed(more=1), "more"),
        (changed(seed="7"), "expected int"),
        (changed(alpha=float("nan")), "wanted a share as alpha, found nan"),
        (changed(beta=0), "wanted a share as beta, found 0.0"),
        (changed(pairs=[{}]), "pairs"),
        (changed(base=json.loads(json_file.text(RESULTS["slower"]))["head"]), "found the head"),
        (one_verdict(ratio=float("inf")), "wanted ratios above 0, found inf"),
        (one_verdict(low=-1.0), "found -1.0"),
        (one_verdict(high=float("nan")), "found nan"),
        (one_verdict(outcome="better"), "better"),
        (one_verdict(pairs=-1), "pairs"),
        (one_pair(rounds_s=[0.01]), "the base has 3 rounds and the head 1"),
        (one_pair(rounds_s=[0.0] * 3), "must be >= 1e-18"),
        (one_verdict(ratio=1e300), "found 1e+300"),
        (one_verdict(more_pairs=10**400), "wanted how many more pairs, found 1000"),
        (one_verdict(more_pairs=0), "wanted how many more pairs, found 0"),
    ],
)
def test_what_no_run_has_written_is_refused_in_one_sentence(tmp_path, content, said):
    file = tmp_path / "result.json"
    file.write_bytes(content)
    with pytest.raises(BadRecord) as caught:
        json_file.read(file)
    assert str(caught.value).startswith("result.json: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"outcome": "not worse"}, "wanted 'worse', as its pairs have it, of the step time of"),
        ({"outcome": "cannot tell"}, "found 'cannot tell'"),
        (
            {"pairs": 15},
            "wanted a verdict from 16 pairs of the step time of 'slow', found one from 15",
        ),
    ],
)
def test_a_verdict_that_its_pairs_do_not_give_is_refused(tmp_path, values, said):
    honest = samples.judged(slow=1.2, same=1.0)
    assert [v.outcome for v in honest.verdicts] == ["worse", "not worse"]
    file = tmp_path / "result.json"
    json_file.write(file, honest)
    assert json_file.read(file) == honest
    forged = evolve(honest, verdicts=(evolve(honest.verdicts[0], **values), honest.verdicts[1]))
    json_file.write(file, forged)
    with pytest.raises(BadRecord) as caught:
        json_file.read(file)
    assert str(caught.value).startswith("result.json: ")
    assert said in str(caught.value)


def test_a_pair_that_was_taken_away_is_missed(tmp_path):
    honest = samples.judged(slow=1.2)
    json_file.write(tmp_path / "result.json", evolve(honest, pairs=honest.pairs[1:]))
    with pytest.raises(BadRecord, match="wanted a verdict from 15 pairs"):
        json_file.read(tmp_path / "result.json")


def test_a_result_without_pairs_is_read_as_that_of_a_stored_baseline_is(tmp_path):
    without = evolve(samples.judged(slow=1.2), pairs=())
    json_file.write(tmp_path / "result.json", without)
    assert json_file.read(tmp_path / "result.json") == without


def test_there_may_be_no_file(tmp_path):
    with pytest.raises(Unsupported, match="No such file or directory; name what"):
        json_file.read(tmp_path / "none.json")
    with pytest.raises(Unsupported, match="cannot be read"):
        json_file.read(tmp_path)


def test_written_twice_it_is_the_same_to_the_byte(tmp_path):
    file = tmp_path / "result.json"
    json_file.write(file, samples.judged(net=1.2))
    first = file.read_bytes()
    json_file.write(file, json_file.read(file))
    assert file.read_bytes() == first


def test_a_full_disk_leaves_what_was_there_and_says_so(tmp_path, monkeypatch):
    def half(path, text, **_):
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "result.json"
    before = samples.judged(net=1.2)
    json_file.write(file, before)
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(ConvbenchError) as caught:
        json_file.write(file, RESULTS["slower"])
    assert str(caught.value) == (
        f"{file}: it cannot be written: No space left on device; make room or name another file"
    )
    assert json_file.read(file) == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(Unsupported, match="No such file or directory"):
        json_file.write(tmp_path / "none" / "result.json", RESULTS["slower"])


def test_halves_of_characters_survive(tmp_path):
    odd = evolve(samples.judged(net=1.2), command="--model \udc80")
    json_file.write(tmp_path / "result.json", odd)
    assert json_file.read(tmp_path / "result.json") == odd
