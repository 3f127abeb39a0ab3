"""A framework made of nothing but what the graph says, and ways to make it misbehave.

Chosen as `--bench-framework tests.support.fakes` where the root of the repository is on PYTHONPATH.
Real worker processes run it, so that launching, killing and reporting are tested without a
framework. It fails where the file that CONVBENCH_FAKE_FAULT names says so, in the form
`FAULT@STAGE` or `FAULT@STAGE@ARCHITECTURE`. The file is read at each stage: a test can let one
task fail and the next one pass in the same template process.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from convbench.frameworks.arrays import Keep
from convbench.frameworks.modes import DEFAULT
from convbench.frameworks.observation import Observation, ObservedNode, ObservedTensor
from convbench.frameworks.protocol import Array, DeviceMemory, Values
from convbench.frameworks.registry import require_mode
from convbench.networks.graph import Graph
from convbench.networks.passes import PASSES, Pass

NAME = "tests.support.fakes"
VARIABLE = "CONVBENCH_FAKE_FAULT"
VERSION = "fakes 1.0"
OTHER_MODE = "tidy"
STAGES = ("prepare", "build", "observe", "load", "step")
FLOOD_BYTES = 1 << 20
TAKEN_BYTES = 300 << 20
ROUNDED = {"float32": 1e-7, "bfloat16": 5e-3}
"""The error of the fake's outputs in each precision, which is one or two roundings."""


def _message_pipes(mode: int) -> Iterator[int]:
    """Descriptors of the pipes between worker and parent, which have no name to ask for."""
    for fd in range(3, 32):
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
        except OSError:
            continue
        if is_pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == mode:
            yield fd


def _say(text: bytes) -> None:
    """Writes between the messages, as nobody should."""
    fd = next(_message_pipes(os.O_WRONLY))
    while text:
        text = text[os.write(fd, text) :]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _hang() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)


def _mumble() -> None:
    _say(b'{"kind": "prep')
    os._exit(0)


def _close() -> None:
    for fd in [*_message_pipes(os.O_WRONLY), *_message_pipes(os.O_RDONLY)]:
        os.close(fd)


def _chatter() -> None:
    print('{"kind": "exited", "code": 0}', flush=True)
    os.write(1, b"straight to descriptor 1\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    sys.stderr.write("the chatter of an earlier task\n")


LOG = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1763800000.123456    4321 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1763800000.123456 4321 cuda_executor.cc:1228] INTERNAL: failed call to cudaGetRuntime
2026-11-22 08:00:00.123456: W tensorflow/core/framework/op.cc:10] something is deprecated
"""


def _log_and_exit() -> NoReturn:
    sys.stderr.write(f"the \x1b[31mkernel\x1b[0m is gone\n{LOG}")
    sys.stderr.flush()
    os._exit(3)


def _abort() -> NoReturn:
    sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
    sys.stderr.write("  what():  std::bad_alloc\n")
    sys.stderr.flush()
    os.abort()


def _want_memory() -> NoReturn:
    raise MemoryError


def _raise() -> NoReturn:
    raise RuntimeError("the kernel is unhappy\nand says so at length")


def _raise_oom() -> NoReturn:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 TiB")


def _take() -> None:
    np.ones(TAKEN_BYTES, np.uint8)


def _crumbs() -> None:
    """As much in pieces that no allocator gives back as long as the last one is there."""
    global _last  # noqa: PLW0603  (it is to stay)
    pieces = [bytearray(b"1") * 50_000 for _ in range(TAKEN_BYTES // 50_000)]
    _last = pieces[-1]


_last = bytearray()

FAULTS: dict[str, Callable[[], None]] = {
    "exit": lambda: os._exit(3),
    "sys.exit": lambda: sys.exit(4),
    "sigkill": _die,
    "stop": _stop,
    "hang": _hang,
    "garbage": lambda: _say(b"garbage\n"),
    "flood": lambda: _say(b"x" * FLOOD_BYTES),
    "mumble": _mumble,
    "close": _close,
    "chatter": _chatter,
    "log": _log_and_exit,
    "take": _take,
    "crumbs": _crumbs,
    "bad_alloc": _abort,
    "MemoryError": _want_memory,
    "RuntimeError": _raise,
    "oom": _raise_oom,
    "wrong-structure": lambda: None,
    "other-function": lambda: None,
}


def strike(stage: str, architecture: str = "") -> str:
    """Commits the fault that is meant for this stage and architecture; its name, or nothing."""
    file = Path(os.environ.get(VARIABLE, os.devnull))
    fault, at, rest = (file.read_text(encoding="ascii") if file.is_file() else "").partition("@")
    wanted_stage, _, wanted = rest.partition("@")
    if not at or wanted_stage != stage or wanted not in ("", architecture):
        return ""
    struck(file).touch()
    FAULTS[fault]()
    return fault


def struck(file: Path) -> Path:
    """What exists once the fault that `file` asks for has been committed."""
    return file.with_suffix(".struck")


class Model:
    """A graph, and its arrays if they were allocated."""

    def __init__(self, graph: Graph, allocate: bool) -> None:
        self.graph = graph
        shapes = {f"{n.address}/{t.name}": t.shape for n in graph for t in n.tensors}
        self.arrays: dict[str, Array] = (
            {key: np.empty(shape, np.float32) for key, shape in shapes.items()} if allocate else {}
        )


class Small:
    """A model that nobody describes: takes images of one shape, answers one value a class."""

    def __init__(self, classes: int = 10, image: tuple[int, ...] = (1, 28, 28)) -> None:
        strike("build", "Small")
        self.classes, self.image = classes, image


class Fake:
    """A framework whose every answer is the graph's own."""

    name = NAME
    modes = (DEFAULT, OTHER_MODE)

    def version(self) -> str:
        return VERSION

    def prepare(self, device: str, threads: int) -> None:
        assert (device, threads > 0) == ("cpu", True)
        strike("prepare")

    def build(self, graph: Graph, *, allocate: bool, mode: str = DEFAULT) -> Model:
        require_mode(self, mode)
        strike("build", graph.name)
        return Model(graph, allocate)

    def observe(self, model: Model) -> Observation:
        wrong = strike("observe", model.graph.name) == "wrong-structure"
        nodes = {}
        for node in model.graph:
            tensors = {t.name: ObservedTensor(t.shape, t.trainable) for t in node.tensors}
            kernel, stride = (getattr(node.op, name, None) for name in ("kernel", "stride"))
            nodes[node.address] = ObservedNode(node.output, tensors, kernel, stride)
        if wrong:
            last = model.graph.output
            nodes[last.address] = ObservedNode((*last.output, 7), {})
        return Observation(self.name, nodes, model.graph.parameters, model.graph.buffers)

    def load(self, model: Model, values: Callable[[str, tuple[int, ...]], Array]) -> None:
        strike("load", model.graph.name)
        for key, array in model.arrays.items():
            array[...] = values(key, array.shape)

    def read(self, model: Model) -> dict[str, Array]:
        return dict(model.arrays)

    def run(self, model: Model, images: Array) -> Array:
        return np.zeros((len(images), *model.graph.output.output), np.float32)

    def step(self, model: Model, pass_: Pass, images: Array, labels: Array) -> Callable[[], None]:
        assert model.arrays
        assert len(images) == len(labels)
        times = 1 + [*PASSES].index(pass_)

        def step() -> None:
            strike("step", model.graph.name)
            for _ in range(times):
                np.square(images[:1]).sum()

        return step

    def examine(
        self,
        graph: Graph,
        values: Values,
        batch: tuple[Array, Array],
        steps: int,
        keep: Keep,
        *,
        mode: str = DEFAULT,
        dtype: str = "float64",
    ) -> None:
        require_mode(self, mode)
        # The default in double precision is what both modes and precisions are compared with.
        plain = mode == DEFAULT and dtype == "float64"
        other = strike("examine", graph.name) == "other-function" and not plain
        rounded = 1.0 if plain else 1.0 + ROUNDED.get(dtype, 0.0)
        for i, node in enumerate(graph.nodes[1:]):
            error = 1e-3 if other and i >= len(graph.nodes) // 2 else 0.0
            keep("output", node.address, np.full((len(batch[0]), *node.output), rounded + error))
            for tensor in (t for t in node.tensors if t.trainable):
                key = f"{node.address}/{tensor.name}"
                keep("gradient", key, values(key, tensor.shape))
        for step in range(steps):
            keep("loss", str(step), np.asarray(2.0 - step))

    def takes(self, model: object) -> bool:
        return isinstance(model, Small)

    def answer(self, model: Small, images: Array) -> tuple[int, ...]:
        strike("answer", "Small")
        if images.shape[1:] != model.image:
            raise ValueError(f"wanted images {model.image}\nand says so at length")
        return (len(images), model.classes)

    def own_step(
        self,
        model: Small,
        pass_: Pass,
        images: Array,
        labels: Array,
        loss: Callable[..., object] | None,
    ) -> Callable[[], None]:
        assert pass_ == "forward" or 0 <= labels.min() <= labels.max() < model.classes
        times = 1 + [*PASSES].index(pass_)

        def step() -> None:
            strike("step", "Small")
            for _ in range(times):
                np.square(images[:1]).sum()
            if loss is not None:
                loss(images, labels)

        return step

    def device_memory(self) -> DeviceMemory | None:
        return None


def framework() -> Fake:
    """The fake in this process."""
    return Fake()


strike("import")
