"""Both compilers: models are what was described, compute the same, change what a pass may."""

import importlib.util
import json
import math
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from filelock import FileLock

from convbench.base.errors import FrameworkMissing, UnknownName
from convbench.checks.parity import compare
from convbench.checks.rounding import judge
from convbench.frameworks.arrays import reading
from convbench.frameworks.modes import DEFAULT, concerns, precision
from convbench.frameworks.registry import known, load_framework, missing, variables
from convbench.frameworks.weights import batch, filler
from convbench.front.cli import main
from convbench.measure.worker.launcher import Launcher
from convbench.networks.ops import BatchNorm
from convbench.networks.zoo.names import architecture
from tests.conftest import ROOT
from tests.support.framework_facts import ARCHITECTURES, LARGE
from tests.support.small_graphs import GRAPHS, OTHERS, lenet_parts

NAMES = (*GRAPHS, *ARCHITECTURES)
EVERY = (*NAMES, LARGE, *OTHERS)
SMALL = tuple(name for name in GRAPHS if name != "flattened_image_normalized")
"""Without dropout, whose chance is the compiler's."""
LARGER = "resnet20_cifar_keras_3x17x22_7_classes"
COMPILED = ("shortcuts", "two_heads", "frozen_base", "pooled_logits")
"""Enough for compilers that take seconds each time."""
ASKED = {
    ("pytorch", "compiled"): COMPILED,
    ("pytorch", "channels_last"): (*SMALL, "resnet20_cifar", LARGE),
    ("pytorch", "compiled+channels_last"): ("shortcuts", "two_heads"),
    ("keras", "eager"): SMALL,
    ("keras", "compiled"): COMPILED,
}
FEWER = (*(n for n in GRAPHS if n != LARGER), "lenet5", LARGE, *OTHERS)
"""Asked of the backends that take long: JAX compiles each network six times."""
NEEDS = {
    "pytorch": [pytest.mark.pytorch],
    "keras": [pytest.mark.keras],
    "keras-jax": [pytest.mark.keras, pytest.mark.jax],
    "keras-torch": [pytest.mark.keras, pytest.mark.pytorch],
}
FRAMEWORKS = [pytest.param(name, marks=marks) for name, marks in NEEDS.items()]
KERAS = FRAMEWORKS[1:]
"""On each of its backends, to be held against PyTorch."""


def asked(framework, mode=DEFAULT):
    """The networks that a framework is asked about in a mode."""
    every = FEWER if framework in ("keras-jax", "keras-torch") else EVERY
    return ASKED.get((framework, mode), every)


def in_each(names=NAMES, *more, frameworks=tuple(NEEDS)):
    """Each framework with each of the networks that it is asked about, and `more` of each."""
    return [
        pytest.param(framework, name, marks=NEEDS[framework], id=f"{framework}-{name}")
        for framework in frameworks
        for name in (*names, *more)
        if name in asked(framework)
    ]


def against_pytorch(names=NAMES, *more):
    """As `in_each`, without PyTorch, which is needed too."""
    return in_each(names, *more, frameworks=tuple(NEEDS)[1:])


class Facts:
    """What each framework said in each mode, asked once."""

    def __init__(self, folder):
        self.folder, self.known, self.why_not = folder, {}, {}

    def __call__(self, framework, mode=DEFAULT, names=None):
        side = framework, mode
        if side not in self.known | self.why_not:
            place = self.folder / framework / mode
            why_not = place / "why_not.txt"
            place.mkdir(parents=True, exist_ok=True)
            with FileLock(place / "lock"):  # another process that runs tests may be asking already
                if not (place / "facts.json").exists() and not why_not.exists():
                    done = self._asked(framework, mode, place, names or asked(framework, mode))
                    if done.returncode != 0:
                        why_not.write_text(done.stderr[-3000:])
            if why_not.exists():
                self.why_not[side] = why_not.read_text()
            else:
                self.known[side] = json.loads((place / "facts.json").read_text())
        if side in self.why_not:  # once is enough: each test that needs it fails of the same
            pytest.fail(self.why_not[side], pytrace=False)
        if unsupported := self.known[side].get("unsupported"):
            pytest.skip(unsupported)
        return self.known[side]

    @staticmethod
    def _asked(framework, mode, place, names):
        """The process that says it all."""
        command = [
            sys.executable,
            "-m",
            "tests.support.framework_facts",
            framework,
            mode,
            str(place),
        ]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}
        environment |= dict(variables(framework, mode))
        environment["XLA_FLAGS"] = (
            f"--xla_dump_to={place / 'xla'} --xla_dump_hlo_module_re=_step_ --xla_dump_hlo_as_text"
        )
        return subprocess.run(
            [*command, *names],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def compiled_by_xla(self, mode):
        """How many training steps of Keras XLA itself says that it has compiled."""
        self("keras", mode)
        return len([*(self.folder / "keras" / mode / "xla").glob("*_step_*before_opt*.txt")])

    def evidence(self, framework, name, mode=DEFAULT):
        self(framework, mode)
        return self.folder / framework / mode / f"{name}.evidence.npz"

    def arrays(self, framework, name, mode=DEFAULT):
        self(framework, mode)
        return dict(np.load(self.folder / framework / mode / f"{name}.npz"))


def test_what_fails_once_fails_each_time_for_the_same_reason(tmp_path):
    told = Facts(tmp_path)
    whys = []
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception) as failure:
            told("no_such_framework", DEFAULT, ["lenet5"])
        whys.append(str(failure.value))
    assert "unknown framework 'no_such_framework'" in whys[0]
    assert whys[0] == whys[1]


@pytest.fixture(scope="session")
def shared(request, tmp_path_factory):
    """A folder that all processes of one run of the tests share."""
    mine = tmp_path_factory.getbasetemp()
    return mine.parent if hasattr(request.config, "workerinput") else mine


@pytest.fixture(scope="session")
def facts(shared):
    return Facts(shared / "facts")


@pytest.fixture(scope="session")
def every_compiled(shared):
    return Facts(shared / "every_compiled")


def graph_of(name):
    return GRAPHS[name]() if name in GRAPHS else architecture(name)


@pytest.mark.parametrize(("framework", "name"), in_each())
def test_weights_come_back_as_they_went_in(facts, framework, name):
    assert facts(framework)[name]["same as described"]


@pytest.mark.parametrize(("framework", "name"), in_each())
def test_a_model_without_memory_is_observed_like_a_real_one(facts, framework, name):
    assert facts(framework)[name]["observed alike"]


@pytest.mark.parametrize(("framework", "name"), in_each())
def test_each_pass_changes_what_it_may(facts, framework, name):
    changed = facts(framework)[name]["changed"]
    graph = graph_of(name)
    running = {
        f"{node.address}/{t.name}"
        for node in graph
        for t in node.tensors
        if "running" in t.name and not node.frozen
    }
    trained = {f"{node.address}/{t.name}" for node in graph for t in node.tensors if t.trainable}
    assert changed["forward"] == []
    assert set(changed["backward"]) == running
    assert set(changed["train_step"]) <= running | trained
    assert {key for key in changed["train_step"] if key.endswith("/weight")}
    assert running <= set(changed["train_step"])


@pytest.mark.pytorch
@pytest.mark.parametrize(("framework", "name"), against_pytorch(NAMES, LARGE))
def test_frameworks_give_the_same_answer(facts, framework, name):
    one, other = (facts.arrays(f, name)["answer"] for f in ("pytorch", framework))
    assert relative(one, other) < 1e-5


@pytest.mark.pytorch
@pytest.mark.parametrize(
    ("framework", "name"), against_pytorch([n for n in NAMES if n != "flattened_image_normalized"])
)
def test_frameworks_train_alike(facts, framework, name):
    """After one step from the same weights the weights are the same (dropout would differ)."""
    one, other = (facts.arrays(f, name) for f in ("pytorch", framework))
    assert one.keys() == other.keys()
    for key in one:
        if not key.endswith("running_var"):
            assert relative(one[key], other[key]) < 1e-5, key


def parity(facts, framework, name, other=None):
    """PyTorch's computation of a network against Keras's, or against that of another network."""
    sides = ("pytorch", framework)
    files = tuple(facts.evidence(*side) for side in zip(sides, (name, other or name), strict=True))
    return compare(graph_of(name), sides, files, "float64", seconds=0)


@pytest.mark.pytorch
@pytest.mark.parametrize(("framework", "name"), against_pytorch())
def test_frameworks_compute_the_same_function(facts, framework, name):
    found = parity(facts, framework, name)
    assert found.disagreement is None, str(found.disagreement)
    assert max(found.outputs, found.gradients, found.statistics) < 1e-11
    assert found.losses < 1e-9


@pytest.mark.pytorch
@pytest.mark.parametrize("framework", KERAS)
@pytest.mark.parametrize(
    ("name", "other", "at", "kind"),
    [
        ("shortcuts", "wrong layout", "conv1", "output"),
        ("shortcuts", "other eps", "bn1", "output"),
        ("shortcuts", "other decay", "bn1", "statistic"),
        ("one_sided_padding", "other padding", "conv1", "output"),
        ("branches_and_pools", "padding counted", "same", "output"),
        ("squeeze_and_excitation", "other factor", "scaled", "output"),
    ],
)
def test_another_function_with_the_same_counts_is_found_at_its_layer(
    facts, framework, name, other, at, kind
):
    found = parity(facts, framework, name, other)
    assert not found.same
    assert (found.disagreement.at, found.disagreement.kind) == (at, kind)
    assert found.disagreement.error > 1e-6
    assert found.disagreement.before < 1e-11


@pytest.mark.parametrize(("framework", "name"), in_each())
def test_the_same_seed_gives_the_same_bits(facts, framework, name):
    files = tuple(facts.evidence(framework, f"{name}{again}") for again in ("", ".again"))
    with reading(files[0]) as one, reading(files[1]) as other:
        assert list(one) == list(other)
        assert all(np.array_equal(one[key](), other[key]()) for key in one)


@pytest.mark.pytorch
@pytest.mark.keras
@pytest.mark.parametrize("name", ["shortcuts", "resnet20_cifar"])
def test_running_variances_differ_by_the_factor_that_is_known(facts, name):
    """PyTorch keeps the unbiased variance of a batch (n - 1), Keras the biased one (n)."""
    one, other = (facts.arrays(f, name) for f in ("pytorch", "keras"))
    graph, values = graph_of(name), filler(graph_of(name), seed=1)
    for node in (n for n in graph if isinstance(n.op, BatchNorm)):
        key = f"{node.address}/running_var"
        kept = node.op.decay * values(key, node.output[:1])
        n = 3 * math.prod(node.output[1:])
        unbiased, biased = one[f"after/{key}"] - kept, other[f"after/{key}"] - kept
        assert relative(unbiased * (n - 1) / n, biased) < 1e-3, key


@pytest.mark.pytorch
@pytest.mark.keras
def test_the_comparison_objects_to_another_function(facts):
    one, other = (facts.arrays(f, "shortcuts")["answer"] for f in ("pytorch", "keras"))
    assert relative(one, other + 1e-3) > 1e-5


GROUPED = [name for name in GRAPHS if concerns("native_groups", GRAPHS[name]())]


def test_there_are_grouped_networks_to_compare_modes_with():
    assert GROUPED == ["groups_and_rectangles", "towers"], (
        "depthwise convolutions are another layer"
    )


def in_modes(*more):
    """Each network that a mode is asked about, with its framework and mode; and `more`."""
    asked = {**ASKED, ("keras", "native_groups"): GROUPED}
    pairs = [(*side, name) for side, names in asked.items() for name in names if name != LARGE]
    return [
        pytest.param(*case, marks=getattr(pytest.mark, case[0]), id="-".join(case))
        for case in (*pairs, *more)
    ]


@pytest.mark.parametrize(("framework", "mode", "name"), in_modes())
def test_a_mode_has_the_same_layers_and_arrays_and_may_change_the_same(
    facts, framework, mode, name
):
    told, default = facts(framework, mode)[name], facts(framework)[name]
    assert told["same as described"]
    assert told["observed alike"]
    for pass_, changed in told["changed"].items():
        apart = {*changed} ^ {*default["changed"][pass_]}
        # A bias before batch normalization has no gradient but for rounding, which may be 0.
        assert all(pass_ == "train_step" and key.endswith("/bias") for key in apart), apart


@pytest.mark.parametrize(
    ("framework", "mode", "name"),
    in_modes(("keras", "native_groups", LARGE), ("pytorch", "channels_last", LARGE)),
)
def test_a_mode_gives_the_same_answer(facts, framework, mode, name):
    one, other = (facts.arrays(framework, name, m)["answer"] for m in (mode, DEFAULT))
    assert relative(one, other) < 1e-5


@pytest.mark.parametrize(("framework", "mode", "name"), in_modes())
def test_a_mode_trains_alike(facts, framework, mode, name):
    """The weights after one step are the same, and so is the step, which is far smaller."""
    one, other = (facts.arrays(framework, name, m) for m in (mode, DEFAULT))
    before = filler(graph_of(name), seed=1)
    assert one.keys() == other.keys()
    for key in one.keys() - {"answer"}:
        assert relative(one[key], other[key]) < 1e-5, key
        start = before(key.removeprefix("after/"), one[key].shape)
        if name in GROUPED:  # elsewhere some biases have no gradient but for rounding
            assert relative(one[key] - start, other[key] - start) < 1e-4, key


def parity_of_mode(facts, framework, mode, name, default=None):
    """A mode's computation of a network against the default's, or against another network's."""
    files = (
        facts.evidence(framework, default or name),
        facts.evidence(framework, name, mode),
    )
    return compare(graph_of(name), (DEFAULT, mode), files, precision(mode), seconds=0)


@pytest.mark.parametrize(("framework", "mode", "name"), in_modes())
def test_a_mode_computes_the_same_function(facts, framework, mode, name):
    found = parity_of_mode(facts, framework, mode, name)
    assert found.same, str(found.disagreement)
    assert found.dtype == "float32" or found.error < 1e-11


@pytest.mark.parametrize(
    ("framework", "mode", "name"),
    [
        pytest.param("pytorch", "compiled", "shortcuts", marks=pytest.mark.pytorch),
        pytest.param("pytorch", "channels_last", "shortcuts", marks=pytest.mark.pytorch),
        pytest.param("keras", "compiled", "shortcuts", marks=pytest.mark.keras),
        pytest.param("keras", "eager", "shortcuts", marks=pytest.mark.keras),
    ],
)
def test_a_mode_that_computes_something_else_is_found_at_its_layer(facts, framework, mode, name):
    found = parity_of_mode(facts, framework, mode, name, default="other eps")
    assert not found.same
    assert (found.disagreement.at, found.disagreement.kind) == ("bn1", "output")


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS[:2])
@pytest.mark.parametrize("name", [n for n in GRAPHS if n not in COMPILED])
def test_every_layer_computes_the_same_compiled(facts, every_compiled, framework, name):
    every_compiled(framework, "compiled", [*GRAPHS])
    files = (facts.evidence(framework, name), every_compiled.evidence(framework, name, "compiled"))
    found = compare(graph_of(name), (DEFAULT, "compiled"), files, "float64", seconds=0)
    assert found.same, str(found.disagreement)


@pytest.mark.pytorch
def test_compiled_pytorch_compiles_the_whole_network_and_its_gradient(facts):
    """Dynamo's own counters, of one training step: one graph with every layer in it."""
    layers = len(GRAPHS["shortcuts"]().nodes) - 1
    told = facts("pytorch", "compiled")["how it runs"]
    assert told["compiled graphs"] == told["differentiated graphs"] == 1
    assert told["compiled nodes"] >= layers - 1  # the softmax is not trained
    default = facts("pytorch")["how it runs"]
    assert (default["compiled graphs"], default["compiled nodes"]) == (0, 0)


@pytest.mark.pytorch
def test_two_modes_at_once_do_what_both_do(facts):
    told = facts("pytorch", "compiled+channels_last")["how it runs"]
    assert told["compiled graphs"] == 1
    assert told["compiled nodes"] == facts("pytorch", "compiled")["how it runs"]["compiled nodes"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_half_precision_is_used_and_is_near_to_single(facts, framework):
    told = facts(framework)["halves"]
    single, half = (np.array(told[dtype]["answer"]) for dtype in ("float32", "bfloat16"))
    assert 1e-4 < relative(half, single) < 0.05, "as far off as 8 bits are, and no farther"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_are_kept_and_updated_in_single_precision(facts, framework):
    told = facts(framework)["halves"]
    assert told["float32"]["dtypes"] == told["bfloat16"]["dtypes"] == ["float32"]
    before = filler(graph_of("shortcuts"), seed=1)
    for key, values in told["float32"]["after"].items():
        single, half = np.array(values), np.array(told["bfloat16"]["after"][key])
        start = before(key, single.shape)
        if key.endswith("/weight"):
            assert relative(half - start, single - start) < 0.2, key
            assert not np.array_equal(half, single), key


@pytest.mark.pytorch
def test_only_channels_last_lays_images_out_so(facts):
    layouts = facts("pytorch", "channels_last")["how it runs"]["channels last"]
    assert layouts
    assert all(layouts)
    assert not any(facts("pytorch")["how it runs"]["channels last"])


@pytest.mark.keras
def test_only_eager_keras_runs_its_layers_from_python(facts):
    assert facts("keras", "eager")["how it runs"]["eagerly"] == [True, True]
    for mode in (DEFAULT, "compiled"):
        assert facts("keras", mode)["how it runs"]["eagerly"] == [False], "traced once"


@pytest.mark.keras
@pytest.mark.jax
def test_keras_on_jax_compiles_a_step_once(facts):
    assert facts("keras-jax")["how it runs"]["eagerly"] == [False]


@pytest.mark.keras
@pytest.mark.pytorch
def test_keras_on_pytorch_runs_its_layers_from_python(facts):
    assert facts("keras-torch")["how it runs"]["eagerly"] == [True, True]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_double_precision_leaves_single_precision_alone(facts, framework):
    assert facts(framework)["dtype after all"] == "float32"


@pytest.mark.keras
@pytest.mark.jax
@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads from /proc")
def test_jax_has_as_many_threads_as_it_is_given():
    program = (
        "from pathlib import Path\n"
        "from convbench.frameworks.registry import load_framework\n"
        "load_framework('keras-jax').prepare('cpu', 5)\n"
        "names = [file.read_text() for file in Path('/proc/self/task').glob('*/comm')]\n"
        "print(names.count('tf_XLAEigen\\n'))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "5\n", done.stderr


@pytest.mark.slow
@pytest.mark.pytorch
@pytest.mark.parametrize("framework", KERAS[1:])
def test_the_canon_is_the_same_on_other_backends(capsys, framework):
    names = ("resnet20_cifar", "alexnet")
    assert main.main(["parity", *names, "--framework", f"pytorch,{framework}"]) == 0
    assert "2 of 2 are" in capsys.readouterr().out


@pytest.mark.keras
def test_only_compiled_keras_sends_whole_steps_through_xla(facts):
    assert facts.compiled_by_xla("compiled") > 0
    assert facts.compiled_by_xla(DEFAULT) == facts.compiled_by_xla("eager") == 0


def judged(facts, framework, run, dtype):
    files = ("float64", f"{dtype}.{run}", f"{dtype}.moved")
    evidence = tuple(facts.evidence(framework, file) for file in files)
    return judge(GRAPHS["shortcuts"](), framework, dtype, 3, evidence, seconds=0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("dtype", "least"), [("float32", 1e-8), ("bfloat16", 1e-3)])
def test_a_precision_is_off_by_its_rounding_and_by_no_more(facts, framework, dtype, least):
    found = judged(facts, framework, "found", dtype)
    assert found.unexplained is None
    assert least < found.worst["output"].error < 1e4 * least
    assert min(worst.error for worst in found.worst.values()) > 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_single_precision_does_not_explain_another_function(facts, framework):
    found = judged(facts, framework, "other", "float32")
    assert found.verdict == "NOT ROUNDING"
    assert (found.unexplained.at, found.unexplained.kind) == ("bn1", "output")


@pytest.mark.keras
def test_keras_knows_its_classes_in_bfloat16(facts):
    """Its class of the loss rounds labels to 8 bits; the function, which is used, does not."""
    assert facts("keras")["class 427"] == 427


@pytest.mark.keras
def test_the_comparison_of_steps_objects_to_another_gradient(facts):
    after = facts.arrays("keras", "towers", "native_groups")["after/conv2/weight"]
    start = filler(graph_of("towers"), seed=1)("conv2/weight", after.shape)
    wrong = start + 1.001 * (after - start)
    assert relative(wrong, after) < 1e-5, "which weights alone would not show"
    assert relative(wrong - start, after - start) > 1e-4


@pytest.mark.keras
def test_only_the_default_compiles_grouped_convolutions_with_xla(facts):
    """The finding that the report tells: one compiled function for each of them."""
    assert facts("keras")["compiled with XLA"] == 3
    assert facts("keras", "native_groups")["compiled with XLA"] == 0


def native_groups_where_onednn_is(switch):
    """What building a grouped network in the mode comes to, in a process with that variable."""
    program = (
        "from convbench.base.errors import Unsupported\n"
        "from convbench.frameworks.registry import load_framework\n"
        "from tests.support.small_graphs import GRAPHS\n"
        "keras = load_framework('keras')\n"
        "keras.prepare('cpu', 1)\n"
        "try:\n"
        "    keras.build(GRAPHS['towers'](), allocate=False, mode='native_groups')\n"
        "except Unsupported as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": switch, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.keras
def test_native_groups_are_refused_where_tensorflow_has_no_gradient_of_them():
    assert native_groups_where_onednn_is("0") == (
        "mode native_groups: this TensorFlow has no gradient of a grouped convolution without "
        "oneDNN; set TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported\n"
    )


@pytest.mark.keras
@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="TensorFlow has oneDNN on x86"
)
def test_native_groups_need_nothing_but_onednn():
    assert native_groups_where_onednn_is("1") == ""


@pytest.mark.keras
@pytest.mark.parametrize(("switch", "word"), [("0", "off"), ("1", "on")])
def test_keras_tells_whether_tensorflow_uses_onednn(monkeypatch, switch, word):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", switch)
    with Launcher("keras") as launcher, launcher.open("a task"):
        assert launcher.libraries == (("oneDNN", word),)


@pytest.mark.keras
def test_a_worker_of_a_mode_has_the_variables_that_it_needs(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    needs = variables("keras", "native_groups")
    with Launcher("keras", variables=needs) as launcher, launcher.open("a task"):
        assert launcher.libraries == (("oneDNN", "on"),)


@pytest.mark.pytorch
def test_pytorch_tells_the_instruction_set_that_it_uses(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    with Launcher("pytorch") as launcher, launcher.open("a task"):
        told = dict(launcher.libraries)
    assert told["instruction set"] == "DEFAULT"
    assert {*told} == {"instruction set", "oneDNN", "BLAS"}


def test_only_a_mode_that_needs_onednn_has_it_switched_on(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    on = (("TF_ENABLE_ONEDNN_OPTS", "1"),)
    assert variables("keras", "native_groups") == on
    assert variables("keras", "compiled+native_groups") == on
    assert variables("keras", DEFAULT) == variables("pytorch", "compiled") == ()
    assert variables("own.framework", "native_groups") == ()


@pytest.mark.parametrize("switch", ["0", "1", ""])
def test_what_the_user_says_of_onednn_stays(monkeypatch, switch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", switch)
    assert variables("keras", "native_groups") == ()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_lenets_parts_compute_what_the_papers_write(facts, framework):
    graph = lenet_parts()
    images, _ = batch(graph, 3, seed=1)
    values = filler(graph, seed=1)
    weights = {
        f"{n.address}/{t.name}": values(f"{n.address}/{t.name}", t.shape).astype(float)
        for n in graph
        for t in n.tensors
    }
    x = table_convolution(images, weights["c/weight"], weights["c/bias"], graph["c"].op.table)
    x = 1.7159 * np.tanh(2 / 3 * x)
    x = x.reshape(3, 4, 4, 2, 4, 2).sum((3, 5))
    x = x * weights["s/weight"][:, None, None] + weights["s/bias"][:, None, None]
    x = x / (2.0 + 0.5 * neighbours(x**2)) ** 0.75
    x = x.reshape(3, -1) @ weights["f/weight"].T + weights["f/bias"]
    codes = weights["rbf/weight"]
    expected = ((x[:, None, :] - codes) ** 2).sum(-1)
    assert relative(facts.arrays(framework, "lenet_parts")["answer"], expected) < 1e-5


def table_convolution(images, weight, bias, table):
    """Convolution by the definition, one connection after the other."""
    out = np.zeros((len(images), len(table), 8, 8)) + bias[:, None, None]
    connection = 0
    for target, maps in enumerate(table):
        for source in maps:
            for i in range(3):
                for j in range(3):
                    window = images[:, source, i : i + 8, j : j + 8]
                    out[:, target] += weight[connection, i, j] * window
            connection += 1
    return out


def neighbours(x):
    """Sum over each channel and the two beside it."""
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]


def relative(one, other):
    """Relative distance in the Euclidean norm."""
    assert one.shape == other.shape
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def test_an_unknown_framework_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="unknown framework 'kera'; did you mean keras"):
        known("kera")


@pytest.mark.parametrize(
    ("framework", "backend"),
    [("keras", "tensorflow"), ("keras-jax", "jax"), ("keras-torch", "torch")],
)
def test_a_framework_that_is_not_installed_says_how_to_install_it(monkeypatch, framework, backend):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != backend or None)
    absent = missing(framework)
    assert absent is not None
    assert str(absent) == (
        f"{framework} cannot be used: {backend} not installed; "
        f'run pip install "convbench[{framework}]"'
    )
    with pytest.raises(FrameworkMissing):
        load_framework(framework)


@pytest.mark.keras
@pytest.mark.pytorch
def test_one_process_has_one_backend():
    program = (
        "from convbench.frameworks.registry import load_framework\n"
        "load_framework('keras')\n"
        "load_framework('keras-torch')"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(
        "keras-torch cannot be used: Keras has been imported on tensorflow, not on torch; "
        "set KERAS_BACKEND=torch before Keras is imported"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "its module has no function framework()"),
        ("framework = None", "its module has no function framework()"),
        (
            "def framework(): pass",
            "its framework() lacks name, modes, version, prepare, build, observe",
        ),
        (
            "class framework:\n    name = 'x'",
            "its framework() lacks modes, version, prepare, build",
        ),
    ],
)
def test_a_module_that_is_no_framework_says_what_it_lacks(tmp_path, monkeypatch, content, why):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.py").write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("mine", "mine.own"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(FrameworkMissing) as missing:
        load_framework("mine.own")
    assert missing.value.why.startswith(why)
    assert "CONTRIBUTING.md" in missing.value.remedy


def test_a_framework_that_does_not_import_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "framework.py").write_text("raise RuntimeError('no such GPU\\nat all')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(FrameworkMissing, match="RuntimeError: no such GPU;"):
        load_framework("broken.framework")
