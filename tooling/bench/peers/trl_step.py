"""The same step by TRL's DPOTrainer, in float32, without gradient checkpointing.

trl_step.py lora       SmolLM2-135M's architecture with an adapter of rank 16 on q_proj and v_proj, 4 pairs

trl_step.py            the reference model runs in every step
trl_step.py cached     precompute_ref_log_probs
trl_step.py first      seconds from the process's start to the end of the first step
"""
import copy
import random
import sys
import tempfile
import time

import datasets
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer

import setting as S

datasets.disable_progress_bars()
LORA = "lora" in sys.argv
FIRST = "first" in sys.argv
STEPS, WARMUP = (1, 0) if FIRST else (6, 2) if LORA else (12, 4)
if LORA:
    S.PAIRS = 4

vocabulary = {"<pad>": 0, "<eos>": 1, "<unk>": 2, **{f"w{i}": i for i in range(3, S.VOCABULARY)}}
words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
draw = random.Random(1)


def text(count):
    return " ".join(f"w{draw.randrange(3, S.VOCABULARY)}" for _ in range(count))


rows = [{"prompt": text(S.PROMPT), "chosen": " " + text(S.COMPLETION - 1), "rejected": " " + text(S.COMPLETION - 1)}
        for _ in range(S.PAIRS * STEPS)]


class Clock(TrainerCallback):
    marks = []

    def on_train_begin(self, *args, **kwargs):
        self.marks.append(time.perf_counter())

    def on_step_end(self, *args, **kwargs):
        self.marks.append(time.perf_counter())


policy = S.smollm2() if LORA else S.gpt2()
config = DPOConfig(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=S.PAIRS, max_steps=STEPS, learning_rate=1e-4,
                   lr_scheduler_type="constant", warmup_steps=0, beta=0.1, bf16=False, fp16=False, use_cpu=True,
                   gradient_checkpointing=False, max_length=None, report_to=[], save_strategy="no", logging_steps=100,
                   disable_tqdm=True, max_grad_norm=1.0, dataloader_pin_memory=False, seed=0,
                   precompute_ref_log_probs="cached" in sys.argv)
adapter = {}
if LORA:
    from peft import LoraConfig

    adapter = {"peft_config": LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")}
trainer = DPOTrainer(model=policy, ref_model=None if LORA else copy.deepcopy(policy), args=config,
                     train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer, callbacks=[Clock()], **adapter)
first = trainer.train_dataset[0]
assert len(first["prompt_ids"]) == S.PROMPT and len(first["chosen_ids"]) == S.COMPLETION, first
trainer.train()
S.tell([S.since_start()] if FIRST else [b - a for a, b in zip(Clock.marks, Clock.marks[1:])][WARMUP:])
