"""The network: a plain convolutional backbone, a small top-down pyramid and one head for all cells.

Images in, raw cells out: per cell of strides 8, 16 and 32 four numbers for the box in the YOLOX
convention (offset of the centre in cells, logarithm of width and height in cells) and one logit
per class; there are no anchors and no objectness, a class score itself says how well the box fits
(Feng et al., "TOOD", 2021). Dense 3×3 convolutions with ReLU: on a CPU they cost less time per
useful number than depthwise ones, and batch norms vanish into them at export.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)

# Logit of the share of cells that are objects (Lin et al., "Focal Loss", 2017, §4.1): without it
# the first steps only unlearn false alarms.
_PRIOR = -math.log((1 - 0.01) / 0.01)


@dataclass(frozen=True, slots=True)
class Shape:
    """Channels after the strides 2, 4, 8, 16 and 32, of the pyramid, and blocks per stage."""

    channels: tuple[int, int, int, int, int] = (16, 24, 48, 96, 128)
    blocks: tuple[int, int, int, int] = (1, 2, 2, 1)
    pyramid: int = 48


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, momentum=0.03),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """Bottleneck with a shortcut (He et al. 2016), narrowed to a half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels // 2, 1), _conv(channels // 2, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Separable(nn.Module):
    """A 5×5 look around per channel, then a mix of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels, 5, groups=channels), _conv(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class Network(nn.Module):
    """`forward`: images (B, 3, H, W), BGR 0..255 → (B, cells, 4 + classes) raw, finest first."""

    def __init__(self, classes: int, shape: Shape = Shape()) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = shape.channels
        b4, b8, b16, b32 = shape.blocks
        width = shape.pyramid
        self.to4 = nn.Sequential(_conv(3, c2, 3, 2), _conv(c2, c4, 3, 2), *_blocks(c4, b4))
        self.to8 = nn.Sequential(_conv(c4, c8, 3, 2), *_blocks(c8, b8))
        self.to16 = nn.Sequential(_conv(c8, c16, 3, 2), *_blocks(c16, b16))
        self.to32 = nn.Sequential(_conv(c16, c32, 3, 2), *_blocks(c32, b32))
        self.side = nn.ModuleList(_conv(c, width, 1) for c in (c8, c16, c32))
        self.fine_detail = _conv(c4, width, 3, 2)
        self.smooth = nn.ModuleList(_Separable(width) for _ in STRIDES)
        self.tower = nn.ModuleList(
            nn.ModuleList((_Separable(width), _Separable(width))) for _ in STRIDES
        )
        self.box = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in STRIDES)
        self.label = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in STRIDES)
        self._start()

    def forward(self, images: Tensor) -> Tensor:
        x4 = self.to4((images - 114.0) * (1.0 / 64.0))
        x8 = self.to8(x4)
        x16 = self.to16(x8)
        x32 = self.to32(x16)
        p32 = self.smooth[2](self.side[2](x32))
        p16 = self.smooth[1](self.side[1](x16) + _twice(p32))
        p8 = self.smooth[0](self.side[0](x8) + self.fine_detail(x4) + _twice(p16))
        cells = []
        for level, feature in enumerate((p8, p16, p32)):
            box = self.box[level](self.tower[level][0](feature))
            label = self.label[level](self.tower[level][1](feature))
            cells.append(torch.cat((box, label), dim=1).flatten(2).transpose(1, 2))
        return torch.cat(cells, dim=1)

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for box, label in zip(self.box, self.label, strict=True):
            nn.init.normal_(box.weight, std=0.01)
            nn.init.normal_(label.weight, std=0.01)
            # The middle of the cell, and a box of three cells: boxes overlap something at once.
            box.bias.data = torch.tensor((0.5, 0.5, math.log(3.0), math.log(3.0)))
            nn.init.constant_(label.bias, _PRIOR)


class YoloxOutput(nn.Module):
    """The network with its output in the layout of the runtime's `yolox` head.

    Rows (x, y, w, h raw, best class score, class scores over the best one): the head multiplies
    the last two, which gives the class score back, and may skip cells by the fifth alone.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        raw = self.network(images)
        scores = raw[..., 4:].sigmoid()
        best = scores.amax(dim=-1, keepdim=True)
        return torch.cat((raw[..., :4], best, scores / best.clamp(min=1e-6)), dim=-1)


def cell_grid(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Column and row (N, 2) and stride (N,) of every cell, in the order of the output's rows."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        cells.append(torch.stack((x.flatten(), y.flatten()), dim=1).float())
        strides.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(cells), torch.cat(strides)


def decode(raw: Tensor, cells: Tensor, strides: Tensor) -> Tensor:
    """Boxes (..., N, 4) left, top, right, bottom in px of raw cells (..., N, ≥ 4)."""
    step = strides.unsqueeze(-1)
    centre = (raw[..., :2] + cells) * step
    # Twice the largest input, in cells of the finest stride, is more than any box.
    half = raw[..., 2:4].clamp(max=math.log(256.0)).exp() * step * 0.5
    return torch.cat((centre - half, centre + half), dim=-1)


def fused(network: Network) -> Network:
    """The same function in evaluation mode with every batch norm folded into its convolution."""
    network.eval()
    for module in network.modules():
        for name, child in module.named_children():
            if (
                isinstance(child, nn.Sequential)
                and len(child) == 3
                and isinstance(child[1], nn.BatchNorm2d)
            ):
                conv = nn.utils.fuse_conv_bn_eval(child[0], child[1])
                setattr(module, name, nn.Sequential(conv, child[2]))
    return network


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [_Block(channels) for _ in range(count)]


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
