"""Reads pipeline folders that fdiv wrote with diffusers, and compares their parts' tensors, ids and latents with those of the folders they were loaded from.

    pip install torch diffusers transformers
    python tooling/oracles/diffusers_read.py ORIGINAL WRITTEN [--original-variant fp16]
"""

import argparse

import torch
from diffusers import StableDiffusionPipeline

arguments = argparse.ArgumentParser()
arguments.add_argument("original")
arguments.add_argument("written")
arguments.add_argument("--original-variant")
options = arguments.parse_args()
texts = ["a photo of cats", "", "naïve dogs"]


def opened(folder, variant=None):
    return StableDiffusionPipeline.from_pretrained(folder, variant=variant, torch_dtype=torch.float32, safety_checker=None)


original, written = opened(options.original, options.original_variant), opened(options.written)
for part in ("unet", "vae", "text_encoder"):
    before, after = getattr(original, part).state_dict(), getattr(written, part).state_dict()
    assert before.keys() == after.keys(), part
    print(part, len(before), "tensors, largest difference", max(float((before[name] - after[name]).abs().max()) for name in before))
ids = [pipeline.tokenizer(texts, padding="max_length", truncation=True, max_length=12).input_ids for pipeline in (original, written)]
print("ids equal:", ids[0] == ids[1])
latents = torch.randn(1, 4, 4, 4)
images = [pipeline(texts[:1], num_inference_steps=4, latents=latents.clone(), output_type="pt").images for pipeline in (original, written)]
print("pictures differ by", float((images[0] - images[1]).abs().max()))
