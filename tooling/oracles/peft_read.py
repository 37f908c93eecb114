"""Reads a run's adapter with PEFT, on the base that it names, and holds what it computes against the run's whole model in transformers.

    pip install torch transformers peft
    python tooling/oracles/peft_read.py runs/kd [--base FOLDER]

A run with an adapter (`fdiv sft`, `dpo`, `dpg`, `ppo` or `kd`) leaves `adapter` and `model`, the adapter merged in; both must give the same.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

arguments = argparse.ArgumentParser()
arguments.add_argument("run", type=Path)
arguments.add_argument("--base")
options = arguments.parse_args()

CLASSES = {"SEQ_CLS": AutoModelForSequenceClassification, "SEQ_2_SEQ_LM": AutoModelForSeq2SeqLM, "CAUSAL_LM": AutoModelForCausalLM}

adapter = json.loads((options.run / "adapter" / "adapter_config.json").read_text())
made = CLASSES[adapter["task_type"]]
whole = made.from_pretrained(options.run / "model").eval()
labels = dict(num_labels=whole.config.num_labels) if adapter["task_type"] == "SEQ_CLS" else {}
base = made.from_pretrained(options.base or adapter["base_model_name_or_path"], **labels)
adapted = PeftModel.from_pretrained(base, options.run / "adapter").eval()

ids = torch.arange(12)[None] * 7 % min(whole.config.vocab_size, 97)
inputs = dict(input_ids=ids)
if adapter["task_type"] == "SEQ_2_SEQ_LM":
    inputs["labels"] = ids[:, :5]
with torch.no_grad():
    expected, found = whole(**inputs).logits, adapted(**inputs).logits
    with adapted.disable_adapter():
        unadapted = adapted(**inputs).logits
print("PEFT", adapter["task_type"], adapter["target_modules"], adapter["modules_to_save"])
print("largest difference to the whole model:", float((expected - found).abs().max()))
print("largest difference to the base alone:", float((unadapted - found).abs().max()))
