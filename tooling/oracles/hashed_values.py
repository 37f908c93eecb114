"""Parameters that both sides of a golden test compute from a formula, so that golden files need not hold them."""

import torch


def values(name, count):
    """Uniform-like numbers in [-1, 1): Knuth's multiplicative hash of a polynomial hash of the name and the index."""
    seed = 0
    for letter in name:
        seed = (seed * 31 + ord(letter)) % 65521
    return [((seed + 1 + i) * 2654435761 % 2**32) / 2**31 - 1 for i in range(count)]


def tensor_of(name, shape, scale, shift=0.0):
    count = 1
    for axis in shape:
        count *= axis
    data = torch.tensor(values(name, count), dtype=torch.float64).reshape(tuple(shape))
    return (shift + scale * data).to(torch.float32).to(torch.float64)


def fill(model, named):
    """Fills a model's parameters in float64 with float32 values; `named` gives a parameter's name on the other side."""
    model.double()
    for name, parameter in model.named_parameters():
        norm = parameter.dim() == 1 and name.endswith("weight")
        scale = 0.3 if parameter.dim() == 1 else 0.375
        parameter.data = tensor_of(named(name), parameter.shape, scale, 1.0 if norm else 0.0)


def probes(model, named):
    """Of each parameter's gradient: its length, and its product with a fixed direction."""
    out = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        direction = tensor_of(named(name) + "/probe", parameter.shape, 1.0)
        out[named(name)] = [float(parameter.grad.norm()), float((parameter.grad * direction).sum())]
    return out


def rounded(tensor):
    return [float(f"{x:.9g}") for x in tensor.reshape(-1).tolist()]
