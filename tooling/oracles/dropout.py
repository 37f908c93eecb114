"""Golden numbers for training with dropout in packages/models: Hugging Face's own models in train mode, with the masks that fdiv draws.

    pip install torch transformers
    python tooling/oracles/dropout.py

Writes one JSON file a case to packages/models/src/golden/dropout: a tiny config.json with a rate of its own for each kind of place, a padded batch,
the logits that `transformers` computes in float64 with dropout on, and of a loss of them each parameter's gradient by its length and its product
with a fixed direction. The masks come from Philox4x32-10 as written here; which module draws at which place is told by transformers' modules.
"""

import json
from pathlib import Path

import torch
from hashed_values import fill, probes, rounded, tensor_of
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    RobertaConfig,
    T5Config,
    T5ForConditionalGeneration,
)

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "golden" / "dropout"
SEED = "step 3"
NAMES = [4, 0, 7]

SIZES = dict(vocab_size=29, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=14)
RATES = dict(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3, classifier_dropout=0.4, num_labels=3)
DISTILBERT = dict(vocab_size=29, dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=14, num_labels=3)
T5 = dict(vocab_size=29, d_model=16, d_ff=24, d_kv=4, num_layers=2, num_heads=4, dropout_rate=0.25, decoder_start_token_id=0)

CASES = {
    "bert": BertConfig(**SIZES, **RATES),
    "roberta": RobertaConfig(**SIZES, **RATES, type_vocab_size=1, pad_token_id=1),
    "distilbert": DistilBertConfig(**DISTILBERT, dropout=0.2, attention_dropout=0.3, seq_classif_dropout=0.4),
    "t5": T5Config(**T5),
    "t5-gated": T5Config(**T5, feed_forward_proj="gated-gelu"),
}

ROWS = [[3, 17, 5, 28, 2, 9, 9, 14, 2, 21, 7], [8, 4, 12, 12, 27, 25], [6, 2, 2]]
OUTPUTS = [[5, 9, 13, 2, 1], [22, 1], [18, 18, 3, 1]]
MASK32 = 2**32 - 1


def philox(counter, key):
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & MASK32, (p0 >> 32) ^ c[3] ^ k1, p0 & MASK32]
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return c


def fork(key, label):
    if isinstance(label, int):
        import struct

        words = [1, *struct.unpack(">II", struct.pack(">d", label))]
    else:
        data = label.encode()
        words = [2, len(data)] + [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    words.append(0)
    for i in range(0, len(words) - 1, 2):
        key = tuple(philox([words[i], words[i + 1], i, 0xF04C], key)[:2])
    return key


def draw(key, count, rate, block=0):
    words = [word for i in range((count + 7) // 8) for word in philox([block + i, 0, 0, 0], key)]
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)][:count]
    dropped = round(rate * 65536)
    return [0.0 if half < dropped else 65536 / (65536 - dropped) for half in halves]


BASE = fork(fork((0, 0), SEED), "dropout")


def mask(place, shape, rate, names, attention):
    own = fork(BASE, place)
    out = torch.zeros(shape, dtype=torch.float64)
    for row, name in enumerate(names):
        key = fork(own, name)
        if not attention:
            out[row] = torch.tensor(draw(key, out[row].numel(), rate), dtype=torch.float64).reshape(out[row].shape)
            continue
        for head in range(shape[1]):
            for query in range(shape[2]):
                values = draw(fork(key, head), shape[3], rate, query * 2**20)
                out[row, head, query] = torch.tensor(values, dtype=torch.float64)
    return out


def names_at(place):
    return [f"{name}/0" for name in NAMES] if place.startswith("decoder.") else NAMES


class Drop(torch.nn.Module):
    """In place of nn.Dropout; a stack of T5 uses its own twice."""

    def __init__(self, places, rate):
        super().__init__()
        self.places, self.rate, self.calls = places, rate, 0

    def forward(self, x):
        place = self.places[self.calls % len(self.places)]
        self.calls += 1
        return x * mask(place, x.shape, self.rate, names_at(place), False)


def places_of(name, kind):
    """Where fdiv draws for one of transformers' modules."""
    if kind.startswith("t5"):
        return [name, name.replace("dropout", "final_dropout")] if name in ("encoder.dropout", "decoder.dropout") else [name]
    head = {"bert": ["classifier.dropout"], "roberta": ["classifier.input_dropout", "classifier.dropout"], "distilbert": ["classifier.dropout"]}
    if name in ("dropout", "classifier.dropout"):
        return head[kind]
    if name.endswith("embeddings.dropout"):
        return [name]
    if kind == "distilbert":
        return [name.replace("ffn.dropout", "ffn.lin2.dropout")]
    return [name.replace("output.dropout", "output.dense.dropout")]


def attention_places(kind, layers=2):
    if kind.startswith("t5"):
        of = lambda stack, layer, part: f"{stack}.block.{layer}.layer.{part}"
        encoder = [of("encoder", i, "0.SelfAttention.dropout") for i in range(layers)]
        decoder = [of("decoder", i, part) for i in range(layers) for part in ("0.SelfAttention.dropout", "1.EncDecAttention.dropout")]
        return encoder + decoder
    stack = "distilbert.transformer.layer" if kind == "distilbert" else f"{kind}.encoder.layer"
    return [f"{stack}.{i}.attention.dropout" for i in range(layers)]


def padded(rows, fill_with):
    length = max(map(len, rows))
    return torch.tensor([row + [fill_with] * (length - len(row)) for row in rows])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    original = torch.nn.functional.dropout
    for kind, config in CASES.items():
        config._attn_implementation = "eager"
        is_t5 = kind.startswith("t5")
        model = T5ForConditionalGeneration(config) if is_t5 else AutoModelForSequenceClassification.from_config(config)
        fill(model, lambda parameter: parameter)
        for name, module in list(model.named_modules()):
            if not isinstance(module, torch.nn.Dropout):
                continue
            # Attention's own is applied by the function below.
            if name.endswith("self.dropout") or name.endswith("attention.dropout"):
                continue
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], Drop(places_of(name, kind), module.p))
        places = iter(attention_places(kind))

        def attention_dropout(x, p=0.5, training=True, inplace=False, places=places):
            place = next(places)
            return x * mask(place, x.shape, p, names_at(place), True)

        torch.nn.functional.dropout = attention_dropout
        model.train()
        pad = config.pad_token_id or 0
        inputs = dict(input_ids=padded(ROWS, pad), attention_mask=padded([[1] * len(row) for row in ROWS], 0))
        if is_t5:
            labels = padded(OUTPUTS, -100)
            logits = model(**inputs, labels=labels, use_cache=False).logits[labels != -100]
        else:
            logits = model(**inputs).logits
        assert next(places, None) is None, "attention drew less often than expected"
        loss = (logits * tensor_of("loss", logits.shape, 1.0)).sum()
        loss.backward()
        content = dict(
            config=dict(config.to_dict(), architectures=[type(model).__name__]),
            seed=SEED,
            names=NAMES,
            rows=ROWS,
            outputs=OUTPUTS,
            result=rounded(logits.detach()),
            gradients=probes(model, lambda parameter: parameter),
        )
        (FOLDER / f"{kind}.json").write_text(json.dumps(content) + "\n")
        print(kind, float(loss), len(content["gradients"]))
    torch.nn.functional.dropout = original


main()
