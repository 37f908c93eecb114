"""The same supervised step by TRL's SFTTrainer, in float32, without gradient checkpointing or packing."""
import tempfile
import time

import datasets
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import SFTConfig, SFTTrainer

import setting as S

datasets.disable_progress_bars()
ROWS, STEPS, WARMUP = 2 * S.PAIRS, 12, 4
vocabulary = {"<pad>": 0, "<eos>": 1, "<unk>": 2, **{f"w{i}": i for i in range(3, S.VOCABULARY)}}
words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
ids = S.tokens(ROWS * STEPS, 1).tolist()


class Clock(TrainerCallback):
    marks = []

    def on_train_begin(self, *args, **kwargs):
        self.marks.append(time.perf_counter())

    def on_step_end(self, *args, **kwargs):
        self.marks.append(time.perf_counter())


config = SFTConfig(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=ROWS, max_steps=STEPS, learning_rate=1e-4,
                   lr_scheduler_type="constant", warmup_steps=0, bf16=False, fp16=False, use_cpu=True,
                   gradient_checkpointing=False, max_length=None, report_to=[], save_strategy="no", logging_steps=100,
                   disable_tqdm=True, max_grad_norm=1.0, dataloader_pin_memory=False, seed=0, packing=False,
                   dataset_kwargs={"skip_prepare_dataset": True})
trainer = SFTTrainer(model=S.gpt2(), args=config, train_dataset=datasets.Dataset.from_list([{"input_ids": row} for row in ids]),
                     processing_class=tokenizer, callbacks=[Clock()])
trainer.train()
S.tell([b - a for a, b in zip(Clock.marks, Clock.marks[1:])][WARMUP:])
