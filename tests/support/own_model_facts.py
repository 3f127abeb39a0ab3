"""What a step of a model of one's own does in one framework, in a process of its own.

`python -m tests.support.own_model_facts FRAMEWORK` prints it as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

import numpy as np

from convbench.frameworks.protocol import LEARNING_RATE
from convbench.frameworks.registry import load_framework
from convbench.networks.passes import EVERYWHERE

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((4, 3, 6, 6), dtype=np.float32)
VECTORS = RANDOM.standard_normal((4, 5), dtype=np.float32)
LABELS = np.array([0, 1, 2, 0])


def changed(step: Callable[[], None], read: Callable[[], Sequence[np.ndarray]]) -> list[bool]:
    """Which of the arrays that `read` returns are others after a step."""
    before = [array.copy() for array in read()]
    step()
    return [not np.array_equal(a, b) for a, b in zip(before, read(), strict=True)]


def pytorch() -> dict[str, object]:
    import torch  # noqa: PLC0415  (in this framework's process alone)
    from torch import nn  # noqa: PLC0415

    from convbench.frameworks.pytorch.model import PyTorch  # noqa: PLC0415

    framework, changes = PyTorch(), {}
    for pass_ in EVERYWHERE:
        model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3))
        answer = framework.answer(model, IMAGES)
        step = framework.own_step(model, pass_, IMAGES, LABELS, None)
        arrays = [model[3].weight.detach(), model[1].running_mean]
        changes[pass_] = changed(step, lambda arrays=arrays: [a.numpy() for a in arrays])
    model = nn.Linear(5, 3)
    seen, gradients = [], {}

    def noting(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.append([[*outputs.shape], [*labels.shape]])
        return nn.functional.cross_entropy(outputs, labels)

    smoothed = nn.CrossEntropyLoss(label_smoothing=0.5)
    for name, loss in (("default", None), ("noting", noting), ("smoothed", smoothed)):
        framework.own_step(model, "backward", VECTORS, LABELS, loss)()
        gradients[name] = model.weight.grad.tolist()
    return {
        "takes": [framework.takes(model), framework.takes(noting)],
        "answer": answer,
        "changes": changes,
        "seen": seen,
        "gradients": gradients,
    }


def keras(name: str) -> dict[str, object]:
    framework, changes = load_framework(name), {}  # first, since it chooses Keras's backend
    from keras import Input, Model, Sequential, layers, ops, regularizers  # noqa: PLC0415

    from convbench.frameworks.keras.model import cross_entropy  # noqa: PLC0415

    for pass_ in EVERYWHERE:
        norm, dense = layers.BatchNormalization(), layers.Dense(3)
        model = Sequential([layers.Conv2D(2, 3), norm, layers.Flatten(), dense])
        answer = framework.answer(model, IMAGES.transpose(0, 2, 3, 1))
        step = framework.own_step(model, pass_, IMAGES.transpose(0, 2, 3, 1), LABELS, None)
        arrays = [dense.kernel, norm.moving_mean]
        changes[pass_] = changed(step, lambda arrays=arrays: [a.numpy() for a in arrays])
    seen = []

    def nothing(labels: object, outputs: object) -> object:
        seen.append([[*outputs.shape], [*labels.shape]])
        return 0.0 * ops.sum(outputs, axis=1)

    dense = layers.Dense(3, kernel_regularizer=regularizers.L2(0.5))
    regular = Sequential([dense])
    framework.answer(regular, VECTORS)
    before = dense.kernel.numpy()
    framework.own_step(regular, "train_step", VECTORS, LABELS, nothing)()
    shrunk = np.allclose(dense.kernel.numpy(), before * (1 - LEARNING_RATE), rtol=1e-6, atol=0)
    x = Input((5,))
    ends = {
        "logits": Sequential([layers.Dense(3)]),
        "activation": Sequential([layers.Dense(3, activation="softmax")]),
        "layer": Sequential([layers.Dense(3), layers.Softmax()]),
        "activation layer": Sequential([layers.Dense(3), layers.Activation("softmax")]),
        "functional": Model(x, layers.Dense(3, activation="softmax")(x)),
        "nested": Sequential([layers.Dense(4), Sequential([layers.Softmax()])]),
    }
    return {
        "takes": [framework.takes(model), framework.takes(dense)],
        "answer": answer,
        "changes": changes,
        "seen": seen,
        "shrunk": bool(shrunk),
        "from_logits": [name for name, end in ends.items() if cross_entropy(end).from_logits],
    }


if __name__ == "__main__":
    json.dump(pytorch() if sys.argv[1] == "pytorch" else keras(sys.argv[1]), sys.stdout)
