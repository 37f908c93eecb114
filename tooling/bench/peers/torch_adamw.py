"""An AdamW update of 30 million parameters in 64 tensors: plain, `foreach` or `fused`."""
import sys

import torch

import setting as S

parameters = [torch.nn.Parameter(torch.randn(512, 915)) for _ in range(64)]
for parameter in parameters:
    parameter.grad = torch.randn(512, 915)
optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused="fused" in sys.argv,
                              foreach="foreach" in sys.argv)
S.tell(S.time_each(optimizer.step, 3, 15), threads=torch.get_num_threads())
