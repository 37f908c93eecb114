"""Entropic transport by peers: `problems` (64 of 256 × 256, 20 iterations) or `sinkd` (the batch-wise loss at [32, 32000]), with `gradient`.

The implementation is one of torch-log, torch-kernel, pot-log, pot-kernel, geomloss, jax-log, jax-kernel.
"""
import sys
import warnings

import numpy as np
import torch

import setting as S

warnings.filterwarnings("ignore")
part, by = sys.argv[1], sys.argv[2]
with_gradient = "gradient" in sys.argv
LAMBDA, ITERATIONS = 0.1, 20


def log_plan(cost, log_a, log_b):
    f, g = torch.zeros_like(log_a), torch.zeros_like(log_b)
    scaled = -cost / LAMBDA
    for _ in range(ITERATIONS):
        f = log_a - torch.logsumexp(scaled + g[:, None, :], 2)
        g = log_b - torch.logsumexp(scaled + f[:, :, None], 1)
    return (scaled + f[:, :, None] + g[:, None, :]).exp()


def kernel_plan(cost, a, b):
    kernel = torch.exp(-cost / LAMBDA)
    u, v = torch.ones_like(a), torch.ones_like(b)
    for _ in range(ITERATIONS):
        u = a / torch.bmm(kernel, v[:, :, None])[..., 0]
        v = b / torch.bmm(u[:, None, :], kernel)[:, 0]
    return u[:, :, None] * kernel * v[:, None, :]


def plan_of(cost, a, b):
    if by == "torch-log":
        return log_plan(cost, a.log(), b.log())
    if by == "torch-kernel":
        return kernel_plan(cost, a, b)
    import ot.batch

    # The batched solvers begin with the columns; 20 iterations all the same.
    if by == "pot-log":
        return ot.batch.bregman_log_projection_batch(-cost / LAMBDA, a, b, max_iter=ITERATIONS, tol=0)["T"]
    return ot.batch.bregman_projection_batch(torch.exp(-cost / LAMBDA), a, b, max_iter=ITERATIONS, tol=0)["T"]


def problems():
    n, batch = 256, 64
    i, b = np.arange(n), np.arange(batch)[:, None]
    masses = lambda shift: (lambda x: torch.tensor(x / x.sum(1, keepdims=True), dtype=torch.float32))(
        1.0 + (i[None, :] * 7 + b * 3 + shift) % 11)
    a, other = masses(0), masses(5)
    one = torch.tensor(np.abs(i[:, None] - i[None, :]) / n, dtype=torch.float32)
    cost = one.expand(batch, n, n).contiguous()
    if by.startswith("jax"):
        return jax_problems(cost.numpy(), a.numpy(), other.numpy())
    if by == "geomloss":
        from geomloss import SamplesLoss

        x = torch.tensor(i / n, dtype=torch.float32)[None, :, None].expand(batch, n, 1).contiguous()
        y = x.clone()
        x.requires_grad_(with_gradient)
        loss = SamplesLoss("sinkhorn", p=1, blur=LAMBDA, diameter=1.0, scaling=0.88, debias=False, backend="tensorized")

        def work():
            value = loss(a, x, other, y).mean()
            if with_gradient:
                torch.autograd.grad(value, x)
            return value.detach()

        return work
    cost.requires_grad_(with_gradient)

    def work():
        with torch.set_grad_enabled(with_gradient):
            value = (plan_of(cost, a, other) * cost).sum((1, 2)).mean()
        if with_gradient:
            torch.autograd.grad(value, cost)
        return value.detach()

    return work


def jax_problems(cost, a, b):
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import logsumexp

    def log_value(cost):
        log_a, log_b, scaled = jnp.log(a), jnp.log(b), -cost / LAMBDA

        def step(state, _):
            f = log_a - logsumexp(scaled + state[1][:, None, :], axis=2)
            return (f, log_b - logsumexp(scaled + f[:, :, None], axis=1)), None

        (f, g), _ = jax.lax.scan(step, (jnp.zeros_like(log_a), jnp.zeros_like(log_b)), None, length=ITERATIONS)
        return (jnp.exp(scaled + f[:, :, None] + g[:, None, :]) * cost).sum((1, 2)).mean()

    def kernel_value(cost):
        kernel = jnp.exp(-cost / LAMBDA)

        def step(state, _):
            u = a / jnp.einsum("bij,bj->bi", kernel, state[1])
            return (u, b / jnp.einsum("bij,bi->bj", kernel, u)), None

        (u, v), _ = jax.lax.scan(step, (jnp.ones_like(a), jnp.ones_like(b)), None, length=ITERATIONS)
        return (u[:, :, None] * kernel * v[:, None, :] * cost).sum((1, 2)).mean()

    value = log_value if by == "jax-log" else kernel_value
    run = jax.jit(jax.value_and_grad(value)) if with_gradient else jax.jit(lambda x: (value(x), 0.0))
    given = jnp.asarray(cost)
    return lambda: jax.block_until_ready(run(given))[0]


def jax_sinkd(student, teacher):
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import logsumexp

    def plan_of(cost):
        if by == "jax-log":
            zeros = jnp.zeros(32)

            def step(state, _):
                f = -logsumexp(-cost / LAMBDA + state[1][None, :], axis=1)
                return (f, -logsumexp(-cost / LAMBDA + f[:, None], axis=0)), None

            (f, g), _ = jax.lax.scan(step, (zeros, zeros), None, length=ITERATIONS)
            return jnp.exp(-cost / LAMBDA + f[:, None] + g[None, :])

        def normalise(plan, _):
            plan = plan / plan.sum(1, keepdims=True)
            return plan / plan.sum(0, keepdims=True), None

        return jax.lax.scan(normalise, jnp.exp(-cost / LAMBDA), None, length=ITERATIONS)[0]

    def loss(student):
        p, q = jax.nn.softmax(student / 2, axis=1), jax.nn.softmax(teacher / 2, axis=1)
        # One row of p at a time: all differences at once are 131 MB.
        cost = jax.lax.map(lambda row: jnp.abs(row - q).sum(1), p)
        return (plan_of(cost) * cost).sum()

    run = jax.jit(jax.value_and_grad(loss)) if with_gradient else jax.jit(lambda x: (loss(x), 0.0))
    given = jnp.asarray(student)
    return lambda: jax.block_until_ready(run(given))[0]


def sinkd():
    k = np.arange(32 * 32000)
    logits = lambda shift: torch.tensor(3 * np.sin(0.37 * (k % 10007) + shift * (k % 97)), dtype=torch.float32).reshape(32, 32000)
    if by.startswith("jax"):
        return jax_sinkd(logits(0.11).numpy(), logits(0.23).numpy())
    student, teacher = logits(0.11).requires_grad_(with_gradient), logits(0.23)
    ones = torch.ones(32)

    def loss():
        p, q = (student / 2).softmax(1), (teacher / 2).softmax(1)
        cost = torch.cdist(p, q, p=1)
        if by == "torch-kernel":
            plan = torch.exp(-cost / LAMBDA)
            for _ in range(ITERATIONS):
                plan = plan / plan.sum(1, keepdim=True)
                plan = plan / plan.sum(0, keepdim=True)
            return (plan * cost).sum()
        if by == "pot-kernel":
            import ot

            plan = ot.sinkhorn(ones, ones, cost, LAMBDA, method="sinkhorn", numItermax=ITERATIONS, stopThr=0, warn=False)
            return (plan * cost).sum()
        zeros = torch.zeros(1, 32)
        return (log_plan(cost[None], zeros, zeros)[0] * cost).sum()

    def work():
        with torch.set_grad_enabled(with_gradient):
            value = loss()
        if with_gradient:
            torch.autograd.grad(value, student)
        return value.detach()

    return work


run = problems() if part == "problems" else sinkd()
last = []
seconds = S.time_each(lambda: last.append(float(run())), 3, 15)
S.tell(seconds, value=last[-1])
