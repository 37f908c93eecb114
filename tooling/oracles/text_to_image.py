"""Golden numbers of small random Stable Diffusion pipelines, for packages/models/src/text-to-image.

Needs torch, diffusers, transformers, safetensors. Writes folders in the official layout, and what their parts and a few steps of sampling say, to the folder given.

    python tooling/oracles/text_to_image.py packages/models/src/text-to-image/golden
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from diffusers import (AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionPipeline,
                       UNet2DConditionModel)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

out = Path(sys.argv[1])
# Without the padding's "!", which transformers takes for padding in a text too: the model was trained by a tokenizer that does not.
TEXTS = ["a photo of a Cat, 12 cats?", "", "Über naïve Ω's\n\t dogs' “red” of the photo on a mat and a very long caption"]
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, steps_offset=1)


def characters():
    """Byte-level BPE's 256 characters, in the order of CLIP's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def vocabulary(first):
    merges = [("a", "t"), ("a", "t</w>"), ("o", "f</w>"), ("t", "o</w>"), ("p", "h"), ("ph", "o"), ("pho", "to</w>"),
              ("d", "o"), ("do", "g"), ("dog", "s</w>"), ("i", "n"), ("n", "d</w>"), ("a", "nd</w>"), ("r", "e"), ("re", "d</w>"),
              ("t", "h"), ("th", "e</w>"), ("Ã", "¼"), ("'", "s</w>"), ("1", "2</w>"),
              ("c", "at</w>"), ("c", "at"), ("cat", "s</w>")]
    pieces = [*characters(), *[c + "</w>" for c in characters()], *["".join(pair) for pair in merges]]
    pieces = list(dict.fromkeys([*first, *pieces])) + ["<|startoftext|>", "<|endoftext|>"]
    return {piece: i for i, piece in enumerate(pieces)}, merges


CASES = {
    # As Stable Diffusion 1: 1 × 1 convolutions around transformers, ε; the vocabulary in the files of old.
    "first": dict(
        unet=dict(block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2, cross_attention_dim=6, attention_head_dim=2,
                  down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")),
        text=dict(hidden_act="quick_gelu", num_hidden_layers=2),
        scheduler=PNDMScheduler(**BETAS, skip_prk_steps=True, set_alpha_to_one=False),
        sampler=lambda: DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=True, timestep_spacing="leading"),
        pad="<|endoftext|>", variant=None,
    ),
    # As Stable Diffusion 2: linear projections, heads by level, v, GELU; weights in half precision.
    "second": dict(
        unet=dict(block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2, cross_attention_dim=6, attention_head_dim=(1, 2),
                  down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                  use_linear_projection=True, transformer_layers_per_block=2, resnet_time_scale_shift="scale_shift"),
        text=dict(hidden_act="gelu", num_hidden_layers=2),
        scheduler=DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"),
        sampler=lambda: EulerDiscreteScheduler(**BETAS, prediction_type="v_prediction", timestep_spacing="leading"),
        pad="!", variant="fp16",
    ),
}


def stirred(model, size):
    """Past the start, where much of a net is shut off by zeros and small numbers."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return model.eval()


def listed(x):
    """Images with the channels last, all else as it is."""
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten().tolist()


for seed, (name, case) in enumerate(CASES.items()):
    torch.manual_seed(seed)
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    vocab, merges = vocabulary(["!"] if case["pad"] == "!" else [])
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, pad_token=case["pad"], model_max_length=12)
    text = stirred(CLIPTextModel(CLIPTextConfig(
        hidden_size=6, intermediate_size=12, num_attention_heads=2, vocab_size=len(vocab), max_position_embeddings=12,
        bos_token_id=vocab["<|startoftext|>"], eos_token_id=vocab["<|endoftext|>"], pad_token_id=vocab[case["pad"]], **case["text"])), 0.3)
    unet = stirred(UNet2DConditionModel(sample_size=4, **case["unet"]), 0.05)
    vae = stirred(AutoencoderKL(
        block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2, sample_size=8,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2), 0.05)
    pipeline = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=case["scheduler"],
                                       safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    if case["variant"]:
        pipeline.to(torch.float16).save_pretrained(folder, variant=case["variant"])
        pipeline.to(torch.float32)
    else:
        pipeline.save_pretrained(folder)
        (folder / "tokenizer" / "tokenizer.json").unlink()
        (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
        lines = "".join(f"{a} {b}\n" for a, b in merges)
        (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n" + lines)
    pipeline.set_progress_bar_config(disable=True)

    with torch.no_grad():
        ids = tokenizer(TEXTS, padding="max_length", max_length=12, truncation=True, return_tensors="pt").input_ids
        states = text(ids).last_hidden_state
        skipped = text.final_layer_norm(text(ids, output_hidden_states=True).hidden_states[-2])
        x = torch.randn(2, 4, 4, 4)
        level = [17.0, 603.0]
        raw = unet(x, torch.tensor(level), encoder_hidden_states=states[:2]).sample
        alphas = case["scheduler"].alphas_cumprod.double()
        denoised, sigmas = [], []
        for t in (100, 400, 950):
            sigma = float(((1 - alphas[t]) / alphas[t]).sqrt())
            noised = sigma * x * alphas[t].sqrt().float()
            prediction = unet(noised, t, encoder_hidden_states=states[:2]).sample
            root, noise = alphas[t].sqrt().float(), (1 - alphas[t]).sqrt().float()
            clean = (noised - noise * prediction) / root if case["scheduler"].config.prediction_type == "epsilon" \
                else root * noised - noise * prediction
            denoised.append(clean)
            sigmas.append(sigma)
        image = torch.rand(2, 3, 8, 8) * 2 - 1
        posterior = vae.encode(image).latent_dist
        latent = torch.randn(2, 4, 4, 4) * vae.config.scaling_factor
        decoded = vae.decode(latent / vae.config.scaling_factor).sample

        sampler = case["sampler"]()
        pipeline.scheduler = sampler
        start = torch.randn(2, 4, 4, 4)
        arguments = dict(prompt=TEXTS[:1] * 2, num_inference_steps=5, guidance_scale=3.0, latents=start.clone())
        sampled = pipeline(**arguments, output_type="latent").images
        pictures = pipeline(**arguments, output_type="pt").images
        if isinstance(sampler, DDIMScheduler):
            grid = [float(((1 - a) / a).sqrt()) for a in (sampler.alphas_cumprod.double()[t] for t in sampler.timesteps)] + [0.0]
            begin = start / sampler.alphas_cumprod[sampler.timesteps[0]].sqrt()
        else:
            grid = [float(s) for s in sampler.sigmas]
            begin = start * sampler.init_noise_sigma

    golden = {
        "texts": TEXTS, "ids": ids.flatten().tolist(), "states": listed(states), "skipped": listed(skipped),
        "x": listed(x), "level": level, "raw": listed(raw), "sigmas": sigmas, "denoised": [listed(d) for d in denoised],
        "image": listed(image), "mean": listed(posterior.mean), "logVariance": listed(posterior.logvar),
        "latent": listed(latent), "decoded": listed(decoded),
        "sample": {"text": TEXTS[0], "guidance": 3, "sigmas": grid, "start": listed(begin), "latents": listed(sampled),
                   "pictures": listed(pictures * 2 - 1)},
    }
    rounded = json.loads(json.dumps(golden), parse_float=lambda number: float(f"{float(number):.8g}"))
    (folder / "expected.json").write_text(json.dumps(rounded))
