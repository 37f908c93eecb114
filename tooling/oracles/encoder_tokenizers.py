"""Golden ids of small tokenizers as encoders and T5 have them: WordPiece, byte-level BPE and SentencePiece unigram.

    pip install transformers tokenizers sentencepiece protobuf
    python tooling/oracles/encoder_tokenizers.py

Trains each on a few sentences and writes packages/models/src/tokenizer/golden/encoder-tokenizers.json: the vocabulary files of old,
texts and pairs, and the ids that `transformers` and SentencePiece give. The unigram model's table of characters is blanked, for it
has 240 kB and is not read.
"""

import base64
import io
import json
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer
from transformers import BertTokenizer, RobertaTokenizer

PATH = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "tokenizer" / "golden" / "encoder-tokenizers.json"

CORPUS = [
    "The student reads what the teacher says, and says it again.",
    "A divergence measures how far two distributions are from each other.",
    "Where the teacher is certain, the student learns the answer; where it is not, it learns the doubt.",
    "Optimal transport moves mass from one distribution to the other at the least cost.",
    "Die Schülerin liest, was der Lehrer sagt – größer und kürzer zugleich.",
    "A student who reads more than the teacher says more than the teacher, who measures what is measured.",
    "The answers of the learned are far from the doubts of the learner; the costs of transporting are the least of them.",
    "Numbers such as 3.14159 and 2,718 appear in 1999 texts; so do URLs like https://example.org/a?b=c.",
] * 4

TEXTS = [
    "The teacher says that the distributions are close.",
    "  Uneven   spacing\tand\nlines ",
    "Größere Ärger-Fälle: naïve café, ÅNGSTRÖM!",
    "ﬁne ½ № Ｆｕｌｌ　ｗｉｄｔｈ …",
    "unknown: 東京 🙂 ☃",
    "2,718.28 & e=mc² (a+b)*c",
    "",
    "x",
]
PAIRS = [["The student reads", "what the teacher says."], ["", "least cost"]]


def main():
    out = dict(texts=TEXTS, pairs=PAIRS)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.txt")
        corpus.write_text("\n".join(CORPUS))

        word = BertWordPieceTokenizer(lowercase=True)
        word.train([str(corpus)], vocab_size=160, min_frequency=1, show_progress=False)
        word.save_model(folder)
        vocab = Path(folder, "vocab.txt").read_text()
        bert = BertTokenizer.from_pretrained(folder)
        out["wordPiece"] = dict(vocab=vocab, ids=[bert(text)["input_ids"] for text in TEXTS])
        out["wordPiece"]["pairs"] = [dict(ids=x["input_ids"], types=x["token_type_ids"]) for x in (bert(*pair) for pair in PAIRS)]

        bpe = ByteLevelBPETokenizer()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        bpe.train([str(corpus)], vocab_size=340, min_frequency=1, special_tokens=special, show_progress=False)
        bpe.save_model(folder)
        roberta = RobertaTokenizer.from_pretrained(folder)
        out["bpe"] = dict(
            vocab=json.loads(Path(folder, "vocab.json").read_text()),
            merges=Path(folder, "merges.txt").read_text(),
            ids=[roberta(text)["input_ids"] for text in TEXTS],
            pairs=[dict(ids=roberta(*pair)["input_ids"]) for pair in PAIRS],
        )

        bytes_io = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS),
            model_writer=bytes_io,
            vocab_size=110,
            character_coverage=1.0,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            minloglevel=2,
        )
        processor = sentencepiece.SentencePieceProcessor(model_proto=bytes_io.getvalue())
        proto = sentencepiece_model_pb2.ModelProto.FromString(bytes_io.getvalue())
        proto.normalizer_spec.precompiled_charsmap = b"\0" * 8
        out["unigram"] = dict(
            model=base64.b64encode(proto.SerializeToString()).decode(),
            ids=[processor.encode(text) + [1] for text in TEXTS],
            decoded=[processor.decode(processor.encode(text)) for text in TEXTS],
        )
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(out) + "\n")
    print(PATH.stat().st_size, [len(out[kind]["ids"][0]) for kind in ("wordPiece", "bpe", "unigram")])


main()
