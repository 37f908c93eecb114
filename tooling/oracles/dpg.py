"""Judges @fdiv/dpg: gradients and divergences from the generators alone, moments by mpmath's root finder, quasi-rejection sampling of Poisson laws,
generalised advantages and PPO's losses by PyTorch's autograd.

Needs mpmath, numpy, torch. Output: packages/dpg/src/golden/dpg.json
"""

import json
import sys

import mpmath as mp
import numpy as np
import torch

mp.mp.dps = 40
LOG2 = mp.log(2)

# f(u) with f(1) = f'(1) = 0, u = model/target.
GENERATORS = {
    "reverse-kl": lambda u: u * mp.log(u) - u + 1,
    "forward-kl": lambda u: -mp.log(u) + u - 1,
    "jensen-shannon": lambda u: u * mp.log(u) - (u + 1) * mp.log((u + 1) / 2),
    "alpha:0.5": lambda u: (mp.sqrt(u) - u / 2 - mp.mpf("0.5")) / (mp.mpf("0.5") * mp.mpf("-0.5")),
    "squared-hellinger": lambda u: (mp.sqrt(u) - 1) ** 2,
    "neyman-chi2": lambda u: (1 - u) ** 2 / u,
    "pearson-chi2": lambda u: (u - 1) ** 2,
    "jeffreys": lambda u: (u - 1) * mp.log(u),
    "total-variation": lambda u: abs(u - 1) / 2,
}


def softmax(logits):
    weights = [mp.exp(x) for x in logits]
    total = mp.fsum(weights)
    return [w / total for w in weights]


def gradients():
    rng = np.random.default_rng(5)
    logits = [mp.mpf(float(x)) for x in rng.normal(0, 1.2, 7).round(3)]
    scores = [mp.mpf(float(x)) for x in rng.normal(-4, 1.5, 7).round(3)]
    target = softmax(scores)

    def divergence(f, at):
        return mp.fsum(t * f(p / t) for p, t in zip(softmax(at), target))

    cases = {}
    for name, f in GENERATORS.items():
        slopes = []
        for k in range(7):
            step = mp.mpf(10) ** -12
            up = [x + (step if i == k else 0) for i, x in enumerate(logits)]
            down = [x - (step if i == k else 0) for i, x in enumerate(logits)]
            slopes.append(float((divergence(f, up) - divergence(f, down)) / (2 * step)))
        cases[name] = {"divergence": float(divergence(f, logits)), "gradient": slopes}
    return {
        "logPolicy": [float(mp.log(p)) for p in softmax(logits)],
        "logScores": [float(x) for x in scores],
        "logZ": float(mp.log(mp.fsum(mp.exp(x) for x in scores))),
        "cases": cases,
    }


def moments():
    """Two features, two contexts, uniform atoms: λ with mean over contexts of E_p φ = μ."""
    rng = np.random.default_rng(7)
    features = rng.integers(0, 3, (2, 40, 2)).astype(float)
    wanted = np.array([1.4, 0.7])

    def residual(k):
        def of(*lam):
            means = []
            for context in features:
                w = [mp.exp(lam[0] * x + lam[1] * y) for x, y in context]
                means.append(mp.fsum(a * phi[k] for a, phi in zip(w, context)) / mp.fsum(w))
            return mp.fsum(means) / len(means) - mp.mpf(float(wanted[k]))

        return of

    found = mp.findroot([residual(0), residual(1)], (0, 0))
    return {"features": features.tolist(), "moments": wanted.tolist(), "lambda": [float(x) for x in found]}


def quasi_rejection():
    support = range(0, 120)
    log_q = [float(k * mp.log(10) - 10 - mp.log(mp.factorial(k))) for k in support]
    log_p = [float(k * mp.log(11) - 11 - mp.log(mp.factorial(k))) for k in support]
    q = [mp.exp(x) for x in log_q]
    p = [mp.exp(x) for x in log_p]
    points = []
    for beta in (mp.mpf("0.5"), mp.mpf(1), mp.mpf(2), mp.mpf(5)):
        kept = [min(b, beta * a) for a, b in zip(q, p)]
        z = mp.fsum(kept)
        points.append(
            {
                "beta": float(beta),
                "acceptanceRate": float(z / beta),
                "forwardKl": float(mp.fsum(b * mp.log(b * z / k) for b, k in zip(p, kept))),
                "totalVariation": float(mp.fsum(abs(b - k / z) for b, k in zip(p, kept)) / 2),
            }
        )
    return {"logScores": log_p, "logProposal": log_q, "kl": float(mp.mpf(11) * mp.log(mp.mpf("1.1")) - 1), "points": points}


def ppo():
    rng = np.random.default_rng(11)
    n, sequences = 9, [0, 0, 0, 0, 1, 1, 2, 2, 2]
    rewards, values = rng.normal(size=n).round(3), rng.normal(size=n).round(3)
    gamma, lam = 0.97, 0.9
    advantages = []
    for t in range(n):
        # The definition, a sum over the rest of the sequence, not the recursion.
        end = max(i for i in range(n) if sequences[i] == sequences[t])
        total = 0.0
        for j in range(t, end + 1):
            nxt = values[j + 1] if j < end else 0.0
            total += (gamma * lam) ** (j - t) * (rewards[j] + gamma * nxt - values[j])
        advantages.append(total)
    old = rng.normal(-2, 0.5, n).round(3)
    new = torch.tensor((old + rng.normal(0, 0.4, n)).round(3), dtype=torch.float64, requires_grad=True)
    a = torch.tensor(advantages, dtype=torch.float64)
    ratio = torch.exp(new - torch.tensor(old))
    losses = torch.max(-a * ratio, -a * torch.clamp(ratio, 0.8, 1.2))
    losses.sum().backward()
    fresh = torch.tensor((values + rng.normal(0, 0.4, n)).round(3), dtype=torch.float64, requires_grad=True)
    returns = torch.tensor(advantages) + torch.tensor(values)
    near = torch.tensor(values) + torch.clamp(fresh - torch.tensor(values), -0.2, 0.2)
    value_losses = 0.5 * torch.max((fresh - returns) ** 2, (near - returns) ** 2)
    value_losses.sum().backward()
    return {
        "sequences": sequences,
        "rewards": rewards.tolist(),
        "values": values.tolist(),
        "gamma": gamma,
        "lambda": lam,
        "advantages": advantages,
        "oldLogProbs": old.tolist(),
        "logProbs": new.tolist(),
        "losses": losses.tolist(),
        "gradient": new.grad.tolist(),
        "newValues": fresh.tolist(),
        "valueLosses": value_losses.tolist(),
        "valueGradient": fresh.grad.tolist(),
    }


json.dump({"gradients": gradients(), "moments": moments(), "quasiRejection": quasi_rejection(), "ppo": ppo()}, sys.stdout, indent=1)
