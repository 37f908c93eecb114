"""log-softmax of [256, 32000], and with its gradient (`gradient`)."""
import sys

import torch

import setting as S

x = torch.randn(256, 32000, generator=torch.Generator().manual_seed(0), requires_grad="gradient" in sys.argv)
upstream = torch.randn(256, 32000, generator=torch.Generator().manual_seed(1))


def work():
    y = torch.log_softmax(x, -1)
    if x.requires_grad:
        x.grad = None
        y.backward(upstream)


S.tell(S.time_each(work, 5, 30))
