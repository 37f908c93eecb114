"""Loading the made model into float32: transformers from safetensors (F32, BF16) or GGUF (gguf), the gguf package alone (reader)."""
import os
import sys
import tempfile

import torch

import setting as S

KIND = sys.argv[1]
FOLDER = os.path.join(tempfile.gettempdir(), "fdiv-bench-models")


def transformers_load():
    from transformers import AutoModelForCausalLM

    where = {"gguf_file": "model.gguf"} if KIND == "gguf" else {}
    model = AutoModelForCausalLM.from_pretrained(FOLDER if where else os.path.join(FOLDER, KIND), dtype=torch.float32, **where)
    # Every weight is used once, since a mapped file is read only then.
    return [parameter.max() for parameter in model.parameters()]


def reader_load():
    import gguf

    reader = gguf.GGUFReader(os.path.join(FOLDER, "model.gguf"))
    return [gguf.dequantize(tensor.data, tensor.tensor_type).max() for tensor in reader.tensors]


with torch.no_grad():
    S.tell(S.time_each(reader_load if KIND == "reader" else transformers_load, 1, 4))
