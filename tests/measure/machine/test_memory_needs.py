"""What a task needs at least: by hand on small networks, and never more than it turns out to."""

from __future__ import annotations

from math import prod

import pytest
from attrs import evolve

from convbench.base.errors import Shortage, is_about_memory
from convbench.measure.machine import environment, memory_needs
from convbench.measure.machine.memory_needs import DoesNotFit
from convbench.measure.records import Task
from convbench.measure.worker import messages
from convbench.measure.worker.launcher import Launcher
from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import BatchNorm, Concat, Conv, Dense, Dropout, Flatten, Relu, Softmax
from convbench.networks.zoo.names import ARCHITECTURES, architecture
from convbench.papers.sources import tables_folder

GIB = 2**30
TASK = Task(
    architecture="small", framework="pytorch", pass_="forward", batch=10, device="cpu", threads=1
)


def branches(*, frozen: bool = False) -> Graph:
    """Images of 2x4x4 values that two convolutions read, and a dense layer behind both."""
    net = Builder("small", (2, 4, 4))
    left = net("left", Conv(3, 1, bias=False), net.input)  # 6 weights, 48 values
    right = net("right", Conv(5, 1, bias=False), net.input)  # 10 weights, 80 values
    both = net("both", Concat(), left, right)  # 128 values
    norm = net("norm", BatchNorm(eps=1e-5, decay=0.9), both)  # 16 weights, and 16 not trained
    if frozen:
        net.freeze("left", "right", "norm")
    flat = net("flat", Flatten(), net("drop", Dropout(0.5), net("relu", Relu(), norm)))
    net("softmax", Softmax(), net("fc", Dense(7, bias=False), flat))  # 896 weights, 7 values
    return net.graph()


MOMENTS = {
    "images, and the layer that is at work": ("forward", 10, 928 + 16 + 10 * (32 + 128 + 7)),
    "images, what enters norm and fc": ("backward", 10, 928 + 16 + 10 * (32 + 128 + 128)),
    "gradients": ("backward", 1, 928 + 16 + 928),
    "and momentum": ("train_step", 10, 928 + 16 + 928 + 10 * (32 + 128 + 128)),
    "momentum and the largest gradient": ("train_step", 1, 928 + 16 + 928 + 896),
}


@pytest.mark.parametrize(("pass_", "batch", "values"), MOMENTS.values(), ids=MOMENTS)
def test_the_moment_that_needs_the_most_counts(pass_, batch, values):
    task = evolve(TASK, pass_=pass_, batch=batch)
    assert memory_needs.of_task(branches(), task) == 4 * values
    assert memory_needs.of_task(branches(), evolve(task, dtype="float64")) == 8 * values


def test_half_precisions_are_mixed():
    task = evolve(TASK, pass_="train_step", batch=10, dtype="bfloat16")
    needed = memory_needs.of_task(branches(), task)
    assert needed == 4 * (928 + 16 + 928) + max(2 * 10 * (32 + 128 + 128), 4 * 896)


def test_what_a_compiler_may_compute_again_need_not_be_kept():
    task = evolve(TASK, pass_="backward", batch=10)
    needed = 4 * (928 + 16 + 10 * (32 + 128 + 7))
    assert memory_needs.of_task(branches(), task) > needed
    for other in ({"mode": "compiled+channels_last"}, {"framework": "keras-jax"}):
        assert memory_needs.of_task(branches(), evolve(task, **other)) == needed


def test_what_is_not_trained_keeps_nothing_and_has_no_gradient():
    task = evolve(TASK, pass_="backward", batch=100)
    weights = 6 + 10 + 16 + 16 + 896
    needed = memory_needs.of_task(branches(frozen=True), task)
    assert needed == 4 * (weights + 100 * (32 + 128 + 7))
    assert needed < memory_needs.of_task(branches(), task)


def test_an_auxiliary_classifier_may_be_done_with_early():
    plain, auxiliary = architecture("googlenet"), architecture("googlenet_aux")
    task = evolve(TASK, pass_="backward", batch=1000)
    more = memory_needs.of_task(auxiliary, task) - memory_needs.of_task(plain, task)
    assert more == 4 * (auxiliary.parameters - plain.parameters) > 0, "its weights alone"


@pytest.mark.parametrize("pass_", ["forward", "backward", "train_step"])
def test_a_larger_batch_never_needs_less_whatever_the_network(pass_):
    for name in ARCHITECTURES:
        graph = architecture(name)
        one, ten = (
            memory_needs.of_task(graph, evolve(TASK, pass_=pass_, batch=batch)) for batch in (1, 10)
        )
        assert 4 * (graph.parameters + 10 * prod(graph.input)) < ten
        assert one <= ten, name


NETWORKS = ("alexnet", "resnet18")


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    "framework",
    [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pytorch", "keras")],
)
def test_no_task_gets_by_with_less(framework):
    tables = str(tables_folder())
    with Launcher(framework) as launcher:
        for name in NETWORKS:
            for pass_ in ("forward", "backward", "train_step"):
                task = evolve(
                    TASK, architecture=name, framework=framework, pass_=pass_, batch=8, threads=2
                )
                with launcher.open(task.label) as child:
                    child.ask(messages.Prepare(task, tables, 0.0), messages.Prepared, "preparing")
                    peaks = child.ask(messages.Peak(), messages.Peaks, "reading its memory")
                needed = memory_needs.of_task(architecture(name), task)
                assert needed <= peaks.memory.host_bytes, task.label
                assert peaks.memory.host_bytes < 4 * needed, f"{task.label}: nothing is refused"


def test_what_is_left_counts_where_no_limit_is_lower(monkeypatch):
    monkeypatch.setattr(environment, "available_bytes", lambda: 8 * GIB)
    memory_needs.refuse_beyond(8 * GIB, None)
    memory_needs.refuse_beyond(4 * GIB, 4 * GIB)
    with pytest.raises(DoesNotFit) as failed:
        memory_needs.refuse_beyond(9 * GIB, None)
    assert str(failed.value) == (
        "does not fit: needs at least 9.00 GiB of memory, 8.00 GiB is available; "
        "choose a smaller batch"
    )
    with pytest.raises(DoesNotFit) as failed:
        memory_needs.refuse_beyond(5 * GIB, 4 * GIB)
    assert "needs at least 5.00 GiB of memory, the limit is 4.00 GiB;" in str(failed.value)


def test_what_nobody_can_put_a_number_on_is_told_all_the_same():
    sentence = "does not fit: there is no memory left; choose a smaller batch"
    assert str(DoesNotFit(Shortage())) == sentence


ASKED = {
    "[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 400000000 bytes. Error code 12 (Cannot allocate memory)": 400_000_000,
    "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has": 512 * 2**20,
    "Unable to allocate 1.50 TiB for an array with shape (1, 2)": 3 * 2**39,
    "OOM when allocating tensor with shape[256,64] and type half on /job:localhost": 32768,
    "failed to allocate memory [Op:Mul]": 0,
    "std::bad_alloc": 0,
}


@pytest.mark.parametrize(("text", "asked"), ASKED.items())
def test_what_was_asked_for_in_vain_is_read_from_what_frameworks_say(text, asked):
    assert memory_needs.asked_for(text) == asked
    assert is_about_memory(RuntimeError(text))
