"""Golden numbers for packages/models, from Hugging Face's own implementations.

    pip install torch transformers peft
    python tooling/oracles/models.py

Writes one JSON file a case to packages/models/src/golden: a tiny configuration, its config.json, and the float32 log-probabilities
that `transformers` computes. Parameters are not stored: both sides compute them from a formula of the name and the index
(`hashed_values.py`), so that the files stay small.
"""

import json
import math
from pathlib import Path

import torch
from hashed_values import values
from transformers import AutoModelForCausalLM
from transformers.models.gpt2 import GPT2Config
from transformers.models.llama import LlamaConfig
from transformers.models.mistral import MistralConfig
from transformers.models.qwen2 import Qwen2Config

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "golden"

SIZES = dict(vocab_size=29, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4)
LLAMA = dict(SIZES, num_key_value_heads=2, max_position_embeddings=64)


def rope(kind, **rest):
    return dict(rope_type=kind, rope_theta=10000.0, **rest)


CASES = {
    "llama-plain": LlamaConfig(**LLAMA),
    "llama-biased-tied": LlamaConfig(
        **LLAMA, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=6, hidden_act="gelu_new"
    ),
    "llama-linear": LlamaConfig(**LLAMA, rope_parameters=rope("linear", factor=2.5)),
    "llama-dynamic": LlamaConfig(
        **dict(LLAMA, max_position_embeddings=12), rope_parameters=rope("dynamic", factor=2.0)
    ),
    "llama-llama3": LlamaConfig(
        **dict(LLAMA, hidden_size=64),
        rope_parameters=rope(
            "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
        ),
    ),
    "llama-yarn": LlamaConfig(
        **dict(LLAMA, hidden_size=64),
        rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=16),
    ),
    "llama-yarn-mscale": LlamaConfig(
        **dict(LLAMA, hidden_size=64),
        rope_parameters=rope(
            "yarn",
            factor=4.0,
            original_max_position_embeddings=16,
            beta_fast=8,
            beta_slow=2,
            mscale=1.0,
            mscale_all_dim=0.5,
            truncate=False,
        ),
    ),
    "mistral-window": MistralConfig(**LLAMA, sliding_window=5),
    "qwen2": Qwen2Config(**LLAMA, tie_word_embeddings=True),
    "qwen2-window": Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "gpt2": GPT2Config(vocab_size=29, n_embd=16, n_layer=2, n_head=4, n_positions=64),
    "gpt2-inverse": GPT2Config(
        vocab_size=29,
        n_embd=16,
        n_layer=3,
        n_head=2,
        n_positions=32,
        n_inner=20,
        activation_function="relu",
        scale_attn_by_inverse_layer_idx=True,
    ),
}

IDS = [[3, 17, 5, 28, 0, 9, 9, 14, 2, 21, 7, 7, 1, 26, 11, 4, 19, 23], [8, 1, 12, 12, 27]]


def fill(model):
    for name, parameter in model.named_parameters():
        data = torch.tensor(values(name, parameter.numel()), dtype=torch.float64).reshape(parameter.shape)
        norm = parameter.dim() == 1 and name.endswith("weight")
        scale = 0.3 if parameter.dim() == 1 else 1.5 / math.sqrt(16)
        parameter.data = ((1 if norm else 0) + scale * data).to(torch.float32)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, config in CASES.items():
        config._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(config).eval()
        fill(model)
        law = []
        last = []
        with torch.no_grad():
            for ids in IDS:
                logits = model(torch.tensor([ids])).logits[0]
                chosen = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
                law.append([round(x, 7) for x in chosen.tolist()])
                last.append([round(x, 6) for x in logits[-1].tolist()])
        path = FOLDER / f"model-{name}.json"
        content = dict(config=config.to_dict(), ids=IDS, logProbs=law, lastLogits=last)
        path.write_text(json.dumps(content) + "\n")
        print(path.name, law[0][:3])


main()
