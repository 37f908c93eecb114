"""One DPO step in plain PyTorch: head at the completion only, fused cross-entropy and AdamW.

torch_step.py            the reference's forward pass is part of the step
torch_step.py cached     the reference's log-probabilities were computed before
"""
import copy
import sys

import torch
import torch.nn.functional as F

import setting as S


def sequence_log_probs(model, ids):
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, S.PROMPT - 1:-1]
    logits = model.lm_head(hidden.reshape(-1, S.HIDDEN))
    loss = F.cross_entropy(logits, ids[:, S.PROMPT:].reshape(-1), reduction="none")
    return -loss.view(ids.shape[0], -1).sum(-1)


policy = S.gpt2().train()
reference = copy.deepcopy(policy).eval().requires_grad_(False)
optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
ids = S.tokens(2 * S.PAIRS, 1)
ids[S.PAIRS:, :S.PROMPT] = ids[:S.PAIRS, :S.PROMPT]
cached = None
if "cached" in sys.argv:
    with torch.no_grad():
        cached = sequence_log_probs(reference, ids)


def step():
    with torch.no_grad():
        before = cached if cached is not None else sequence_log_probs(reference, ids)
    ratio = sequence_log_probs(policy, ids) - before
    loss = -F.logsigmoid(0.1 * (ratio[:S.PAIRS] - ratio[S.PAIRS:])).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()
    return loss.item()


S.tell(S.time_each(step, 3, 8), threads=torch.get_num_threads())
