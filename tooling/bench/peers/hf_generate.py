"""Sampling 16 × 64 tokens after prompts of 64 by transformers' generate(); `greedy` for temperature 0."""
import sys

import torch

import setting as S

model = S.gpt2().eval()
ids = S.tokens(16, 1)[:, :S.PROMPT]
mask = torch.ones_like(ids)


def sample():
    out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=64, min_new_tokens=64,
                         do_sample="greedy" not in sys.argv, top_k=0, pad_token_id=0, eos_token_id=1)
    assert out.shape[1] == S.PROMPT + 64


S.tell(S.time_each(sample, 1, 5), tokens=16 * 64)
