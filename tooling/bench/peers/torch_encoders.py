"""Encoders and T5 in PyTorch, by transformers, without dropout.

torch_encoders.py classify | embed | t5 | t5-generate
"""
import random
import sys

import setting as S
import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForSequenceClassification, T5Config, T5ForConditionalGeneration

kind = sys.argv[1]
draw = random.Random(1)
ids = lambda count: [200 + draw.randrange(20_000) for _ in range(count)]
ROWS = 16
items = [ids(33 + 2 * row) for row in range(ROWS)]
labels = torch.tensor([row % 2 for row in range(ROWS)])
end = [1] if kind.startswith("t5") else []
rows = [item + end for item in items]
length = max(map(len, rows))
inputs = dict(
    input_ids=torch.tensor([row + [0] * (length - len(row)) for row in rows]),
    attention_mask=torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows]),
)
torch.manual_seed(0)
if kind.startswith("t5"):
    config = T5Config(
        vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8, dropout_rate=0.0, initializer_factor=0.05,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config).train()
    outputs = torch.tensor([ids(16) for _ in range(ROWS)])
    objective = lambda: model(**inputs, labels=outputs, use_cache=False).loss
else:
    config = BertConfig(
        vocab_size=30522, hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=12,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=2,
    )
    model = BertForSequenceClassification(config).train()
    objective = lambda: F.cross_entropy(model(**inputs).logits, labels)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)


def step():
    loss = objective()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def embed():
    hidden = model.bert(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()


@torch.inference_mode()
def generate():
    return model.generate(**inputs, max_new_tokens=32, min_new_tokens=32, do_sample=True, top_k=0)


work = dict(classify=step, t5=step, embed=embed)
work["t5-generate"] = generate
S.tell(S.time_each(work[kind], 2, 6), threads=torch.get_num_threads())
