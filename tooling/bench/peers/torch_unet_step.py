"""A training step of the same U-Net by EDM's loss in PyTorch: forward, backward, clipping, AdamW."""
import math

import torch
from torch import nn
from torch.nn import functional as F

import setting as S

WIDTHS, GROUPS, HEAD, BATCH, SIZE = [32, 64, 64], 8, 32, 64, 28
INNER = 4 * WIDTHS[0]


class Residual(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, before), nn.GroupNorm(GROUPS, after)
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.level = nn.Linear(INNER, 2 * after)
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x, level):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.level(level)[:, :, None, None].chunk(2, 1)
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.qkv, self.out = nn.GroupNorm(GROUPS, width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, c, h, w = x.shape
        rows = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (t.view(b, h * w, c // HEAD, HEAD).transpose(1, 2) for t in self.qkv(rows).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        return x + self.out(mixed).transpose(1, 2).reshape(b, c, h, w)


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.level = nn.Sequential(nn.Linear(WIDTHS[0], INNER), nn.SiLU(), nn.Linear(INNER, INNER), nn.SiLU())
        self.first = nn.Conv2d(1, WIDTHS[0], 3, padding=1)
        self.down, self.up, self.lower, self.upper = (nn.ModuleList() for _ in range(4))
        skips, width = [WIDTHS[0]], WIDTHS[0]
        for i, after in enumerate(WIDTHS):
            last = i == len(WIDTHS) - 1
            self.down.append(nn.ModuleList([Residual(width, after), Attention(after) if last else nn.Identity()]))
            width = after
            skips.append(width)
            if not last:
                self.lower.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList([Residual(width, width), Attention(width), Residual(width, width)])
        for i, after in enumerate(reversed(WIDTHS)):
            blocks = nn.ModuleList()
            for _ in range(2):
                blocks.append(Residual(width + skips.pop(), after))
                blocks.append(Attention(after) if i == 0 else nn.Identity())
                width = after
            self.up.append(blocks)
            if i < len(WIDTHS) - 1:
                self.upper.append(nn.Conv2d(width, width, 3, padding=1))
        self.norm, self.last = nn.GroupNorm(GROUPS, width), nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x, noise):
        half = WIDTHS[0] // 2
        angles = noise[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        level = self.level(torch.cat([angles.cos(), angles.sin()], 1))
        h = self.first(x)
        skips = [h]
        for i, (block, attend) in enumerate(self.down):
            h = attend(block(h, level))
            skips.append(h)
            if i < len(self.lower):
                h = self.lower[i](h)
                skips.append(h)
        h = self.middle[2](self.middle[1](self.middle[0](h, level)), level)
        for i, blocks in enumerate(self.up):
            for j in range(2):
                h = blocks[2 * j + 1](blocks[2 * j](torch.cat([h, skips.pop()], 1), level))
            if i < len(self.upper):
                h = self.upper[i](F.interpolate(h, scale_factor=2, mode="nearest"))
        return self.last(F.silu(self.norm(h)))


torch.manual_seed(0)
# The layout in which PyTorch's convolutions are fastest on the CPU.
net = Unet().to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0)


def work():
    x = torch.randn(BATCH, 1, SIZE, SIZE)
    sigma = torch.exp(-1.2 + 1.2 * torch.randn(BATCH))
    s = sigma[:, None, None, None]
    noised = x + s * torch.randn_like(x)
    total = s**2 + 0.25
    out = net((noised * total.rsqrt()).to(memory_format=torch.channels_last), sigma.log() / 4)
    denoised = noised * 0.25 / total + out * 0.5 * s * total.rsqrt()
    loss = (total / (0.5 * s) ** 2 * (denoised - x) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
    optimizer.step()


S.tell(S.time_each(work, 3, 10))
