"""What the plugin makes of a command line, a file and an installation: which tests there are."""

from __future__ import annotations

import pytest

from convbench.frameworks import registry
from tests.support import fakes
from tests.support.benches import BENCH, QUICK, bench, here, measurements, text


def test_every_chosen_task_is_one_test_with_a_name_that_says_all(pytester):
    options = ("--bench-arch", "lenet5,lenet5_keras", "--collect-only", "-q")
    result = bench(pytester, *options)
    names = ["lenet5-tests.support.fakes", "lenet5_keras-tests.support.fakes"]
    wanted = [f"test_{file}.py::test_{file}[{name}]" for file in ("structure",) for name in names]
    wanted += [f"test_{f}.py::test_{f}[{n}]" for f in ("backward", "forward") for n in names]
    assert [line for line in result.outlines if "::" in line] == wanted
    result.assert_outcomes(deselected=1)  # the pass that was not chosen


def test_a_framework_named_twice_is_run_once(pytester):
    named = f"{fakes.NAME},{fakes.NAME}"
    result = bench(pytester, "--bench-framework", named, "-k", "structure", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "test_structure.py::test_structure[lenet5-tests.support.fakes]"
    ]


def test_k_selects_by_architecture_pass_and_framework(pytester):
    options = ("--bench-arch", "lenet5,zfnet", "--collect-only", "-q")
    result = bench(pytester, *options, "-k", "lenet5 and forward and fakes")
    assert [line for line in result.outlines if "::" in line] == [
        "test_forward.py::test_forward[lenet5-tests.support.fakes]"
    ]


def test_a_mode_is_a_test_of_its_own_beside_the_default(pytester):
    options = ("--bench-mode", "default,tidy", "-k", "structure or forward", "--collect-only", "-q")
    result = bench(pytester, *options)
    assert [line for line in result.outlines if "::" in line] == [
        f"test_{name}.py::test_{name}[lenet5-tests.support.fakes{mode}]"
        for name in ("structure", "forward")
        for mode in ("", "-tidy")
    ]


# An option, and the sentence that refuses it.
BAD_OPTIONS = {
    "--bench-arch=lenet6": "unknown architecture 'lenet6'; did you mean lenet or lenet5",
    "--bench-arch=,": "--bench-arch",
    "--bench-pass=forwards": "unknown pass 'forwards'; did you mean forward?",
    "--bench-pass=,": "--bench-pass",
    "--bench-pass=predict": "pass predict: tests.support.fakes has none; "
    "choose --bench-framework keras",
    "--bench-device=tpu": "unknown device 'tpu'",
    "--bench-framework=torch": "unknown framework 'torch'; did you mean pytorch or keras-torch?",
    "--bench-framework=,": "--bench-framework",
    "--bench-mode=,": "--bench-mode",
    "--bench-mode=eager+compiled": "mode compiled+eager: no framework runs in all of it at once",
    "--bench-mode=default+compiled": "mode default+compiled: no framework runs in all of it",
    "--bench-dtype=half": "unknown dtype 'half'",
    "--bench-dtype=,": "--bench-dtype must be one or more names, but is ','",
    "--bench-batch=0": "--bench-batch must be a positive whole number, but is '0'",
    "--bench-batch=1.5": "--bench-batch must be a positive whole number, but is '1.5'",
    "--bench-batch=1,many": "--bench-batch must be a positive whole number, but is 'many'",
    "--bench-batch=,": "--bench-batch must be one or more names, but is ','",
    "--bench-precision=0": "--bench-precision must be a percentage up to 100%, but is '0'",
    "--bench-precision=2e": "--bench-precision must be a percentage up to 100%, but is '2e'",
    "--bench-precision=nan%": "--bench-precision must be a percentage up to 100%, but is 'nan%'",
    "--bench-tolerance=101%": "--bench-tolerance must be a percentage up to 100%, but is '101%'",
    "--bench-processes=0": "--bench-processes must be a positive whole number, but is '0'",
    "--bench-processes=1001": "--bench-processes must be at most 1,000, but is '1001'",
    "--bench-seed=x": "--bench-seed must be a positive whole number, but is 'x'",
    "--bench-threads=-2": "--bench-threads must be a positive whole number, but is '-2'",
    "--bench-seconds=nan": "--bench-seconds must be a positive number, but is 'nan'",
    "--bench-seconds=long": "--bench-seconds must be a positive number, but is 'long'",
    "--bench-timeout=inf": "--bench-timeout must be a positive number, but is 'inf'",
    "--bench-batch=1000000001": "--bench-batch must be at most 1,000,000,000, but is",
    "--bench-memory-limit=8": "--bench-memory-limit must be a size such as 8GiB or 500MB, but",
    "--bench-memory-limit=0GiB": "--bench-memory-limit must be a size such as 8GiB or 500MB, but",
    "--bench-threads=2147483648": "--bench-threads must be at most 4,096, but is '2147483648'",
    "--bench-seconds=1e308": "--bench-seconds must be at most 1,000,000, but is '1e308'",
    "--bench-timeout=1e300": "--bench-timeout must be at most 1,000,000, but is '1e300'",
    f"--bench-report={'r' * 300}": "--bench-report must be a name that is short enough, but is",
}


@pytest.mark.parametrize(("option", "sentence"), BAD_OPTIONS.items(), ids=BAD_OPTIONS)
def test_a_wrong_option_ends_pytest_with_one_sentence(pytester, option, sentence):
    result = bench(pytester, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [line for line in result.errlines if line.strip()]
    assert errors[0].startswith("ERROR: ")
    assert sentence in errors[0]
    assert len(errors) == 1


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which neither framework is installed."""
    monkeypatch.delenv("CI", raising=False)
    for name, place in list(registry.FRAMEWORKS.items()):
        absent = registry.Known(place.module, ("no_such_module",), place.install)
        monkeypatch.setitem(registry.FRAMEWORKS, name, absent)
    return monkeypatch


@pytest.mark.parametrize("only", ["structure", "forward"])
def test_a_framework_that_is_not_installed_is_skipped_with_the_command(
    pytester, nothing_installed, only
):
    options = (BENCH, f"--rootdir={pytester.path}", "--bench-arch=lenet5", "-k", only, "-rs")
    skipped = here(pytester, *options)
    skipped.assert_outcomes(skipped=2, deselected=6)
    assert 'run pip install "convbench[keras]"' in text(skipped)
    assert skipped.ret == pytest.ExitCode.OK
    named = here(pytester, *options, "--bench-framework", "keras")
    assert named.ret == pytest.ExitCode.TESTS_FAILED
    assert "keras cannot be used: no_such_module not installed; run pip" in text(named)
    nothing_installed.setenv("CI", "true")
    in_ci = here(pytester, *options)
    assert in_ci.ret == pytest.ExitCode.TESTS_FAILED


def test_a_mode_that_no_framework_of_the_run_offers_is_a_wrong_option(pytester):
    options = ("--bench-framework=pytorch", "--bench-arch=alexnet", "--bench-mode=native_groups")
    result = bench(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    sentence = "mode native_groups: pytorch cannot run in it; choose keras"
    assert [line for line in result.errlines if line.strip()] == [f"ERROR: {sentence}"]


def test_a_framework_that_does_not_import_fails_with_the_reason(pytester):
    result = bench(pytester, "--bench-framework", "nowhere.at_all", "-k", "forward")
    result.assert_outcomes(failed=1, deselected=3)
    assert "nowhere.at_all cannot be used" in text(result)
    assert "Traceback" not in text(result)


MINE = """
import pytest

@pytest.mark.convbench_pass("forward")
def test_mine(convbench_timed):
    convbench_timed()

def test_paper(convbench_structure):
    convbench_structure()

def test_plain():
    pass
"""


def test_the_fixtures_are_for_files_of_the_users_own_too(pytester):
    pytester.makepyfile(MINE)
    result = here(pytester, *QUICK, "--bench-report", "reports")
    result.assert_outcomes(passed=3)
    (measured,) = measurements(pytester.path / "reports")
    assert measured.task.label == "lenet5 tests.support.fakes forward"


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        ("", "the fixture convbench_timed wants the marker convbench_pass"),
        (
            "@pytest.mark.convbench_pass",
            "the fixture convbench_timed wants the marker convbench_pass",
        ),
        ("@pytest.mark.convbench_pass('forwards')", "did you mean forward"),
    ],
)
def test_a_marker_that_names_no_pass_is_refused(pytester, mark, sentence):
    pytester.makepyfile(f"import pytest\n{mark}\ndef test_mine(convbench_timed):\n    pass\n")
    result = here(pytester, *QUICK)
    assert result.ret != pytest.ExitCode.OK
    assert sentence in text(result)


FOREIGN = """
import pytest

@pytest.fixture
def structure():
    return "a crystal's"

@pytest.fixture
def timed():
    return "a race"

def test_crystal(structure, timed):
    assert (structure, timed) == ("a crystal's", "a race")
"""


def test_what_is_timed_wants_the_plugin_that_times(pytester):
    options = ("-p", "no:benchmark", "-p", "no:cacheprovider")
    result = bench(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (sentence,) = [line for line in text(result).splitlines() if line.startswith("ERROR: ")]
    assert "leave out -p no:benchmark" in sentence
    assert "INTERNALERROR" not in text(result)
    bench(pytester, *options, "-k", "structure").assert_outcomes(passed=1, deselected=3)


def test_a_task_is_timed_once_in_a_test(pytester):
    pytester.makepyfile(
        MINE.replace("    convbench_timed()", "    convbench_timed()\n    convbench_timed()")
    )
    result = here(pytester, *QUICK, "--bench-report", "reports")
    result.assert_outcomes(passed=2, failed=1)
    assert "convbench_timed times one task and can be called once in a test" in text(result)
    assert "Traceback" not in text(result)
    assert len(measurements(pytester.path / "reports")) == 1


@pytest.mark.parametrize("options", [(), ("-p", "no:benchmark")], ids=["plain", "no benchmark"])
def test_projects_that_know_nothing_of_convbench_are_left_alone(pytester, options):
    pytester.makepyfile(FOREIGN)
    result = here(pytester, *options)
    result.assert_outcomes(passed=1)
    assert "= convbench =" not in text(result)
    assert not list(pytester.path.glob("**/report.md"))


SPY = """
import sys

def pytest_sessionfinish():
    heavy = {"torch", "tensorflow", "keras", "matplotlib"} & set(sys.modules)
    print("imported:", sorted(heavy))
"""


def test_collecting_everything_imports_no_framework(pytester):
    pytester.makepyfile(spy=SPY)
    options = ("--bench-arch=all", "--collect-only", "-qq", "-p", "spy", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(BENCH, f"--rootdir={pytester.path}", *options)
    assert result.ret == pytest.ExitCode.OK
    assert "imported: []" in text(result)
