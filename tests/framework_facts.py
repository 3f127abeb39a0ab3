"""What a framework does: run as `python -m tests.framework_facts FRAMEWORK MODE FOLDER`.

Each framework gets a process of its own, since two of them in one process disturb each other.
Facts go to FOLDER/facts.json, arrays to FOLDER/NAME.npz.
"""

import json
import sys
from pathlib import Path

import numpy as np

from convbench.architectures import architecture
from convbench.evidence import writing
from convbench.frameworks import PASSES, load_framework
from convbench.frameworks.weights import batch, filler
from convbench.infer import Tensor
from convbench.modes import concerns, precision
from tests.small_graphs import GRAPHS, OTHERS

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
    for pass_ in PASSES:
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


def answer(framework, graph, mode):
    """The answer of a large network to one image."""
    model = framework.build(graph, allocate=True, mode=mode)
    framework.load(model, filler(graph, seed=1))
    return framework.run(model, batch(graph, 1, seed=1)[0])


def _same(loaded, expected: dict[str, Tensor], values) -> bool:
    return loaded.keys() == expected.keys() and all(
        np.array_equal(loaded[key], values(key, tensor.shape)) for key, tensor in expected.items()
    )


def main():
    """Writes the facts about the small networks that a mode concerns, and a large one's answer."""
    name, mode, place = sys.argv[1:]
    framework, folder = load_framework(name), Path(place)
    framework.prepare("cpu", 2)
    graphs = [make() for make in GRAPHS.values()] + [architecture(n) for n in ARCHITECTURES]
    facts = {g.name: facts_of(framework, g, folder, mode) for g in graphs if concerns(mode, g)}
    if name == "keras":
        facts["compiled with XLA"] = xla_calls(framework, GRAPHS["towers"](), mode)
    np.savez(folder / f"{LARGE}.npz", answer=answer(framework, architecture(LARGE), mode))
    for name, graph in OTHERS.items():
        images, labels = batch(graph, 3, seed=1)
        with writing(folder / f"{name}.evidence.npz") as keep:
            framework.examine(graph, filler(graph, seed=1), (images, labels), 3, keep)
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
