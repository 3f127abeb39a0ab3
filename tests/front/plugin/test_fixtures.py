"""The fixtures as people's own suites use them, with the fake framework and with the real ones."""

from __future__ import annotations

import json
import re

import psutil
import pytest

from convbench.frameworks import registry
from convbench.measure.machine import cpu
from convbench.measure.sampling import MIN_ROUNDS
from tests.conftest import ROOT
from tests.support import fakes
from tests.support.benches import here, text, written_in

pytestmark = pytest.mark.processes

MODELS = """
import functools
import json
import os

from tests.support.fakes import Small

def small(classes=10):
    with open("pids", "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\\n")
    return Small(classes)

def needs(depth, *, width):
    return Small()

def listed():
    return [Small()]

def broken():
    raise RuntimeError("no such weights\\nat all")

def my_loss(outputs, labels):
    with open("loss", "w", encoding="ascii") as file:
        json.dump(sorted(map(int, labels)), file)

bound = functools.partial(small, classes=7)
"""

QUICK = ("-p", "no:cacheprovider", "--bench-device", "cpu", "--bench-seconds", "0.001")
QUICK += ("--bench-threads", "1", "-rP")


def asking(*calls: str, more: str = "") -> str:
    """A test file whose tests each call the fixture with the fake framework."""
    lines = ["import models", "import functools"]
    for number, call in enumerate(calls):
        call_ = call.replace("FAKE", f"input=(1, 28, 28), framework={fakes.NAME!r}")
        lines += ["", f"def test_{number}(throughput):", f"    print(throughput({call_}))", more]
    return "\n".join(lines)


def run(pytester: pytest.Pytester, *calls: str, options: tuple[str, ...] = ()) -> pytest.RunResult:
    pytester.makepyfile(models=MODELS, test_speed=asking(*calls))
    return here(pytester, *QUICK, *options)


def pids(pytester: pytest.Pytester) -> list[str]:
    return (pytester.path / "pids").read_text(encoding="ascii").split()


RESULT = f"""
import models

def test_speed(throughput):
    result = throughput(
        models.bound, input=(1, 28, 28), passes=("train_step", "forward"), batch=3,
        framework={fakes.NAME!r}, seconds=0.002, threads=1,
    )
    assert list(result) == ["train_step", "forward"] and len(result) == 2
    for found in result.values():
        assert len(found.rounds_s) >= {MIN_ROUNDS}
        assert min(found.rounds_s) <= found.step_s <= max(found.rounds_s)
        assert found.images_per_second == 3 / found.step_s
        assert found.uncertainty >= 0
        assert found.host_peak_bytes is not None
        assert found.device_peak_bytes is None
        assert found.measurement.budget_s == 0.002
    assert repr(result["forward"]).startswith("<small(classes=7) tests.support.fakes forward: ")
    assert repr(result["forward"]).endswith(" images/s, unproven: a model of your own>")
    print(result)
"""


def test_a_result_has_every_round_of_every_pass_and_prints_as_a_table(pytester):
    pytester.makepyfile(models=MODELS, test_speed=RESULT)
    result = here(pytester, *QUICK)
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines_random(
        [
            r"small\(classes=7\) in fakes 1.0, unproven: a model of your own",
            "3 x 1x28x28 in a batch, float32, cpu, 1 thread",
            r"pass +images/s +step +rounds +host peak$",
            r"train_step +[\d,.]+ ± [\d.]+%.* \d+ +[\d.]+ [KM]?i?B$",
            r"forward +[\d,.]+ ± ",
        ]
    )


def test_each_pass_has_a_process_of_its_own(pytester):
    every = "models.small, FAKE, passes=('forward', 'backward', 'train_step', 'forward')"
    run(pytester, every, every).assert_outcomes(passed=2)
    assert len(set(pids(pytester))) == 6


def test_the_summary_shows_all_results_also_of_tests_that_fail(pytester):
    pytester.makepyfile(
        models=MODELS,
        test_speed=asking("models.small, FAKE", "models.bound, FAKE", more="    assert False"),
    )
    result = here(pytester, *QUICK)
    result.assert_outcomes(failed=2)
    result.stdout.re_match_lines(
        [
            "=+ throughput of models of your own \\(unproven\\) =+",
            r"test +model +batch +pass +images/s +step +rounds +host peak$",
            "-+",
            r"test_speed.py::test_0 +small tests.support.fakes +4 +forward ",
            r"test_speed.py::test_0 +small tests.support.fakes +4 +backward ",
            r"test_speed.py::test_1 +small\(classes=7\) tests.support.fakes +4 +forward ",
        ]
    )


@pytest.mark.parametrize("cores", [0.0, 1.5])
def test_the_summary_says_if_the_machine_was_busy(pytester, monkeypatch, cores):
    monkeypatch.setattr(cpu.CpuUse, "others_cores", cores)
    monkeypatch.setattr(cpu.CpuUse, "stolen_cores", 0.0)
    said = re.search(
        r"The machine was busy: .*other processes used 1\.50 of its \d+ cores",
        text(run(pytester, "models.small, FAKE")),
    )
    assert bool(said) == (cores > 0)


def test_nobody_elses_tests_get_a_summary(pytester):
    pytester.makepyfile("def test_plain():\n    pass\n")
    assert "throughput" not in text(here(pytester, *QUICK))


def test_a_model_that_is_not_proven_is_in_no_report(pytester):
    result = run(pytester, "models.small, FAKE", options=("--bench-report", "reports"))
    result.assert_outcomes(passed=1)
    assert "reports" not in written_in(pytester.path)


STORED = f"""
import models

def test_speed(throughput, benchmark):
    benchmark(sum, [1])
    throughput(models.small, input=(1, 28, 28), passes="forward", framework={fakes.NAME!r})
    throughput(models.bound, input=(1, 28, 28), passes="forward", framework={fakes.NAME!r})
"""


def test_the_json_of_pytest_benchmark_has_what_its_test_measured(pytester):
    pytester.makepyfile(models=MODELS, test_speed=STORED)
    here(pytester, *QUICK, "--benchmark-json=out.json").assert_outcomes(passed=1)
    (stored,) = json.loads((pytester.path / "out.json").read_bytes())["benchmarks"]
    first, second = stored["extra_info"]["throughput"]
    assert first["status"] == "unproven: a model of your own"
    assert first["image"] == [1, 28, 28]
    assert len(first["passes"]["forward"]["rounds_s"]) >= MIN_ROUNDS
    assert second["passes"]["forward"]["task"]["architecture"] == "small(classes=7)"


def test_pytest_benchmark_is_not_needed(pytester):
    run(pytester, "models.small, FAKE", options=("-p", "no:benchmark")).assert_outcomes(passed=1)


def test_what_a_test_does_not_choose_the_command_line_does(pytester):
    options = ("--bench-batch", "5", "--bench-threads", "2")
    told = run(pytester, "models.small, FAKE", "models.small, FAKE, batch=6", options=options)
    assert "5 x 1x28x28 in a batch, float32, cpu, 2 threads" in text(told)
    assert "6 x 1x28x28 in a batch, float32, cpu, 2 threads" in text(told)


@pytest.mark.parametrize("given", ["models.my_loss", "'models:my_loss'"])
def test_a_loss_of_ones_own_gets_labels_of_as_many_classes_as_there_are(pytester, given):
    call = f"models.small, FAKE, passes='backward', batch=500, loss={given}"
    run(pytester, call).assert_outcomes(passed=1)
    labels = json.loads((pytester.path / "loss").read_bytes())
    assert {*labels} == {*range(10)}
    run(pytester, f"{call}, classes=3").assert_outcomes(passed=1)
    labels = json.loads((pytester.path / "loss").read_bytes())
    assert {*labels} == {*range(3)}


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_modules_are_found_as_the_tests_find_them(pytester, mode):
    tests = pytester.mkdir("checks")
    (tests / "test_speed.py").write_text(
        f"{MODELS}\ndef test_speed(throughput):\n"
        f"    throughput(small, input=(1, 28, 28), framework={fakes.NAME!r})\n",
        encoding="utf-8",
    )
    here(pytester, *QUICK, f"--import-mode={mode}").assert_outcomes(passed=1)


def test_a_path_of_the_test_process_alone_is_passed_on(pytester, monkeypatch):
    folder = pytester.mkdir("lib")
    (folder / "elsewhere.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.syspath_prepend("lib")
    run(pytester, "'elsewhere:small', FAKE").assert_outcomes(passed=1)


# What is asked of the fixture, and the sentence that it answers.
REFUSED = {
    "a lambda": (
        "lambda: models.small(), FAKE",
        "<lambda>: no other process can import it, because it is a lambda; define it at the top",
    ),
    "a model": ("models.Small(), FAKE", "an object of type Small: a worker cannot make it anew; g"),
    "a name that is not there": (
        "'models:smal', FAKE",
        "smal tests.support.fakes forward: models:smal: there is no smal; did you mean small",
    ),
    "a module that is not there": (
        "'nowhere:small', FAKE",
        "import of nowhere: it fails with ModuleNotFoundError: No module named 'nowhere'; its f",
    ),
    "arguments": (
        "models.needs, FAKE",
        "needs tests.support.fakes forward: calling it "
        "without arguments: missing a required argument: "
        "'depth'; bind what it needs with functools.partial",
    ),
    "arguments beside those bound": (
        "functools.partial(models.needs, 3), FAKE",
        "missing a required argument: 'width'; bind what it needs with functools.partial",
    ),
    "no model": (
        "models.listed, FAKE",
        "what it returns: it is of type list; return a torch.nn.Module or a keras.Model",
    ),
    "a failure to make it": (
        "models.broken, FAKE",
        "broken tests.support.fakes forward: RuntimeError: "
        "no such weights (while building and warming up)",
    ),
    "an input that it refuses": (
        f"models.small, input=(3, 28, 28), framework={fakes.NAME!r}, batch=2",
        "small tests.support.fakes forward: its answer to "
        "a batch of 2x3x28x28: ValueError: wanted images "
        "(1, 28, 28); give input= as the model takes one image",
    ),
    "too many classes": (
        "models.small, FAKE, passes='backward', classes=11",
        "11 classes: its answer has 10; give as many or fewer, or none",
    ),
    "one class": (
        "functools.partial(models.small, 1), FAKE, passes='backward'",
        "its loss: cross-entropy wants batch x classes, but its answer is of shape 4x1; give loss=",
    ),
    "a batch that cannot fit": ("models.small, FAKE, batch=10**9", "does not fit: needs at least "),
    "an unknown pass": (
        "models.small, FAKE, passes=('forward', 'backwards')",
        "unknown pass 'backwards'; did you mean backward",
    ),
    "no pass": ("models.small, FAKE, passes=()", "passes must be one or more of forward, backward"),
    "a pass that is none": ("models.small, FAKE, passes=3", "passes must be one or more of"),
    "an unknown framework": (
        "models.small, input=(1,), framework='torch'",
        "unknown framework 'torch'; did you mean pytorch",
    ),
    "a framework that is no name": (
        "models.small, input=(1,), framework=functools",
        "framework must be a name such as pytorch or keras, but is ",
    ),
    "a batch of none": ("models.small, FAKE, batch=0", "batch must be a whole number from 1 to"),
    "a batch of a half": ("models.small, FAKE, batch=0.5", "batch must be a whole number from 1"),
    "a truth value": ("models.small, FAKE, threads=True", "threads must be a whole number from 1"),
    "no time": ("models.small, FAKE, seconds=0", "seconds must be a positive number up to"),
    "an input that is none": ("models.small, input=28", "input must be the sizes of one image, wi"),
    "an input of text": ("models.small, input='28'", "input must be the sizes of one image, wit"),
    "an input of nothing": ("models.small, input=(3, 0)", "input must be the sizes of one image"),
}


@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_timed_fails_with_one_sentence(pytester, call, sentence):
    result = run(pytester, call)
    result.assert_outcomes(failed=1)
    assert sentence in text(result)
    assert "Traceback" not in text(result)
    assert "During handling" not in text(result)
    assert "INTERNALERROR" not in text(result)
    assert "(unproven)" not in text(result), "nothing was measured"


FAULTS = {
    "sigkill@step": "small tests.support.fakes forward: was killed by "
    "SIGKILL, perhaps for want of memory,",
    "sigkill@build": "was killed by SIGKILL, perhaps for want of memory, (while building and warm",
    "exit@answer": "small tests.support.fakes forward: ended with exit code 3",
    "oom@answer": "small tests.support.fakes forward: does not fit: "
    "needs at least 2,048 GiB of memory",
    "oom@step": "small tests.support.fakes forward: does not fit: "
    "needs at least 2,048 GiB of memory",
    "MemoryError@build": "small tests.support.fakes forward: does not fit: needs at least ",
    "MemoryError@answer": "small tests.support.fakes forward: does not fit: needs at least ",
    "RuntimeError@step": "small tests.support.fakes forward: RuntimeError: the kernel is unhappy",
    "garbage@step": "small tests.support.fakes forward: answered nonsense",
}


HEALED = f"""
import os
import models

def test_healed(throughput):
    open(os.environ[{fakes.VARIABLE!r}], "w").close()
    throughput(models.small, input=(1, 28, 28), framework={fakes.NAME!r})
"""


@pytest.mark.parametrize(("what", "sentence"), FAULTS.items(), ids=FAULTS)
def test_a_worker_that_fails_ends_its_test_alone(pytester, fault, what, sentence):
    fault(what)
    pytester.makepyfile(test_z=HEALED)
    result = run(pytester, "models.small, FAKE")
    result.assert_outcomes(failed=1, passed=1)
    assert sentence in text(result)
    assert "Traceback" not in text(result)


def test_what_was_measured_before_a_worker_was_killed_is_shown(pytester):
    killing = f"""
import models

def lethal():
    import os, pathlib
    made = pathlib.Path("made")
    if made.exists():
        os.kill(os.getpid(), 9)
    made.touch()
    return models.small()

def test_speed(throughput):
    throughput(lethal, input=(1, 28, 28), framework={fakes.NAME!r})
"""
    pytester.makepyfile(models=MODELS, test_speed=killing)
    result = here(pytester, *QUICK)
    result.assert_outcomes(failed=1)
    assert "lethal tests.support.fakes backward: was killed by SIGKILL" in text(result)
    result.stdout.re_match_lines(
        [r"test_speed.py::test_speed +lethal tests.support.fakes +4 +forward "]
    )


def test_a_worker_that_hangs_is_given_up_after_the_time_out(pytester, fault):
    fault("hang@build")
    before = set(psutil.Process().children(recursive=True))
    result = run(pytester, "models.small, FAKE", options=("--bench-timeout", "0.5"))
    result.assert_outcomes(failed=1)
    assert "small tests.support.fakes forward: gave no answer for 0.5 s and was killed (w" in text(
        result
    )
    assert set(psutil.Process().children(recursive=True)) <= before


def test_two_at_a_time_are_refused_in_one_sentence(pytester):
    # xdist's own processes do not have this process's path.
    pytester.makeconftest(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n")
    result = run(pytester, "models.small, FAKE", options=("-n", "2"))
    result.assert_outcomes(failed=1)
    assert "timed tests: pytest-xdist runs several at a time on one machine; leave" in text(result)


@pytest.mark.parametrize("more", ["", ", framework='keras'"])
def test_a_framework_that_is_not_installed_is_said_with_the_command(pytester, monkeypatch, more):
    for name, place in list(registry.FRAMEWORKS.items()):
        absent = registry.Known(place.module, ("no_such_module",), place.install)
        monkeypatch.setitem(registry.FRAMEWORKS, name, absent)
    result = run(pytester, f"models.small, input=(1, 28, 28){more}")
    result.assert_outcomes(failed=1)
    name = "keras" if more else "pytorch"
    sentence = f'{name} cannot be used: no_such_module not installed; run pip install "convbench['
    assert sentence in text(result)


BARE = """
from tests.support import fakes

class Bare(fakes.Fake):
    name = "mine.bare"
    takes = None

def framework():
    return Bare()
"""


def test_a_framework_of_ones_own_that_runs_no_such_models_says_so(pytester):
    pytester.mkpydir("mine").joinpath("bare.py").write_text(BARE, encoding="utf-8")
    result = run(pytester, "models.small, input=(1, 28, 28), framework='mine.bare'")
    result.assert_outcomes(failed=1)
    sentence = "small mine.bare forward: models of your own: mine.bare has no takes, answer and own"
    assert sentence in text(result)


FOREIGN = """
import pytest

@pytest.fixture
def throughput():
    return "a factory's"

def test_factory(throughput):
    assert throughput == "a factory's"
"""


def test_a_fixture_of_the_same_name_is_left_alone(pytester):
    pytester.makepyfile(FOREIGN)
    here(pytester, *QUICK).assert_outcomes(passed=1)
