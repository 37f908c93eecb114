"""LoRA adapters as PEFT writes them, and what their models compute, for packages/models.

    pip install torch transformers peft
    python tooling/oracles/adapters.py

Writes one folder a case to packages/models/src/golden/adapters: the two files of the adapter as PEFT saves them, and case.json with the base's
tiny config.json, the input and the logits (or hidden states) in float64. The base's parameters come from a formula (`hashed_values.py`).
"""

import json
from pathlib import Path

import torch
from hashed_values import fill, rounded, tensor_of
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    RobertaConfig,
    T5Config,
    T5ForConditionalGeneration,
)

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "models" / "src" / "golden" / "adapters"

BERT = dict(vocab_size=29, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=14)
ROBERTA = dict(BERT, type_vocab_size=1, pad_token_id=1)
DISTILBERT = dict(vocab_size=29, dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=14)
T5 = dict(vocab_size=29, d_model=16, d_ff=24, d_kv=4, num_layers=2, num_heads=4, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
LLAMA = dict(vocab_size=29, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4)
GPT2 = dict(vocab_size=29, n_embd=16, n_layer=2, n_head=4, n_positions=32)

CLASSIFIER = (AutoModelForSequenceClassification, "SEQ_CLS")
PRE = dict(target_modules=["q_lin", "v_lin"], modules_to_save=["pre_classifier"])
DENSE = dict(target_modules=["dense"], use_rslora=True)
GATED = dict(feed_forward_proj="gated-gelu")
WIDE = dict(target_modules=["q", "k", "v", "o", "wi_0", "wi_1", "wo"])

CASES = {
    "bert-classifier": (BertConfig(**BERT, num_labels=3), *CLASSIFIER, {}),
    "bert-bare-dense": (BertConfig(**BERT), AutoModel, "FEATURE_EXTRACTION", DENSE),
    "roberta-dense": (RobertaConfig(**ROBERTA, num_labels=2), *CLASSIFIER, DENSE),
    "distilbert-classifier": (DistilBertConfig(**DISTILBERT, num_labels=3), *CLASSIFIER, PRE),
    "t5": (T5Config(**T5), None, "SEQ_2_SEQ_LM", {}),
    "t5-gated-wide": (T5Config(**T5, **GATED), None, "SEQ_2_SEQ_LM", WIDE),
    "llama": (LlamaConfig(**LLAMA), AutoModelForCausalLM, "CAUSAL_LM", {}),
    "gpt2": (GPT2Config(**GPT2), AutoModelForCausalLM, "CAUSAL_LM", dict(fan_in_fan_out=True)),
}

IDS = [3, 17, 5, 28, 9, 9, 14, 2, 21, 7]
OUTPUT = [5, 9, 13, 2, 1]


def outputs(model, task):
    ids = torch.tensor([IDS])
    if task == "SEQ_2_SEQ_LM":
        return model(input_ids=ids, labels=torch.tensor([OUTPUT])).logits
    result = model(input_ids=ids)
    return result.last_hidden_state if task == "FEATURE_EXTRACTION" else result.logits


def main():
    for name, (config, made, task, rest) in CASES.items():
        config._attn_implementation = "eager"
        base = T5ForConditionalGeneration(config) if made is None else made.from_config(config)
        prefix = base.base_model_prefix + "." if task == "FEATURE_EXTRACTION" else ""
        fill(base, lambda parameter, prefix=prefix: prefix + parameter)
        dropout = 0.05 if task == "SEQ_CLS" else 0.0
        model = get_peft_model(base, LoraConfig(task_type=task, r=2, lora_alpha=3, lora_dropout=dropout, **rest)).double().eval()
        before = model.get_base_model()
        trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        for full, parameter in trained:
            parameter.data = tensor_of(full, parameter.shape, 0.4)
        with torch.no_grad():
            result = outputs(model, task)
            with model.disable_adapter():
                base_result = outputs(model, task)
        model.float().save_pretrained(FOLDER / name)
        (FOLDER / name / "README.md").unlink(missing_ok=True)
        content = dict(
            config=dict(config.to_dict(), architectures=[type(before).__name__]),
            ids=IDS,
            output=OUTPUT,
            result=rounded(result),
            base=rounded(base_result),
        )
        (FOLDER / name / "case.json").write_text(json.dumps(content) + "\n")
        print(name, len(trained), float((result - base_result).abs().max()))


main()
