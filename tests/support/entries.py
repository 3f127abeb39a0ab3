"""One of everything that is written to a journal or sent between processes."""

from __future__ import annotations

from hypothesis import strategies as st

from convbench.checks.structure import CheckReport, Finding
from convbench.measure.records import Attainable, Environment, Measurement, Memory, Task, Unchecked
from convbench.papers.printed import Printed

TASK = Task(
    architecture="vgg16",
    framework="keras",
    pass_="train_step",
    batch=4,
    device="cpu",
    threads=2,
    dtype="bfloat16",
    mode="compiled",
    seed=7,
)

FINDINGS = (
    Finding(
        "conv1", "output", "vgg-2014", (64, 224, 224), (64, 224, 224), None, "agrees", "Table 1"
    ),
    Finding(
        "network", "macs", "resnet-2015", Printed("3.8×10^9"), 3_857_973_248, 1, "differs", "4.1"
    ),
    Finding("input", "size", "notes", (224, 244), (224, 224), (224, 224), "erratum", "A “slip”."),
    Finding("relu1", "output", None, None, (64, 224, 224), (64, 224, 224), "unstated"),
)

REPORT = CheckReport("vgg16", "keras", 138_357_544, 0, 15_470_264_320, 41, FINDINGS)

MEMORY = Memory(
    host_bytes=2**33, device_allocated_bytes=1, device_reserved_bytes=2, device_process_bytes=3
)

ENVIRONMENT = Environment(
    cpu='A CPU® @ 3 GHz\u2028\\"',
    cores=8,
    memory_bytes=2**36,
    gpu="NVIDIA H200",
    driver="570.1",
    system="Linux 6.1",
    python="3.11.7",
    convbench="0.1.0",
    commit="0123456789ab with changes",
    started="2026-11-22T06:24:00+00:00",
    packages=(("torch", "2.13.0"), ("keras", "3.15.1")),
)

BARE_ENVIRONMENT = Environment(
    cpu="unknown",
    cores=1,
    memory_bytes=1,
    gpu=None,
    driver=None,
    system="",
    python="3.13.0",
    convbench="0.1.0",
    commit=None,
    started="",
)

MEASUREMENT = Measurement(
    task=TASK,
    outcome="measured",
    version="keras 3.15.1",
    build_s=0.5,
    first_s=12.25,
    warmup_s=(0.1, 1e-7, 1 / 3),
    iterations=3,
    rounds_s=(0.01, 0.011, 1e-18),
    memory=MEMORY,
    load_before=0.0,
    load_after=1.5,
)

FAILURE = Measurement(task=TASK, outcome="failed", reason="was killed by SIGKILL\nwhile “timing”")

REFUSAL = Measurement(task=TASK, outcome="refused", reason="a name that is no text: \udc80")

UNCHECKED = Unchecked(architecture="vgg16", framework="keras", reason="was killed by SIGKILL")

ATTAINABLE = Attainable(
    framework="keras",
    device="cpu",
    threads=2,
    dtype="float32",
    matmul_flops=4.9e11,
    conv_flops=5.25e11,
    copy_bytes_s=1e11 / 3,
)

ENTRIES = (
    *(ENVIRONMENT, BARE_ENVIRONMENT, REPORT, UNCHECKED, MEASUREMENT, FAILURE, REFUSAL),
    ATTAINABLE,
    CheckReport("lenet5", None, 60_000, 840, 325_680, 15, ()),
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "a", "12"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["task", "why", "report", "pid"]), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Whatever JSON can say."""
