"""Golden ids of llama2.c's 512-piece vocabulary by SentencePiece itself.

    pip install sentencepiece protobuf
    python tooling/oracles/sentence_piece.py DATA/stories260K/tok512.bin > packages/models/src/golden/tok512-ids.json
"""

import io
import json
import struct
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb

TEXTS = [
    "Once upon a time", "", " ", "  two  spaces ", "a\nb\n\n", "Lily's mom said, \"Hello!\"", "<s>not special</s>",
    "naïve café", "日本語", "😀👨‍👩‍👧", "aaaaaaaaaaaaaaaa", "theretheretothemthen", "\ttab", "▁ literal", "0123456789",
    "The quick brown fox jumps over the lazy dog and he said that she was not there with them any more.",
]
data = io.BytesIO(open(sys.argv[1], "rb").read())
data.read(4)
model = pb.ModelProto()
model.trainer_spec.model_type = pb.TrainerSpec.BPE
model.trainer_spec.byte_fallback = True
model.trainer_spec.vocab_size = 512
model.normalizer_spec.name = "identity"
model.normalizer_spec.add_dummy_prefix = True
model.normalizer_spec.remove_extra_whitespaces = False
model.normalizer_spec.escape_whitespaces = True
for i in range(512):
    score, length = struct.unpack("<fi", data.read(8))
    text = data.read(length).decode()
    piece = model.pieces.add()
    piece.piece = {0: "<unk>", 1: "<s>", 2: "</s>"}.get(i, text.replace(" ", "▁"))
    piece.score = score
    kind = pb.ModelProto.SentencePiece
    piece.type = kind.UNKNOWN if i == 0 else kind.CONTROL if i < 3 else kind.BYTE if i < 259 else kind.NORMAL
processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
print(json.dumps([{"text": t, "ids": processor.encode(t)} for t in TEXTS], ensure_ascii=False, indent=1))
