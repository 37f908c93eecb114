"""Fréchet distances by SciPy's square root of matrices, and neighbour scores by whole tables of distances.

Needs numpy and scipy. Prints what goes to packages/metrics/src/golden/sample-metrics.json. The features are a formula's, so that the file holds the results alone.
"""

import json

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist


def features(count, dimensions, seed):
    """u_ij·2^(−j/64) + u_i0·(j mod 5 − 2), u in [−½, ½) from a linear congruence of 31 bits."""
    state, rows = seed, np.empty((count, dimensions))
    for i in range(count):
        for j in range(dimensions):
            state = (state * 1103515245 + 12345) % 2147483648
            rows[i, j] = state / 2147483648 - 0.5
    return rows * 2.0 ** -(np.arange(dimensions) / 64) + rows[:, :1] * (np.arange(dimensions) % 5 - 2)


def moments(a, b):
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return c, d, np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(c) + np.trace(d)


def by_sqrtm(a, b):
    """The textbook's way. sqrtm of a singular product is not determined to rounding; of the symmetric √C·D·√C the root is eigh's."""
    c, d, rest = moments(a, b)
    if min(len(a), len(b)) > a.shape[1]:
        return float(rest - 2 * np.trace(np.real(sqrtm(c @ d))))
    root = psd_root(c)
    return float(rest - 2 * np.trace(psd_root(root @ d @ root)))


def by_svd(a, b):
    """The same from the samples, by LAPACK's singular values of the product of what is left without the means."""
    x, y = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (a, b))
    return float(moments(a, b)[2] - 2 * np.linalg.svd(x @ y.T, compute_uv=False).sum())


def psd_root(matrix):
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0) * (values > 1e-13 * values.max()))) @ vectors.T


def neighbours(a, b, k):
    def radii(x):
        return np.sort(cdist(x, x), axis=1)[:, k]

    across, real, made = cdist(a, b), radii(a), radii(b)
    inside = across <= real[:, None]
    return {
        "precision": float(inside.any(0).mean()),
        "recall": float((across <= made[None]).any(1).mean()),
        "density": float(inside.sum() / (k * len(b))),
        "coverage": float(inside.any(1).mean()),
    }


cases = []
for dimensions, real, made in [(320, 700, 500), (320, 700, 200), (320, 200, 150), (7, 300, 201)]:
    a, b = features(real, dimensions, 1), features(made, dimensions, 2) * 1.1 + 0.05
    half = real // 2
    cases.append({
        "dimensions": dimensions, "real": real, "generated": made,
        "sqrtm": by_sqrtm(a, b), "frechet": by_svd(a, b), "floor": by_svd(a[:half], a[half:]), "neighbours": neighbours(a, b, 5),
    })
print(json.dumps(cases, indent=1))
