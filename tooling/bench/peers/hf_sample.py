"""Sampling 64 × 64 tokens after a first one by transformers' generate(), from stories260K's architecture or from a Llama of hidden 256, 4 layers."""
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import setting as S

SIZES = {
    "stories": dict(vocab_size=512, hidden_size=64, intermediate_size=172, num_hidden_layers=5,
                    num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512),
    "llama": dict(vocab_size=4096, hidden_size=256, intermediate_size=1024, num_hidden_layers=4,
                  num_attention_heads=4, max_position_embeddings=256),
}
torch.manual_seed(0)
name = "stories" if "stories" in sys.argv else "llama"
model = LlamaForCausalLM(LlamaConfig(**SIZES[name], tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
                                     pad_token_id=0)).float().eval()
ids = torch.ones(64, 1, dtype=torch.long)
mask = torch.ones_like(ids)


def sample():
    out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=64, min_new_tokens=64, do_sample=True,
                         top_k=0, pad_token_id=0, eos_token_id=2)
    assert out.shape[1] == 65


S.tell(S.time_each(sample, 1, 5), tokens=64 * 64)
