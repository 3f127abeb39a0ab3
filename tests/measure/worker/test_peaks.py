"""What the machine attains: the best of what is tried, in the time that there is for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convbench.frameworks.protocol import HasPeaks
from convbench.frameworks.registry import load_framework
from convbench.measure.machine import environment
from convbench.measure.worker import messages
from convbench.measure.worker import peaks as worker_attain
from tests.measure.worker.test_child import answers
from tests.support import fakes

ATTAIN = messages.Attain("cpu", 1, "float32")
MIB = 2**20


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A call that takes so many seconds; nothing else moves the clock."""
    now = 0.0

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(worker_attain, "perf_counter", lambda: now)
    return pass_by


class Steady:
    """Operators that do 1e12 operations or bytes a second, and twice as many if large."""

    def __init__(self, take: Callable[[float], None]) -> None:
        self.take, self.asked = take, []

    def _step(self, name: str, done: float, *, large: bool) -> Callable[[], None]:
        self.asked.append(name)
        return lambda: self.take(done / (2e12 if large else 1e12))

    def product(self, size: int) -> Callable[[], None]:
        return self._step(f"product {size}", 2 * size**3, large=size == 1024)

    def convolution(self, channels: int, size: int, batch: int) -> Callable[[], None]:
        done = 2 * batch * size**2 * channels**2 * 3**2
        return self._step(f"convolution {channels}", done, large=channels == 256)

    def copy(self, values: int) -> Callable[[], None]:
        return self._step("copy", 2 * 4 * values, large=False)


def test_the_best_of_all_sizes_counts(take, monkeypatch):
    peaks = Steady(take)
    able = type("Able", (fakes.Fake,), {"peaks": lambda *_: peaks})
    monkeypatch.setattr(fakes, "framework", able)
    _, attained = answers(ATTAIN)
    assert attained.matmul_flops == pytest.approx(2e12)
    assert attained.conv_flops == pytest.approx(2e12)
    assert attained.copy_bytes_s == pytest.approx(1e12)
    assert peaks.asked == [
        *("product 512", "product 1024", "product 2048"),
        *("convolution 128", "convolution 256", "convolution 512", "copy"),
    ]


def test_no_further_size_is_begun_when_the_time_is_over(take):
    begun = []

    def kernel(name, step_s, done):
        def make():
            begun.append(name)
            return (lambda: take(step_s)), done

        return make

    assert worker_attain.best_rate([kernel("a", 1.0, 10.0), kernel("b", 1.0, 1e9)]) == 10.0
    assert begun == ["a"]
    both = [kernel("c", 0.01, 1.0), kernel("d", 0.01, 5.0)]
    assert worker_attain.best_rate(both) == pytest.approx(500.0)


def test_the_best_round_counts_whatever_the_others_take(take):
    rounds = iter([0.9, 0.1, 0.05, 0.2, 0.7, 0.9])
    best = worker_attain.best_rate([lambda: (lambda: take(next(rounds)), 1.0)])
    assert best == pytest.approx(1 / 0.05)
    assert next(rounds) == 0.2, "the first is not counted, and then LEAST are"


def test_a_framework_without_peaks_is_refused_before_it_prepares(fault):
    fault("RuntimeError@prepare")
    _, refused = answers(ATTAIN)
    why = "what the machine attains: tests.support.fakes has no peaks"
    assert refused.why == f"{why}; frameworks/__init__.py says what they are"


def test_half_precision_is_not_tried_where_no_task_is(monkeypatch):
    able = type("Able", (fakes.Fake,), {"peaks": lambda *_: None})
    monkeypatch.setattr(fakes, "framework", able)
    _, refused = answers(messages.Attain("cpu", 1, "float16"))
    assert refused.why.startswith("float16 on a CPU: ")


def test_what_is_copied_fits_no_cache(monkeypatch):
    for cache, want in ((None, 128), (32 * MIB, 128), (64 * MIB, 256), (1152 * MIB, 1024)):
        monkeypatch.setattr(environment, "last_level_cache_bytes", lambda cache=cache: cache)
        assert worker_attain.copied_bytes("cpu") == want * MIB
    assert worker_attain.copied_bytes("cuda") == 1024 * MIB


def test_last_level_caches_are_added_up_and_shared_ones_counted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CACHES", tmp_path)
    assert environment.last_level_cache_bytes() is None
    for cpu, index, level, shared, size in (
        *((0, 0, 1, "0", "32K"), (0, 3, 3, "0-1", "32768K")),
        *((1, 0, 1, "1", "32K"), (1, 3, 3, "0-1", "32768K")),
        (2, 3, 3, "2-3", "16384K"),
    ):
        folder = tmp_path / f"cpu{cpu}" / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        for name, text in (("level", level), ("shared_cpu_list", shared), ("size", size)):
            (folder / name).write_text(f"{text}\n", encoding="ascii")
    assert environment.last_level_cache_bytes() == 48 * MIB
    (tmp_path / "cpu0" / "cache" / "index0" / "size").write_text("?", encoding="ascii")
    assert environment.last_level_cache_bytes() is None


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("pytorch", "keras")],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_real_framework_does_what_is_counted(name, dtype, monkeypatch):
    framework = load_framework(name)
    assert isinstance(framework, HasPeaks)
    for sizes in (worker_attain.PRODUCTS, worker_attain.CONVOLUTIONS, worker_attain.COPIES):
        small = 4096 if sizes is worker_attain.COPIES else None
        small = small or ((8,) if sizes is worker_attain.PRODUCTS else ((4, 5, 2),))
        monkeypatch.setitem(sizes, "cpu", small)
    monkeypatch.setattr(worker_attain, "BUDGET", 0.0)
    monkeypatch.setattr(environment, "last_level_cache_bytes", lambda: None)
    monkeypatch.setattr(type(framework), "prepare", lambda *_: None)
    found = worker_attain.attain(framework, messages.Attain("cpu", 1, dtype))
    assert min(found.matmul_flops, found.conv_flops, found.copy_bytes_s) > 0
