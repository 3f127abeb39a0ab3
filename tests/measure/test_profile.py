"""Where the time goes: nodes one by one, in the words, the tables and the plot of a profile."""

from __future__ import annotations

import json
import struct
from contextlib import contextmanager

import pytest
from attrs import evolve, frozen

from convbench.base.errors import WorkerFailed
from convbench.frameworks import weights
from convbench.frameworks.protocol import HasNodeSteps
from convbench.frameworks.registry import load_framework
from convbench.front.cli import main
from convbench.front.cli import profile as command
from convbench.measure.profile import profile
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.measure.worker import nodes as worker_profile
from convbench.networks.roofline import Machine, work
from tests.measure.worker.test_child import PREPARE, answers
from tests.support import fakes
from tests.support.builders import graph

TASK = Task(architecture="lenet5", framework="a", pass_="forward", batch=2, device="cpu", threads=1)
REAL = [
    pytest.param(name, marks=getattr(pytest.mark, name), id=name) for name in ("pytorch", "keras")
]


@frozen
class Child:
    """Plays a worker whose every node takes `node_s`, and the network `whole_s`."""

    framework: str
    node_s: float
    whole_s: float
    refuses: type[messages.Request] | None = None
    task = "a task"

    @property
    def launcher(self):
        return type("Launcher", (), {"version": f"{self.framework} 1.0"})

    def ask(self, request, _reply, _stage):
        if type(request) is self.refuses:
            return messages.Refused("it does not")
        match request:
            case messages.Attain():
                attained = {"matmul_flops": 1e9, "conv_flops": 2e9, "copy_bytes_s": 1e9}
                return messages.Attained(**attained)
            case messages.Prepare():
                warmup_s = (self.whole_s,)
                return messages.Prepared(report=None, build_s=0.0, first_s=1.0, warmup_s=warmup_s)
            case messages.Rounds(count=count):
                return messages.Timed((self.whole_s,) * count)
            case _:
                nodes = (node.address for node in graph("lenet5"))
                seconds = ((1e-6 if name == "input" else self.node_s,) * 3 for name in nodes)
                pairs = zip((node.address for node in graph("lenet5")), seconds, strict=True)
                return messages.Profiled(tuple(messages.NodeTime(*pair) for pair in pairs))


def profiled(*children, tasks=None):
    by_name = {child.framework: child for child in children}

    @contextmanager
    def open_(framework, _label, _mode):
        yield by_name[framework]

    tasks = tasks or [evolve(TASK, framework=child.framework) for child in children]
    return profile(graph("lenet5"), tasks, None, open_)


def test_nodes_stand_beside_their_bounds_and_add_up():
    found = profiled(Child("a", 0.001, 0.02), Child("b", 0.002, 0.01))
    assert found.machine == Machine(2e9, 1e9)
    works = work(graph("lenet5"), "forward", 2, 4)
    assert [row.name for row in found.rows] == [n.address for n in graph("lenet5").nodes[1:]]
    assert found.rows[0].bound_s == pytest.approx(2 * 2 * 117_600 / 2e9)
    assert found.bound_s == pytest.approx(found.machine.network_bound_s(works.values()))
    assert found.rows[0].seconds == {"a": 0.001, "b": 0.002}
    a, b = found.sides
    assert (a.sum_s, b.sum_s) == (pytest.approx(0.014), pytest.approx(0.028))
    kinds = {row.name: row for row in found.by_kind()}
    assert kinds["convolution"].nodes == 3
    assert kinds["convolution"].seconds["b"] == pytest.approx(0.006)
    assert sum(row.nodes for row in kinds.values()) == 14
    assert len(found.slowest(3)) == 3


@pytest.mark.parametrize(
    ("whole_s", "said"),
    [
        (0.0140, "Running them together neither saves nor costs anything to speak of."),
        (0.0070, "Running them together saves 7.00 ms: calls (14 calls of 1.00 µs each would be"),
        (0.0280, "Running them together costs 14.0 ms more. Alone, a node finds its weights"),
    ],
)
def test_the_whole_and_the_sum_of_its_nodes_are_said_in_words(whole_s, said):
    line = command.words(profiled(Child("a", 0.001, whole_s)))[1]
    assert "its 14 nodes one by one 14.0 ms" in line
    assert said in line
    assert "the loss" not in line
    training = evolve(TASK, pass_="backward")
    slow = Child("a", 0.001, 0.028)
    assert "the loss and the sums" in command.words(profiled(slow, tasks=[training]))[1]


def test_a_difference_within_the_interval_is_no_difference():
    found = profiled(Child("a", 0.001, 0.02))
    (side,) = found.sides
    wide = evolve(side, whole=evolve(side.whole, low=0.01, high=0.03))
    assert "varies too much to tell" in command.words(evolve(found, sides=(wide,)))[1]
    assert "costs 6.00 ms more" in command.words(found)[1]


def test_a_busy_machine_is_told():
    found = profiled(Child("a", 0.001, 0.02))
    quiet, busy = (
        evolve(found, sides=(evolve(found.sides[0], beside=share),)) for share in (0.1, 0.9)
    )
    assert "busy" not in "\n".join(command.words(quiet))
    assert "others used 0.90 of its cores" in command.words(busy)[-1]


def test_without_a_peak_there_is_no_bound():
    found = profiled(Child("a", 0.001, 0.02, refuses=messages.Attain))
    assert found.machine is None
    assert not any("roofline" in line for line in command.words(found))


def test_what_is_refused_is_raised_with_its_reason():
    for refused in (messages.Prepare, messages.Profile):
        with pytest.raises(WorkerFailed, match="it does not"):
            profiled(Child("a", 0.001, 0.02, refuses=refused))


def test_a_framework_without_node_steps_is_refused_in_one_sentence():
    *_, refused = answers(PREPARE, messages.Profile())
    why = "a profile: tests.support.fakes has no node_steps"
    assert refused.why == f"{why}; frameworks/__init__.py says what they are"


def test_a_model_that_is_not_the_papers_is_not_profiled(fault, capsys):
    fault("wrong-structure@observe")
    with pytest.raises(SystemExit) as left:
        main.main(["profile", "lenet5", "--framework", fakes.NAME, "--batch", "1"])
    assert left.value.code == 2
    assert "not timed, because it is not the paper's network" in capsys.readouterr().err


def test_rounds_of_a_node_fill_their_time_and_trace_first(monkeypatch):
    now, calls = [0.0], []

    def step():
        calls.append(now[0])
        now[0] += 5.0 if len(calls) == 1 else 0.02

    monkeypatch.setattr(worker_profile, "perf_counter", lambda: now[0])
    found = worker_profile.rounds(step)
    assert found == pytest.approx((0.02,) * 5), "neither what traced nor what warmed up"
    assert len(calls) == 7


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("pass_", ["forward", "backward"])
@pytest.mark.parametrize("network", ["lenet5", "googlenet_aux", "vgg16_cats_dogs_finetuned"])
def test_every_node_of_a_pass_has_a_step_in_order(name, pass_, network):
    described, framework = graph(network), load_framework(name)
    assert isinstance(framework, HasNodeSteps)
    model = framework.build(described, allocate=True)
    framework.load(model, weights.filler(described, 0))
    images, _ = weights.batch(described, 2, 0)
    seen = []
    for address, step in framework.node_steps(model, pass_, images):
        seen.append(address)
        if network == "lenet5":
            step()
    assert seen == [*work(described, pass_, 2, 4)]


@pytest.mark.processes
@pytest.mark.parametrize("name", REAL)
def test_the_command_prints_tables_words_and_draws(name, capsys, tmp_path):
    file = tmp_path / "profile.png"
    words = ["profile", "lenet5", "--framework", name, "--batch", "2", "--threads", "1"]
    with pytest.raises(SystemExit) as left:
        main.main([*words, "--pass", "backward", "--top", "3", "--plot", str(file)])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("lenet5, backward: batch 2, float32, cpu, 1 thread\n")
    said = " ".join(said.split())
    assert "11 faster nodes are left out" in said
    assert "the whole network takes" in said
    width, height = struct.unpack(">II", file.read_bytes()[16:24])
    assert width > 600
    assert height > 300
    with pytest.raises(SystemExit):
        main.main([*words, "--format", "json"])
    content = json.loads(capsys.readouterr().out)
    assert [node["at"] for node in content["nodes"]][:2] == ["c1", "c1_squash"]
    assert all(node["seconds"][name] > 0 for node in content["nodes"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["resnet51"], "unknown architecture 'resnet51'"),
        (["lenet5", "--plot", "a.txt"], "--plot must be a file that ends in .png or .svg or .pdf"),
        (["lenet5", "--mode", "quick"], "unknown mode 'quick'"),
    ],
)
def test_a_wrong_word_is_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["profile", *words])
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"convbench: {sentence}")
    assert err.count("\n") == 1


@pytest.mark.pytorch
def test_pytorchs_compiled_mode_has_no_nodes_to_time():
    framework = load_framework("pytorch")
    described = graph("lenet5")
    model = framework.build(described, allocate=False, mode="compiled")
    with pytest.raises(Exception, match=r"what torch\.compile makes of a network has no nodes"):
        framework.node_steps(model, "forward", weights.batch(described, 1, 0)[0])
