"""Golden numbers for the encoders of packages/models, from Hugging Face's own implementations.

    pip install torch transformers
    python tooling/oracles/encoders.py

Writes one JSON file a case to packages/models/src/encoders/golden: a tiny config.json, a padded batch, the hidden states or logits
that `transformers` computes in float64, a loss of them, and of the loss's gradient by each parameter its length and its
product with a fixed direction. Parameters come from a formula (`hashed_values.py`).
"""

import json
from pathlib import Path

import torch
from hashed_values import fill, probes, rounded, tensor_of
from transformers import AutoModel, AutoModelForSequenceClassification
from transformers.models.bert import BertConfig
from transformers.models.distilbert import DistilBertConfig
from transformers.models.roberta import RobertaConfig
from transformers.models.xlm_roberta import XLMRobertaConfig

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "encoders" / "golden"

BERT = dict(
    vocab_size=29, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=12
)
ROBERTA = dict(BERT, max_position_embeddings=14, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
DISTILBERT = dict(vocab_size=29, dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=12)

CASES = {
    "bert-classification": (BertConfig(**BERT, num_labels=3), "classification"),
    "bert-regression-relu": (BertConfig(**BERT, num_labels=1, hidden_act="relu"), "regression"),
    "bert-bare-tanh": (BertConfig(**BERT, hidden_act="gelu_new"), "bare"),
    "roberta-classification": (RobertaConfig(**ROBERTA, num_labels=2), "classification"),
    "xlm-roberta-bare": (XLMRobertaConfig(**ROBERTA), "bare"),
    "distilbert-classification": (DistilBertConfig(**DISTILBERT, num_labels=3), "classification"),
    "distilbert-bare-relu": (DistilBertConfig(**DISTILBERT, activation="relu"), "bare"),
}

ROWS = [[3, 17, 5, 28, 2, 9, 9, 14, 2, 21, 7], [8, 4, 12, 12, 27, 25], [6, 2, 2]]
TYPES = [[0] * 5 + [1] * 6, [0, 0, 0, 1, 1, 1], [0, 1, 1]]
LABELS = [1, 0, 1]
TARGETS = [0.5, -1.25, 2.0]


def batch(config):
    length = max(map(len, ROWS))
    pad = lambda rows, fill: torch.tensor([row + [fill] * (length - len(row)) for row in rows])
    mask = pad([[1] * len(row) for row in ROWS], 0)
    inputs = dict(input_ids=pad(ROWS, config.pad_token_id), attention_mask=mask)
    if config.model_type == "bert":
        inputs["token_type_ids"] = pad(TYPES, 0)
    return inputs, mask


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (config, task) in CASES.items():
        config._attn_implementation = "eager"
        made = AutoModel if task == "bare" else AutoModelForSequenceClassification
        model = made.from_config(config).eval()
        prefix = model.base_model_prefix + "." if task == "bare" else ""
        named = lambda parameter, prefix=prefix: prefix + parameter
        fill(model, named)
        inputs, mask = batch(config)
        output = model(**inputs)
        if task == "bare":
            hidden = output.last_hidden_state * mask[..., None]
            result = hidden
            loss = (hidden * tensor_of("loss", hidden.shape, 1.0)).sum()
        else:
            result = output.logits
            loss = (
                torch.nn.functional.cross_entropy(result, torch.tensor(LABELS))
                if task == "classification"
                else torch.nn.functional.mse_loss(result[:, 0], torch.tensor(TARGETS, dtype=torch.float64))
            )
        loss.backward()
        content = dict(
            config=dict(config.to_dict(), architectures=[type(model).__name__]),
            task=task,
            rows=ROWS,
            types=TYPES,
            labels=LABELS,
            targets=TARGETS,
            result=rounded(result.detach()),
            loss=float(loss),
            gradients=probes(model, named),
        )
        (FOLDER / f"{name}.json").write_text(json.dumps(content) + "\n")
        print(name, float(loss), len(content["gradients"]))


main()
