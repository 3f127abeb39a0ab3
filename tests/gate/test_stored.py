"""A run against a stored one: what is compared, what is refused, and what is said of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from attrs import evolve

from convbench.front.cli import main, shared
from convbench.front.cli import runs as command
from convbench.front.cli.runs import described
from convbench.gate import stored
from convbench.gate.outputs import json_file, stored_words
from convbench.gate.stored import NotComparable
from convbench.measure.journal import Journal
from convbench.measure.records import Measurement, Unchecked
from tests.support.samples import ENVIRONMENT, MIB, lenet, measured, same, task, write_run

FORWARD, BACKWARD = task("lenet5", "pytorch", "forward"), task("lenet5", "pytorch", "backward")
TOLERANCE = 0.03
PROVEN = lenet("pytorch")


def processes(of, slower=1.0, larger=1.0, number=10, spread=0.02, seed=1):
    """Measurements of a task in processes of some spread."""
    chance = np.random.default_rng(seed)
    return [
        evolve(
            measured(evolve(of, process=k), 0.01 * slower * factor, int(10 * MIB * larger)),
            first_s=0.5 * factor,
        )
        for k, factor in enumerate(np.exp(chance.normal(0, spread, number)), start=1)
    ]


def run(*measurements, report=PROVEN, environment=ENVIRONMENT, more=()):
    return (environment, report, *more, *measurements)


def baseline(*entries):
    return stored.Baseline("before", entries[0], entries)


BASE = run(*processes(FORWARD), *processes(BACKWARD, seed=2))
CHANGED = evolve(ENVIRONMENT, packages=(("torch", "2.14"),), commit="fedcba")


def compare(head, base=BASE, wanted=(FORWARD, BACKWARD), tolerance=TOLERANCE):
    now = head[0] if head else ENVIRONMENT
    return stored.compare(baseline(*base), head, wanted, now, tolerance)


def outcomes(result):
    return {(v.question.subject, v.question.quantity): v.outcome for v in result.verdicts}


def said(result):
    return "\n".join([*stored_words.alarms(result), *stored_words.remarks(result)])


def test_a_run_of_the_same_is_worse_in_nothing():
    result = compare(run(*processes(FORWARD, seed=3), *processes(BACKWARD, seed=4)))
    assert len(result.verdicts) == 6
    assert set(outcomes(result).values()) == {"not worse"}
    assert (result.status, [*stored_words.alarms(result)]) == (0, [])
    assert "6 not worse" in said(result)


def test_what_is_slower_is_named_and_nothing_else():
    slower = processes(FORWARD, slower=1.15, seed=3)
    result = compare(run(*slower, *processes(BACKWARD, seed=4)))
    (worse,) = result.worse
    assert (worse.question.subject, worse.question.quantity) == (FORWARD.label, "step time")
    assert worse.pairs == 10
    assert result.status == 1
    (alarm,) = stored_words.alarms(result)
    assert alarm.startswith("worse: lenet5 pytorch forward: slower by at least 9.6% (about 13%)")


def test_memory_and_the_first_result_are_questions_of_their_own():
    heavier = [evolve(m, build_s=1.5) for m in processes(FORWARD, larger=1.2, seed=3)]
    result = compare(run(*heavier), wanted=(FORWARD,))
    assert [v.question.quantity for v in result.worse] == ["first result", "peak memory"]


def test_memory_on_a_device_counts_there():
    def on_device(of, allocated):
        return [
            evolve(m, memory=evolve(m.memory, device_allocated_bytes=allocated))
            for m in processes(of)
        ]

    result = compare(run(*on_device(FORWARD, 200)), run(*on_device(FORWARD, 100)), (FORWARD,))
    assert [(v.question.quantity, v.ratio) for v in result.worse] == [
        ("peak memory", pytest.approx(2.0))
    ]


def test_a_quantity_that_one_run_does_not_know_is_no_question():
    unknown = [evolve(m, memory=evolve(m.memory, host_bytes=None)) for m in processes(FORWARD)]
    result = compare(run(*unknown), wanted=(FORWARD,))
    assert [v.question.quantity for v in result.verdicts] == ["step time", "first result"]


def test_the_error_is_shared_by_all_questions():
    few = compare(run(*processes(FORWARD, seed=3)), wanted=(FORWARD,))
    assert [v.alpha for v in few.verdicts] == pytest.approx([0.01 / 3] * 3)
    many = compare(run(*processes(FORWARD, seed=3), *processes(BACKWARD, seed=4)))
    assert [v.alpha for v in many.verdicts] == pytest.approx([0.01 / 6] * 6)


def test_other_conditions_are_another_task():
    for change in ({"batch": 8}, {"threads": 1}, {"mode": "compiled"}, {"dtype": "bfloat16"}):
        other = evolve(FORWARD, **change)
        result = compare(run(*processes(other)), wanted=(other,))
        assert result.verdicts == ()
        assert result.status == 2
        assert "not compared: no time" in said(result)
        assert "Not in the baseline: lenet5" in said(result)


def test_two_batches_of_a_sweep_are_told_apart():
    other = evolve(FORWARD, batch=8)
    base = run(*processes(FORWARD), *processes(other))
    result = compare(run(*processes(FORWARD), *processes(other, slower=2)), base, (FORWARD, other))
    assert [v.question.subject for v in result.worse] == ["lenet5 pytorch forward, batch 8"]


@pytest.mark.parametrize(("before", "now"), [(1, 1), (1, 10), (10, 1), (3, 3)])
def test_too_few_processes_tell_nothing_and_the_remedy_is_said(before, now):
    base = run(*processes(FORWARD, number=before))
    result = compare(run(*processes(FORWARD, slower=9, number=now)), base, (FORWARD,))
    assert set(outcomes(result).values()) == {"cannot tell"}
    assert result.status == 2
    assert "Too few processes to tell anything of lenet5 pytorch forward: record one" in said(
        result
    )
    with pytest.raises(
        NotComparable, match=f"it has {before} processes a task, and this run {now}"
    ):
        stored.refuse_too_little(baseline(*base), (FORWARD,), now)


def test_what_cannot_be_told_says_what_could_have_been_missed():
    base = run(*processes(FORWARD, spread=0.2))
    result = compare(run(*processes(FORWARD, spread=0.2, seed=8)), base, (FORWARD,))
    assert outcomes(result)[FORWARD.label, "step time"] == "cannot tell"
    assert result.status == 0
    assert "cannot tell: lenet5 pytorch forward: step time " in said(result)
    assert "could have been missed" in said(result)


def test_what_is_faster_is_said():
    result = compare(run(*processes(FORWARD, slower=0.8, seed=3)), wanted=(FORWARD,))
    assert "better: lenet5 pytorch forward: faster by at least 1" in said(result)


@pytest.mark.parametrize("reason", ["was killed by SIGKILL", None])
def test_a_task_of_the_baseline_that_this_run_could_not_time_is_no_pass(reason):
    failed = [Measurement(task=BACKWARD, outcome="failed", reason=reason)] if reason else []
    result = compare(run(*processes(FORWARD, seed=3), *failed))
    assert result.status == 2
    sentence = f"not compared: lenet5 pytorch backward (head): {reason or 'was not timed'}"
    assert [*stored_words.alarms(result)] == [sentence]


def test_a_task_that_nobody_asked_for_is_not_missed():
    assert compare(run(*processes(FORWARD, seed=3)), wanted=(FORWARD,)).broken == ()


@pytest.mark.parametrize("number", [10, 1])
def test_the_result_can_be_kept_like_every_other_of_the_gate(number):
    head = run(*processes(FORWARD, slower=1.2, number=number, seed=3))
    result = compare(head, wanted=(FORWARD, BACKWARD))
    assert json_file.parse(json_file.text(result).encode(), "it") == result


def test_a_run_without_any_entry_is_no_pass():
    assert compare(()).status == 2


WRONG = evolve(lenet("pytorch").findings[0], status="differs", observed=157)
UNLIKE = {
    "parameters": evolve(lenet("pytorch"), parameters=60_001),
    "multiply-accumulates": evolve(lenet("pytorch"), macs=1),
    "structure": evolve(lenet("pytorch"), findings=(WRONG,)),
    "parameters of c1": evolve(lenet("pytorch"), findings=(evolve(WRONG, status="agrees"),)),
}


@pytest.mark.parametrize(("what", "report"), UNLIKE.items(), ids=UNLIKE)
def test_another_structure_is_a_difference_without_statistics(what, report):
    head = run(*processes(FORWARD, seed=3), report=report)
    result = compare(head, wanted=(FORWARD,))
    assert result.status == 1
    assert what in {d.what for d in result.differences}
    assert f"differs: lenet5 pytorch: {what}: base " in said(result)


def test_another_function_is_a_difference():
    apart = evolve(same("lenet5", "pytorch", "keras"), losses=1.0)
    base = run(*processes(FORWARD), more=(same("lenet5", "pytorch", "keras"),))
    result = compare(run(*processes(FORWARD), more=(apart,)), base, (FORWARD,))
    assert [(d.what, d.base, d.head) for d in result.differences] == [
        ("function", "the same", "not the same")
    ]


def test_what_only_one_run_has_looked_into_is_no_difference():
    unchecked = Unchecked(architecture="lenet5", framework="pytorch", reason="killed")
    head = (ENVIRONMENT, unchecked, *processes(FORWARD, seed=3))
    assert compare(head, wanted=(FORWARD,)).differences == ()


def test_versions_may_differ_and_are_named():
    head = run(*processes(FORWARD, seed=3), environment=CHANGED)
    result = compare(head, wanted=(FORWARD,))
    assert "torch none before and 2.14 now" in said(result)
    assert "commit 0123456789ab before and fedcba now" in said(result)
    assert "No version differs." in said(compare(run(*processes(FORWARD)), wanted=(FORWARD,)))


def test_the_promise_comes_with_what_it_assumes():
    text = said(compare(run(*processes(FORWARD)), wanted=(FORWARD,)))
    assert "If nothing else has changed" in text
    assert "at most 1% of such comparisons" in text
    assert "`convbench gate` times both sides side by side" in text


def test_a_machine_that_was_busier_once_is_said_to_void_the_promise():
    busy = [evolve(m, others_cores=1.5) for m in processes(FORWARD)]
    quiet = [evolve(m, others_cores=0.05) for m in processes(FORWARD)]
    text = said(compare(run(*quiet), run(*busy), (FORWARD,)))
    assert "Other work used 1.50 cores while the baseline was recorded, and 0.05 now" in text
    alike = said(compare(run(*busy), run(*busy), (FORWARD,)))
    assert "Other work" not in alike


def test_rounds_that_were_timed_otherwise_are_said_to_void_the_promise():
    longer = [evolve(m, budget_s=9.0) for m in processes(FORWARD)]
    text = said(compare(run(*longer), wanted=(FORWARD,)))
    assert "Not made with the same --bench-seconds" in text
    assert "--bench-precision" not in text


def test_many_differences_are_counted():
    findings = [evolve(WRONG, at=f"c{i}", observed=1) for i in range(50)]
    base = run(*processes(FORWARD), report=evolve(lenet("pytorch"), findings=tuple(findings)))
    other = tuple(evolve(finding, observed=2) for finding in findings)
    head = run(*processes(FORWARD), report=evolve(lenet("pytorch"), findings=other))
    alarms = [*stored_words.alarms(compare(head, base, (FORWARD,)))]
    assert len(alarms) == stored_words.MOST + 1
    assert alarms[-1] == "differs: 30 more"


OTHER = {
    "cpu": "another",
    "cores": 4,
    "system": "Linux 6.2",
    "gpu": "NVIDIA H200",
    "driver": "570.1",
}


@pytest.mark.parametrize(("fact", "value"), OTHER.items(), ids=OTHER)
def test_another_machine_is_incomparable_and_the_fact_is_named(fact, value):
    now = evolve(ENVIRONMENT, **{fact: value})
    with pytest.raises(NotComparable, match=f"before: incomparable: its {fact} is .* {value}; "):
        stored.refuse_other_machine(baseline(*BASE), now)


def test_another_amount_of_memory_is_incomparable():
    wanted = r"its memory is 16\.0 GiB, and here it is 8\.00 GiB; record one .* on this machine"
    with pytest.raises(NotComparable, match=wanted):
        stored.refuse_other_machine(baseline(*BASE), evolve(ENVIRONMENT, memory_bytes=8 * 2**30))


def test_other_variables_are_another_machine():
    base = (evolve(ENVIRONMENT, variables=(("OMP_NUM_THREADS", "1"),)), *BASE[1:])
    wanted = r"its variables are OMP_NUM_THREADS=1, and here they are none; set them alike, or"
    with pytest.raises(NotComparable, match=wanted):
        stored.refuse_other_machine(baseline(*base), evolve(ENVIRONMENT, variables=()))
    stored.refuse_other_machine(baseline(*base), base[0])


@pytest.mark.parametrize("unknown", [(None, ()), ((), None)])
def test_variables_that_nobody_looked_at_keep_nobody_from_comparing(unknown):
    then, now = (evolve(ENVIRONMENT, variables=variables) for variables in unknown)
    assert then.variables != now.variables
    assert stored.refuse_other_machine(baseline(then, *BASE[1:]), now) is None


def test_a_task_whose_framework_has_other_libraries_is_not_compared():
    def with_libraries(measurements, word):
        return [evolve(m, libraries=(("instruction set", word),)) for m in measurements]

    base = run(*with_libraries(processes(FORWARD), "AVX512"), *processes(BACKWARD, seed=2))
    head = run(
        *with_libraries(processes(FORWARD, seed=3), "AVX2"),
        *with_libraries(processes(BACKWARD, seed=4), "AVX2"),
    )
    result = compare(head, base)
    assert {v.question.subject for v in result.verdicts} == {BACKWARD.label}
    (broken,) = result.broken
    assert broken.subject == FORWARD.label
    assert broken.reason.startswith(
        "incomparable: its libraries had instruction set=AVX512, "
        "and here they have instruction set=AVX2; record one"
    )
    assert result.status == 2
    same = run(*with_libraries(processes(FORWARD, seed=3), "AVX512"))
    assert compare(same, base, (FORWARD,)).broken == ()


def test_memory_that_a_kernel_keeps_is_the_same_machine():
    less = evolve(CHANGED, memory_bytes=ENVIRONMENT.memory_bytes - 200 * MIB)
    stored.refuse_other_machine(baseline(*BASE), less)
    much_less = evolve(less, memory_bytes=less.memory_bytes - 1024 * MIB)
    with pytest.raises(NotComparable):
        stored.refuse_other_machine(baseline(*BASE), much_less)


def test_a_baseline_without_these_tasks_is_refused_before_anything_is_timed():
    with pytest.raises(NotComparable, match="it has none of these tasks; choose"):
        stored.refuse_too_little(baseline(*BASE), (evolve(FORWARD, batch=8),), 10)
    stored.refuse_too_little(baseline(*BASE), (FORWARD,), 10)


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path, BASE)


@pytest.mark.parametrize("where", [".", "measurements.jsonl", ".."])
def test_a_run_is_named_by_its_folder_its_journal_or_a_folder_that_has_no_other(folder, where):
    found = stored.read(folder / where, "it")
    assert found.environment == ENVIRONMENT
    assert [*found.own] == [FORWARD, BACKWARD]


def test_a_truncated_last_line_is_left_out(folder):
    journal = folder / "measurements.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    assert len(stored.read(folder, "it").own[BACKWARD].measurements) == 9


BROKEN = {
    b"": "its journal is empty",
    b'{"schema": 1, "kind": "envi': "its journal is empty",
    b"garbage\n": "measurements.jsonl, line 1: wanted JSON, found",
    b"\xff\xfe\x00\n": "measurements.jsonl, line 1: wanted JSON, found",
    b'{"schema": 99, "kind": "environment"}\n': "line 1: wanted schema 2 of this version, found",
    b'{"machine_info": {}, "benchmarks": []}\n': "line 1: wanted schema 2 of this version, found",
}


@pytest.mark.parametrize(("content", "why"), BROKEN.items(), ids=[*map(str, range(len(BROKEN)))])
def test_a_baseline_that_cannot_be_read_is_one_sentence(folder, content, why):
    (folder / "measurements.jsonl").write_bytes(content)
    with pytest.raises(NotComparable) as refused:
        stored.read(folder, "it")
    assert str(refused.value).startswith("baseline it: ")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_corrupt_measurement_is_refused_with_its_line(folder):
    journal = folder / "measurements.jsonl"
    lines = journal.read_text("utf-8").splitlines()
    last = json.loads(lines[-1])
    journal.write_text(
        "\n".join([*lines[:-1], json.dumps(last | {"rounds_s": [-1.0]}), ""]), "utf-8"
    )
    with pytest.raises(NotComparable, match=rf"line {len(lines)}: wanted a measurement"):
        stored.read(folder, "it")


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (BASE[1:], "does not say where it was made"),
        ((ENVIRONMENT, lenet("pytorch")), "nothing in it was measured"),
    ],
)
def test_a_journal_with_nothing_to_compare_is_refused(tmp_path, entries, why):
    with pytest.raises(NotComparable, match=why):
        stored.read(write_run(tmp_path, entries), "it")


def test_what_is_not_there_and_what_is_not_one_run_is_refused(folder, tmp_path):
    with pytest.raises(NotComparable, match="cannot be read: No such file"):
        stored.read(tmp_path / "nowhere", "it")
    with pytest.raises(NotComparable, match=r"there is no measurements\.jsonl in it"):
        stored.read(tmp_path, "it")
    Journal(folder.parent / "2027" / "measurements.jsonl").append(ENVIRONMENT)
    with pytest.raises(NotComparable, match=f"holds 2 runs; name one of {folder.name}, 2027"):
        stored.read(folder.parent, "it")


def test_a_baseline_says_what_it_could_see_and_what_would_see_ten_percent():
    text = described(baseline(*BASE), TOLERANCE)
    (row,) = [line for line in text.splitlines() if line.startswith(FORWARD.label)]
    assert row.split()[3] == "10"
    assert 5 < float(row.split()[4].removesuffix("%")) < 12
    assert "10% of the step time is found in every task by" in text
    alone = described(baseline(*run(*processes(FORWARD, number=1))), TOLERANCE)
    assert "One process has no spread: give --processes 10." in alone
    wild = described(baseline(*run(*processes(FORWARD, spread=2.0))), TOLERANCE)
    assert "would take more than 1,000 processes" in wild


@pytest.mark.parametrize(
    ("status", "sentence"), [(0, "nothing was measured; choose a framework"), (4, "")]
)
def test_a_baseline_that_measures_nothing_is_no_success(
    tmp_path, monkeypatch, capsys, status, sentence
):
    monkeypatch.setattr(command, "_waited", lambda _: status)
    with pytest.raises(SystemExit) as left:
        main.main(["baseline", "--to", str(tmp_path)])
    assert left.value.code == (status or shared.BROKEN)
    assert sentence in capsys.readouterr().err
