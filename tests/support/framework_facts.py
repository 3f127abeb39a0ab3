"""What a framework does.

Run as `python -m tests.support.framework_facts FRAMEWORK MODE FOLDER NAME...`.

Each framework gets a process of its own, since two of them in one process disturb each other.
Facts go to FOLDER/facts.json, arrays to FOLDER/NAME.npz.
"""

import json
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

from convbench.base.errors import Unsupported
from convbench.checks.rounding import UNIT
from convbench.frameworks.arrays import writing
from convbench.frameworks.modes import DEFAULT, SINGLE, concerns, precision
from convbench.frameworks.registry import load_framework
from convbench.frameworks.weights import batch, filler, moved
from convbench.networks.arithmetic import Tensor
from convbench.networks.builder import Builder
from convbench.networks.ops import Dense, Flatten, Softmax
from convbench.networks.passes import EVERYWHERE
from convbench.networks.zoo.names import architecture
from tests.support.small_graphs import GRAPHS, OTHERS, shortcuts

ARCHITECTURES = (
    *("lenet1", "lenet5", "lenet5_keras", "resnet20_cifar", "resnet29_v2_cifar_keras"),
    *("mnist_convnet", "cats_dogs_convnet"),
)
LARGE = "alexnet"


def facts_of(framework, graph, folder, mode):
    """What one network is and does; its arrays go to a file."""
    images, labels = batch(graph, 3, seed=1)
    values = filler(graph, seed=1)
    model = framework.build(graph, allocate=True, mode=mode)
    framework.load(model, values)
    loaded = framework.read(model)
    arrays = {"answer": framework.run(model, images)}
    changed = {}
    for pass_ in EVERYWHERE:
        framework.load(model, values)
        framework.step(model, pass_, images, labels)()
        after = framework.read(model)
        changed[pass_] = sorted(k for k in after if not np.array_equal(after[k], loaded[k]))
    arrays |= {f"after/{key}": array for key, array in after.items()}
    np.savez(folder / f"{graph.name}.npz", **arrays)
    for again in ("", ".again"):
        with writing(folder / f"{graph.name}{again}.evidence.npz") as keep:
            framework.examine(
                graph, values, (images, labels), 3, keep, mode=mode, dtype=precision(mode)
            )
    expected = {f"{n.address}/{t.name}": t for n in graph for t in n.tensors}
    return {
        "same as described": _same(loaded, expected, values),
        "observed alike": framework.observe(model)
        == framework.observe(framework.build(graph, allocate=False, mode=mode)),
        "changed": changed,
    }


def xla_calls(keras, graph, mode):
    """How many calls of functions compiled with XLA there are in Keras's forward pass."""
    import tensorflow as tf  # noqa: PLC0415  (in this framework's process alone)

    native = keras.build(graph, allocate=True, mode=mode).native
    traced = tf.function(lambda x: native(x, training=False)).get_concrete_function(
        tf.TensorSpec((1, *native.input.shape[1:]))
    )
    calls = (op for op in traced.graph.get_operations() if "Call" in op.type)
    return sum("_XlaMustCompile" in op.node_def.attr for op in calls)


def precisions(framework, folder):
    """A network and a wrong one in each precision, and what one rounding of the weights does."""
    graph, other = shortcuts(), OTHERS["other eps"]
    data, values = batch(graph, 3, seed=1), filler(graph, seed=1)
    for dtype, unit in UNIT.items():
        weights, images = moved(values, data, unit)
        runs = {
            "found": (graph, values, data, dtype),
            "moved": (graph, weights, images, "float64"),
            "other": (other, values, data, dtype),
        }
        for run, (network, filled, given, precise) in runs.items():
            with writing(folder / f"{dtype}.{run}.evidence.npz") as keep:
                framework.examine(network, filled, given, 1, keep, dtype=precise)
    with writing(folder / "float64.evidence.npz") as keep:
        framework.examine(graph, values, data, 1, keep)


def halves(framework):
    """What a network answers and learns in single and in half precision."""
    graph, told = shortcuts(), {}
    images, labels = batch(graph, 3, seed=1)
    for dtype in (SINGLE, "bfloat16"):
        model = framework.build(graph, allocate=True, dtype=dtype)
        framework.load(model, filler(graph, seed=1))
        answer = framework.run(model, images)
        framework.step(model, "train_step", images, labels)()
        after = framework.read(model)
        told[dtype] = {
            "answer": answer.tolist(),
            "after": {key: array.tolist() for key, array in after.items()},
            "dtypes": sorted({str(array.dtype) for array in after.values()}),
        }
    return told


def how_it_runs(framework, mode):
    """What the framework itself tells of the way in which it runs a step."""
    graph = shortcuts()
    images, labels = batch(graph, 3, seed=1)
    model = framework.build(graph, allocate=True, mode=mode)
    framework.load(model, filler(graph, seed=1))
    run = _how_pytorch_runs if framework.name == "pytorch" else _how_keras_runs
    return run(model, framework.step(model, "train_step", images, labels))


def _how_pytorch_runs(model, step):
    import torch  # noqa: PLC0415  (in this framework's process alone)
    from torch._dynamo.utils import counters  # noqa: PLC0415

    layouts = []
    for name, module in model.named_children():
        if name in ("bn1", "branch", "short", "sum", "relu"):
            module.register_forward_hook(
                lambda _, __, output: layouts.append(
                    output.is_contiguous(memory_format=torch.channels_last)
                )
            )
    counters.clear()
    step()
    graphs = counters["stats"].get("unique_graphs", 0)
    return {
        "compiled graphs": graphs,
        "compiled nodes": counters["stats"].get("calls_captured", 0),
        "differentiated graphs": counters["aot_autograd"].get("ok", 0),
        "channels last": layouts,
    }


def _how_keras_runs(_, step):
    """Whether a layer is called with values, in each call of it that two steps make."""
    import keras  # noqa: PLC0415  (in this framework's process alone)

    eagerly, call = [], keras.layers.ReLU.call

    def noting(self, x):
        try:
            keras.ops.convert_to_numpy(x.detach() if hasattr(x, "detach") else x)
            eagerly.append(True)
        except Exception:  # what is traced has none, and each backend says so in its own way
            eagerly.append(False)
        return call(self, x)

    keras.layers.ReLU.call = noting
    try:
        step()
        step()
    finally:
        keras.layers.ReLU.call = call
    return {"eagerly": eagerly}


def wrong_layout(framework, folder):
    """What Keras computes if kernels were loaded with their rows as columns."""
    from convbench.frameworks.keras import model as keras  # noqa: PLC0415  (in this framework's process alone)

    right = keras.from_canonical

    def wrong(node, values, image):
        return right(node, values.swapaxes(-1, -2) if values.ndim == 4 else values, image)

    graph = shortcuts()
    with (
        patch.object(keras, "from_canonical", wrong),
        writing(folder / "wrong layout.evidence.npz") as keep,
    ):
        framework.examine(graph, filler(graph, seed=1), batch(graph, 3, seed=1), 3, keep)


def trained_class(keras):
    """The class that a network of 500 learns in bfloat16 from the label 427: its bias grows."""
    net = Builder("many_classes", (1, 2, 2))
    net.chain(net.input, ("flatten", Flatten()), ("fc", Dense(500)), ("softmax", Softmax()))
    graph, gradients = net.graph(), {}
    images, _ = batch(graph, 2, seed=1)

    def keep(kind, key, array):
        if (kind, key) == ("gradient", "fc/bias"):
            gradients[key] = array

    labels = np.array([427, 427])
    keras.examine(graph, filler(graph, seed=1), (images, labels), 1, keep, dtype="bfloat16")
    return int(np.argmin(gradients["fc/bias"]))


def answer(framework, graph, mode):
    """The answer of a network to one image."""
    model = framework.build(graph, allocate=True, mode=mode)
    framework.load(model, filler(graph, seed=1))
    return framework.run(model, batch(graph, 1, seed=1)[0])


def _same(loaded, expected: dict[str, Tensor], values) -> bool:
    return loaded.keys() == expected.keys() and all(
        np.array_equal(loaded[key], values(key, tensor.shape)) for key, tensor in expected.items()
    )


def main():
    """Writes the facts about the named networks that a mode concerns."""
    name, mode, place, *names = sys.argv[1:]
    framework, folder = load_framework(name), Path(place)
    framework.prepare("cpu", 2)
    graphs = [GRAPHS[n]() if n in GRAPHS else architecture(n) for n in names if n not in OTHERS]
    try:  # asked before all, since the facts of a mode that is not there are not worth their time
        framework.build(graphs[0], allocate=False, mode=mode)
    except Unsupported as error:
        (folder / "facts.json").write_text(json.dumps({"unsupported": str(error)}))
        return
    small = [graph for graph in graphs if graph.name != LARGE and concerns(mode, graph)]
    facts = {graph.name: facts_of(framework, graph, folder, mode) for graph in small}
    facts["how it runs"] = how_it_runs(framework, mode)
    if name.startswith("keras") and mode == DEFAULT:
        wrong_layout(framework, folder)
    if name == "keras":
        facts["class 427"] = trained_class(framework)
        facts["compiled with XLA"] = xla_calls(framework, GRAPHS["towers"](), mode)
    if mode == DEFAULT:
        precisions(framework, folder)
        facts["halves"] = halves(framework)
        graph = shortcuts()
        facts["dtype after all"] = str(answer(framework, graph, mode).dtype)
    if LARGE in names:
        np.savez(folder / f"{LARGE}.npz", answer=answer(framework, architecture(LARGE), mode))
    for name in (name for name in names if name in OTHERS):
        graph = OTHERS[name]
        images, labels = batch(graph, 3, seed=1)
        with writing(folder / f"{name}.evidence.npz") as keep:
            framework.examine(graph, filler(graph, seed=1), (images, labels), 3, keep)
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
