"""The setting that every side of the benchmarks shares: model sizes, batch, tokens."""
import json
import os
import random
import resource
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

VOCABULARY, HIDDEN, LAYERS, HEADS, FEED_FORWARD = 4096, 256, 4, 4, 1024
PAIRS, PROMPT, COMPLETION = 8, 64, 64


def gpt2(vocabulary=VOCABULARY):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=vocabulary, n_positions=256, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS,
                        n_inner=FEED_FORWARD, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
                        bos_token_id=1, eos_token_id=1, pad_token_id=0)
    return GPT2LMHeadModel(config).float()


def smollm2():
    """SmolLM2-135M's architecture with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                         num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=2048,
                         tie_word_embeddings=True, rope_theta=100000.0, bos_token_id=1, eos_token_id=1, pad_token_id=0)
    return LlamaForCausalLM(config).float()


def tokens(rows, seed):
    import torch

    draw = random.Random(seed)
    return torch.tensor([[draw.randrange(3, VOCABULARY) for _ in range(PROMPT + COMPLETION)] for _ in range(rows)])


def since_start():
    """Seconds since the harness started this process."""
    return time.time() - float(os.environ["FDIV_BENCH_STARTED"]) / 1e3


def time_each(work, warmup, repeat):
    for _ in range(warmup):
        work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def tell(seconds, **more):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("RESULT " + json.dumps({"seconds": seconds, "peakMegabytes": peak, **more}))
