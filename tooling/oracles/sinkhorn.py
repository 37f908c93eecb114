"""Plans, potentials' values, gradients and losses of entropic optimal transport, from POT, geomloss, PyTorch in double precision, and mpmath.

python sinkhorn.py > ../../packages/sinkhorn-kd/src/golden/sinkhorn.json       needs pot, geomloss, torch, numpy, scipy, mpmath
"""
import json
import sys
import warnings

import mpmath as mp
import numpy as np
import ot
import torch
from geomloss import SamplesLoss
from scipy.optimize import linear_sum_assignment

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.float64)
random = np.random.default_rng(7)
golden = {}


def rounded(x):
    """As a test reads it: the inputs are exactly these float32 numbers."""
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def numbers(x):
    x = x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(x, dtype=np.float64)
    return [float(f"{v:.9g}") for v in x.ravel()]


def masses(n):
    x = random.random(n) + 0.1
    return rounded(x / x.sum())


# Balanced problems, to the fixed point and after fixed iterations, by POT.
cases = []
for n, m, lam in [(2, 2, 1.0), (5, 5, 0.1), (8, 6, 0.05), (12, 9, 0.02), (7, 7, 0.5)]:
    cost, a, b = rounded(random.random((n, m))), masses(n), masses(m)
    b = rounded(b * a.sum() / b.sum())
    plan, log = ot.sinkhorn(a, b, cost, lam, method="sinkhorn_log", numItermax=200000, stopThr=1e-13, log=True)
    # POT begins with the columns: on the transposed problem it begins with our rows.
    fixed = ot.sinkhorn(b, a, cost.T, lam, method="sinkhorn_log", numItermax=20, stopThr=0, warn=False).T
    case = {
        "n": n, "m": m, "lambda": lam, "cost": numbers(cost), "a": numbers(a), "b": numbers(b),
        "plan": numbers(plan), "sharp": float((plan * cost).sum()),
        "regularised": float((plan * cost).sum() + lam * (plan * (np.log(np.maximum(plan, 1e-300)) - 1)).sum()),
        "fixed": numbers(fixed), "fixedSharp": float((fixed * cost).sum()),
        "emd": float(ot.emd2(a / a.sum(), b / b.sum(), cost)),
    }
    cases.append(case)
golden["balanced"] = cases


def sinkhorn(cost, a, b, lam, iterations):
    """Plain log-domain iterations in PyTorch: rows, then columns, from g = 0."""
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(iterations):
        f = lam * (a.log() - torch.logsumexp((g[None, :] - cost) / lam, 1))
        g = lam * (b.log() - torch.logsumexp((f[:, None] - cost) / lam, 0))
    return f, g, ((f[:, None] + g[None, :] - cost) / lam).exp()


# Gradients of the sharp and the regularised objective through the iterations, few of them and so many that they have converged.
gradients = []
for n, m, lam, iterations in [(4, 5, 0.2, 3), (4, 5, 0.2, 4000), (6, 6, 0.05, 20), (5, 7, 0.03, 8000)]:
    cost = torch.tensor(rounded(random.random((n, m))), requires_grad=True)
    a, b = (torch.tensor(masses(k), requires_grad=True) for k in (n, m))
    case = {"n": n, "m": m, "lambda": lam, "iterations": iterations,
            "cost": numbers(cost), "a": numbers(a), "b": numbers(b)}
    for name in ["sharp", "regularised"]:
        f, g, plan = sinkhorn(cost, a, b, lam, iterations)
        value = (plan * cost).sum()
        if name == "regularised":
            value = value + lam * (plan * (plan.log() - 1)).sum()
        dcost, da, db = torch.autograd.grad(value, (cost, a, b))
        # The masses' sums are bound together at the fixed point: only differences along Σa = Σb mean something.
        case[name] = {"value": float(value), "cost": numbers(dcost), "a": numbers(da), "b": numbers(db)}
    case["plan"] = numbers(plan)
    gradients.append(case)
golden["gradients"] = gradients

# Relaxed marginals by POT, with the entropy of the plan itself.
cases = []
for n, m, lam, rho in [(5, 6, 0.1, 1.0), (4, 4, 0.05, 0.3)]:
    cost, a, b = rounded(random.random((n, m))), masses(n), rounded(2 * masses(m))
    plan = ot.unbalanced.sinkhorn_unbalanced(a, b, cost, lam, rho, method="sinkhorn", reg_type="entropy",
                                             numItermax=200000, stopThr=1e-14)
    kl = lambda p, q: (p * np.log(p / q) - p + q).sum()
    value = (plan * cost).sum() + lam * (plan * (np.log(plan) - 1)).sum()
    value += rho * (kl(plan.sum(1), a) + kl(plan.sum(0), b))
    step = 1e-6
    cases.append({"n": n, "m": m, "lambda": lam, "rho": rho, "cost": numbers(cost), "a": numbers(a), "b": numbers(b),
                  "plan": numbers(plan), "sharp": float((plan * cost).sum()), "regularised": float(value)})
golden["unbalanced"] = cases

# Debiased divergences by geomloss: cost |x − y|²/2, blur² = λ.
cases = []
for n, m, d, blur in [(6, 8, 2, 0.5), (5, 5, 3, 0.3)]:
    x, y = (torch.tensor(rounded(random.standard_normal((k, d)) * 0.5)) for k in (n, m))
    x.requires_grad_()
    a, b = (torch.tensor(masses(k)) for k in (n, m))
    a, b = a / a.sum(), b / b.sum()
    loss = SamplesLoss("sinkhorn", p=2, blur=blur, scaling=0.995, debias=True, backend="tensorized")
    value = loss(a, x, b, y)
    (roughly,) = torch.autograd.grad(value, x)

    # geomloss ends a little before the fixed point, which its gradient shows more than its value.
    def regularised(u, v, p, q, lam=blur**2):
        cost = ((u[:, None] - v[None]) ** 2).sum(2) / 2
        plan = sinkhorn(cost.detach(), p, q, lam, 5000)[2]
        return (plan * cost).sum() + lam * (plan * (plan.log() - 1)).sum()

    (dx,) = torch.autograd.grad(regularised(x, y, a, b) - regularised(x, x, a, a) / 2, x)
    assert (dx - roughly).abs().max() < 2e-3, (dx, roughly)
    cases.append({"n": n, "m": m, "d": d, "lambda": blur**2, "x": numbers(x), "y": numbers(y), "a": numbers(a),
                  "b": numbers(b), "value": float(value), "dx": numbers(dx)})
golden["divergence"] = cases

# SinKD's batch-wise loss as published: K = exp(−D/λ), T normalisations of rows and columns, ⟨K, D⟩.
cases = []
for batch, size, temperature, lam in [(1, 6, 2.0, 0.1), (4, 3, 2.0, 0.1), (8, 11, 1.0, 0.05), (6, 40, 3.0, 0.3)]:
    student = torch.tensor(rounded(random.standard_normal((batch, size)) * 2), requires_grad=True)
    teacher = torch.tensor(rounded(random.standard_normal((batch, size)) * 2))
    p, q = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    cost = (p[:, None] - q[None]).abs().sum(2)
    kernel = (-cost / lam).exp()
    for _ in range(20):
        kernel = kernel / kernel.sum(1, keepdim=True)
        kernel = kernel / kernel.sum(0, keepdim=True)
    value = (kernel * cost).sum()
    (ds,) = torch.autograd.grad(value, student)
    assignment = linear_sum_assignment(cost.detach().numpy())
    cases.append({"batch": batch, "size": size, "temperature": temperature, "lambda": lam, "student": numbers(student),
                  "teacher": numbers(teacher), "value": float(value), "dstudent": numbers(ds),
                  "assignment": float(cost.detach().numpy()[assignment].sum())})
golden["sinkd"] = cases

# Divergences of next-token distributions at τ = 2, per token, and the gradient of their sum weighted by 1, 2, ….
student = torch.tensor(rounded(random.standard_normal((5, 9)) * 2), requires_grad=True)
teacher = torch.tensor(rounded(random.standard_normal((5, 9)) * 2))
p, q = (student / 2).softmax(1), (teacher / 2).softmax(1)
kl = lambda x, y: (x * (x / y).log()).sum(1)


def between(beta):
    mixture = beta * q + (1 - beta) * p
    return beta * kl(q, mixture) + (1 - beta) * kl(p, mixture)


losses = {
    "forward-kl": kl(q, p), "reverse-kl": kl(p, q), "jensen-shannon": 2 * between(0.5), "total-variation": (p - q).abs().sum(1) / 2,
    "squared-hellinger": ((p.sqrt() - q.sqrt()) ** 2).sum(1), "gjs:0.3": between(0.3), "gjs:0.9": between(0.9),
    "gjs:0.1:scaled": between(0.1) / 0.09, "skew-forward:0.1": kl(q, 0.1 * q + 0.9 * p), "skew-reverse:0.1": kl(p, 0.1 * p + 0.9 * q),
    "uld": (p.sort(descending=True).values - q.sort(descending=True).values).abs().sum(1),
}
weights = torch.arange(1.0, 6.0)
golden["logits"] = {"student": numbers(student), "teacher": numbers(teacher), "losses": {
    name: {"value": numbers(value), "dstudent": numbers(torch.autograd.grad((value * weights).sum(), student, retain_graph=True)[0])}
    for name, value in losses.items()}}

# λ so small that float64 itself underflows in the kernel domain: 60 digits.
mp.mp.dps = 60
n, lam = 4, mp.mpf("0.0005")
cost = rounded(random.random((n, n)))
lse = lambda xs: max(xs) + mp.log(sum(mp.exp(x - max(xs)) for x in xs))
f, g = [mp.mpf(0)] * n, [mp.mpf(0)] * n
D = [[mp.mpf(float(c)) for c in row] for row in cost]
for _ in range(300):
    f = [-lam * lse([(g[j] - D[i][j]) / lam for j in range(n)]) for i in range(n)]
    g = [-lam * lse([(f[i] - D[i][j]) / lam for i in range(n)]) for j in range(n)]
P = [[mp.exp((f[i] + g[j] - D[i][j]) / lam) for j in range(n)] for i in range(n)]
golden["tiny"] = {"n": n, "lambda": float(lam), "iterations": 300, "cost": numbers(cost),
                  "plan": numbers([[float(x) for x in row] for row in P]),
                  "sharp": float(sum(P[i][j] * D[i][j] for i in range(n) for j in range(n)))}

# Twenty iterations are not convergence: 16 points of two-dimensional distributions.
p, q = (torch.tensor(rounded(random.random(16))) for _ in range(2))
cost = 2 * (p[:, None] - q[None, :]).abs()
ones = torch.ones(16)
golden["unconverged"] = {"cost": numbers(cost), "values": [
    {"lambda": lam, "paper": float((sinkhorn(cost, ones, ones, lam, 20)[2] * cost).sum()),
     "converged": float((sinkhorn(cost, ones, ones, lam, 40000)[2] * cost).sum()),
     "sorted": float(2 * (p.sort().values - q.sort().values).abs().sum())} for lam in [0.2, 0.02, 0.005]]}

json.dump(golden, sys.stdout, indent=0)
print()
