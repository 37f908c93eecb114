"""Golden numbers of small random diffusers UNet2DModels, for packages/models/src/denoisers.

Needs torch, diffusers, safetensors. Writes folders in the official layout, and what the models and schedulers say, to the folder given.

    python tooling/oracles/unet2d.py packages/models/src/denoisers/golden
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import DDPMScheduler, EDMEulerScheduler, UNet2DModel
from safetensors.torch import load_file, save_file

out = Path(sys.argv[1])

CASES = {
    "plain": (
        dict(sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4, 8), layers_per_block=1,
             down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
             norm_num_groups=2, attention_head_dim=4),
        DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", prediction_type="epsilon"),
    ),
    "scaled": (
        dict(sample_size=8, in_channels=3, out_channels=3, block_out_channels=(4, 4), layers_per_block=1,
             down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D"),
             norm_num_groups=2, attention_head_dim=4, resnet_time_scale_shift="scale_shift", num_class_embeds=5,
             downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, center_input_sample=True, mid_block_scale_factor=1.5),
        DDPMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"),
    ),
    "edm": (
        dict(sample_size=4, in_channels=1, out_channels=1, block_out_channels=(4,), layers_per_block=2,
             down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4, attention_head_dim=4,
             add_attention=False),
        EDMEulerScheduler(sigma_data=0.5, prediction_type="epsilon"),
    ),
    # google/ddpm-cifar10-32 in small: no size of heads, levels of different widths that attend, the middle's another one.
    "ddpm": (
        dict(sample_size=8, in_channels=3, out_channels=3, block_out_channels=(4, 8, 12), layers_per_block=1,
             down_block_types=("AttnDownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
             up_block_types=("UpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D"), norm_num_groups=2, norm_eps=1e-6,
             attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1),
        DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", prediction_type="epsilon"),
    ),
    # OpenAI's ADM in small: residual blocks halve and double, attention's own norm in the middle, labels.
    "adm": (
        dict(sample_size=8, in_channels=3, out_channels=3, block_out_channels=(4, 8, 8), layers_per_block=1, num_class_embeds=5,
             down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
             up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"), downsample_type="resnet", upsample_type="resnet",
             norm_num_groups=2, attn_norm_num_groups=4, attention_head_dim=4, resnet_time_scale_shift="scale_shift"),
        EDMEulerScheduler(sigma_data=0.5, prediction_type="epsilon"),
    ),
}

# What a config.json of diffusers 0.0.4 has, and how its attention was called.
OF_OLD = """act_fn attention_head_dim block_out_channels center_input_sample down_block_types downsample_padding flip_sin_to_cos freq_shift
in_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups out_channels sample_size time_embedding_type up_block_types _class_name""".split()
OLD_NAMES = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def grown_old(folder):
    """Rewrites a folder as diffusers 0.0.4 wrote it, and reads it again with today's."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({name: config[name] for name in OF_OLD}, indent=2))
    weights = folder / "diffusion_pytorch_model.safetensors"
    renamed = {}
    for name, tensor in load_file(weights).items():
        for now, old in OLD_NAMES.items():
            name = name.replace(now, old)
        renamed[name] = tensor
    save_file(renamed, weights, metadata={"format": "pt"})
    return UNet2DModel.from_pretrained(folder).eval()


def denoised(model, scheduler, x, sigma, labels):
    """D(x; sigma) by the scheduler's own arithmetic."""
    if isinstance(scheduler, EDMEulerScheduler):
        inputs = scheduler.precondition_inputs(x, torch.tensor(sigma))
        level = scheduler.precondition_noise(sigma)
        prediction = model(inputs, level, class_labels=labels).sample
        return scheduler.precondition_outputs(x, prediction, torch.tensor(sigma))
    alphas = scheduler.alphas_cumprod.double()
    levels = ((1 - alphas) / alphas).sqrt()
    t = int((levels.log() - torch.tensor(sigma).log()).abs().argmin())
    prediction = model(x * alphas[t].sqrt().float(), t, class_labels=labels).sample
    return scheduler.step(prediction, t, x * alphas[t].sqrt().float()).pred_original_sample


for seed, (name, (config, scheduler)) in enumerate(CASES.items()):
    torch.manual_seed(seed)
    model = UNet2DModel(**config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(out / name)
    if name == "ddpm":
        model = grown_old(out / name)
    scheduler.save_pretrained(out / name)
    shape = (2, config["in_channels"], config["sample_size"], config["sample_size"])
    x = torch.randn(shape)
    labels = torch.tensor([3, 1]) if "num_class_embeds" in config else None
    if isinstance(scheduler, EDMEulerScheduler):
        scheduler.config.clip_sample = False
        level, sigmas = [0.3, 0.3], [0.1, 0.7, 12.0]
    else:
        scheduler.register_to_config(clip_sample=False)
        alphas = scheduler.alphas_cumprod.double()
        steps = [t * scheduler.config.num_train_timesteps // 10 for t in (1, 4, 8)]
        level, sigmas = [7.0, 7.0], [float(((1 - alphas[t]) / alphas[t]).sqrt()) for t in steps]
    with torch.no_grad():
        raw = model(x, torch.tensor(level), class_labels=labels).sample
        clean = [denoised(model, scheduler, sigma * x, sigma, labels) for sigma in sigmas]
    golden = {
        "x": x.permute(0, 2, 3, 1).flatten().tolist(),
        "shape": list(x.permute(0, 2, 3, 1).shape),
        "level": level,
        "labels": None if labels is None else labels.tolist(),
        "raw": raw.permute(0, 2, 3, 1).flatten().tolist(),
        "sigmas": sigmas,
        "denoised": [d.permute(0, 2, 3, 1).flatten().tolist() for d in clean],
    }
    rounded = json.loads(json.dumps(golden), parse_float=lambda text: float(f"{float(text):.8g}"))
    (out / name / "expected.json").write_text(json.dumps(rounded))
