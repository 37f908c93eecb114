"""Golden numbers for T5 in packages/models, from Hugging Face's own implementation.

    pip install torch transformers
    python tooling/oracles/t5.py

Writes one JSON file a case to packages/models/src/t5/golden: a tiny config.json, padded inputs and outputs, the encoder's states, logits and
log-probabilities in float64, the cross-entropy and of its gradient by each parameter the length and the product with a fixed
direction, and what greedy decoding writes. Parameters come from a formula (`hashed_values.py`).
"""

import json
from pathlib import Path

import torch
from hashed_values import fill, probes, rounded
from transformers import T5ForConditionalGeneration
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5Attention

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "t5" / "golden"

SIZES = dict(
    vocab_size=29, d_model=16, d_ff=24, num_layers=2, num_heads=4, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1
)

CASES = {
    "v1.0-relu": T5Config(
        **SIZES, d_kv=4, relative_attention_num_buckets=8, relative_attention_max_distance=10, tie_word_embeddings=True
    ),
    "v1.1-gated-untied": T5Config(
        **dict(SIZES, num_heads=3), d_kv=8, num_decoder_layers=3, feed_forward_proj="gated-gelu", tie_word_embeddings=False
    ),
    "gated-silu-tied": T5Config(**SIZES, d_kv=4, feed_forward_proj="gated-silu", tie_word_embeddings=True),
}

INPUTS = [[3, 17, 5, 28, 2, 9, 9, 14, 2, 21, 7, 7, 1], [8, 4, 12, 1], [6, 2, 27, 25, 24, 5, 1]]
OUTPUTS = [[5, 9, 13, 2, 1], [22, 1], [18, 18, 3, 7, 26, 11, 4, 1]]


def padded(rows, fill):
    length = max(map(len, rows))
    return torch.tensor([row + [fill] * (length - len(row)) for row in rows])


def buckets(bidirectional, count, distance):
    reach = torch.arange(-300, 301)
    return T5Attention._relative_position_bucket(reach, bidirectional, count, distance).tolist()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, config in CASES.items():
        config._attn_implementation = "eager"
        untied = not config.scale_decoder_outputs
        model = T5ForConditionalGeneration(config).eval()
        if untied:
            model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
        fill(model, lambda parameter: parameter)
        inputs = dict(input_ids=padded(INPUTS, 0), attention_mask=padded([[1] * len(row) for row in INPUTS], 0))
        labels = padded(OUTPUTS, -100)
        output = model(**inputs, labels=labels, use_cache=False)
        real = labels != -100
        law = torch.log_softmax(output.logits[real], -1)
        chosen = law.gather(1, labels[real][:, None])[:, 0]
        (-chosen.mean()).backward()
        with torch.no_grad():
            greedy = model.generate(**inputs, max_new_tokens=12, do_sample=False, num_beams=1, use_cache=False)
        content = dict(
            config=dict(config.to_dict(), tie_word_embeddings=not untied, architectures=["T5ForConditionalGeneration"]),
            inputs=INPUTS,
            outputs=OUTPUTS,
            states=rounded(output.encoder_last_hidden_state.detach()[inputs["attention_mask"].bool()]),
            logits=rounded(output.logits.detach()[real]),
            logProbs=rounded(chosen.detach()),
            gradients=probes(model, lambda parameter: parameter),
            greedy=greedy[:, 1:].tolist(),
        )
        (FOLDER / f"{name}.json").write_text(json.dumps(content) + "\n")
        print(name, float(chosen.mean().detach()), len(content["gradients"]), content["greedy"])
    cases = [dict(bidirectional=b, buckets=n, maxDistance=d) for b in (True, False) for n, d in ((32, 128), (8, 20), (16, 100))]
    for case in cases:
        case["expected"] = buckets(*case.values())
    (FOLDER / "buckets.json").write_text(json.dumps(cases) + "\n")


main()
