"""ResNet-50 and MobileNet as anybody would write them in PyTorch, to be timed beside ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Bottleneck(nn.Module):
    """Three convolutions and a shortcut; the first one has the stride, as in the paper."""

    def __init__(self, maps: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(maps, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.project = None
        if stride != 1 or maps != out:
            self.project = nn.Sequential(
                nn.Conv2d(maps, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.project is None else self.project(x)))


class ResNet50(nn.Module):
    """He et al. 2015, Table 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks, maps = [], 64
        for stage, depth in enumerate((3, 4, 6, 3)):
            for block in range(depth):
                stride = 2 if stage and not block else 1
                blocks.append(Bottleneck(maps, 64 * 2**stage, stride))
                maps = 4 * 64 * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(maps, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.blocks(x), 1), 1))


def _normalized(maps: int, out: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(maps, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class MobileNet(nn.Module):
    """Howard et al. 2017, Table 1."""

    WIDTHS = (64, 128, 128, 256, 256, *6 * (512,), 1024, 1024)
    STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)

    def __init__(self) -> None:
        super().__init__()
        layers, maps = [_normalized(3, 32, 3, 2)], 32
        for width, stride in zip(self.WIDTHS, self.STRIDES, strict=True):
            layers += [_normalized(maps, maps, 3, stride, maps), _normalized(maps, width, 1, 1)]
            maps = width
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(maps, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.layers(x), 1), 1))
