"""Reads a converted Hugging Face folder with transformers: token ids of some texts, and the greedy continuation from BOS.

    pip install torch transformers
    fdiv convert stories260K.bin converted
    python tooling/oracles/transformers_read.py converted [--tokens 64] [--ids-only]

Of stories260K it must print the text in the data folder's README; the ids are those of fdiv's own tokenizer.
"""

import argparse
import json

from transformers import AutoTokenizer

TEXTS = ["Once upon a time, Lily", "  two  spaces\n\tand 2024!", "It's naïve 日本語 😀", "<s>not special", "Hello world"]
arguments = argparse.ArgumentParser()
arguments.add_argument("folder")
arguments.add_argument("--tokens", type=int, default=64)
arguments.add_argument("--ids-only", action="store_true")
options = arguments.parse_args()

tokenizer = AutoTokenizer.from_pretrained(options.folder)
for text in TEXTS:
    print(json.dumps([text, tokenizer.encode(text, add_special_tokens=False)], ensure_ascii=False))
if tokenizer.chat_template:
    messages = [{"role": "user", "content": "Hi"}]
    print(repr(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)))
if not options.ids_only:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(options.folder)
    start = torch.tensor([[tokenizer.bos_token_id]])
    ids = model.generate(start, attention_mask=torch.ones_like(start), max_new_tokens=options.tokens, do_sample=False)
    print(tokenizer.decode(ids[0], skip_special_tokens=True))
