"""One supervised step in plain PyTorch: fused cross-entropy and AdamW, all tokens but the first scored."""
import torch
import torch.nn.functional as F

import setting as S

model = S.gpt2().train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
ids = S.tokens(2 * S.PAIRS, 1)


def step():
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    loss = F.cross_entropy(model.lm_head(hidden.reshape(-1, S.HIDDEN)), ids[:, 1:].reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


S.tell(S.time_each(step, 3, 8), threads=torch.get_num_threads())
