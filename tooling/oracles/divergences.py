"""Values, scores and weights of every divergence to 50 digits, straight from the generators f(u), u = exp(l).

python divergences.py > ../../packages/divergences/src/golden/divergences.json       needs mpmath
"""
import json

from mpmath import diff, exp, log, mp, mpf, nstr, sign, sqrt

mp.dps = 120


def alpha(a):
    a = mpf(a)
    return (
        lambda u: (u ** (1 - a) - (1 - a) * u - a) / (a * (a - 1)),
        lambda u: (1 - a) * (u ** -a - 1) / (a * (a - 1)),
        lambda u: u ** (-a - 1),
    )


# f, f', f'' with f(1) = f'(1) = 0
generators = {
    "reverse-kl": (lambda u: u * log(u) - u + 1, lambda u: log(u), lambda u: 1 / u),
    "forward-kl": (lambda u: -log(u) + u - 1, lambda u: 1 - 1 / u, lambda u: 1 / u**2),
    "jensen-shannon": (
        lambda u: u * log(u) - (u + 1) * log((u + 1) / 2),
        lambda u: log(u) - log((u + 1) / 2),
        lambda u: 1 / (u * (u + 1)),
    ),
    "squared-hellinger": (lambda u: (sqrt(u) - 1) ** 2, lambda u: 1 - 1 / sqrt(u), lambda u: u ** (-mpf(3) / 2) / 2),
    "neyman-chi2": (lambda u: (1 - u) ** 2 / u, lambda u: 1 - 1 / u**2, lambda u: 2 / u**3),
    "pearson-chi2": (lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1), lambda u: mpf(2)),
    "jeffreys": (lambda u: (u - 1) * log(u), lambda u: log(u) + 1 - 1 / u, lambda u: 1 / u + 1 / u**2),
    "softened-reverse-kl": (
        lambda u: (1 + u) * log((1 + u) / 2) - u + 1,
        lambda u: log((1 + u) / 2),
        lambda u: 1 / (1 + u),
    ),
    "softened-forward-kl": (
        lambda u: (1 + u) * log((1 + u) / (2 * u)) + u - 1,
        lambda u: log((1 + u) / (2 * u)) - 1 / u + 1,
        lambda u: 1 / (u**2 * (1 + u)),
    ),
    "total-variation": (lambda u: abs(u - 1) / 2, lambda u: sign(u - 1) / 2, lambda u: mpf(0)),
}
for a in ["-1", "-0.3", "0.0001", "0.3", "0.5", "0.7", "0.9999", "2", "3"]:
    generators[f"alpha:{a}"] = alpha(a)

# A formula and its derivatives could be wrong together; differences of f itself could not.
for name, (f, slope, curvature) in generators.items():
    if name == "total-variation":
        continue
    for u in (mpf("0.2"), mpf("3.7")):
        assert abs(diff(f, u) - slope(u)) < mpf(10) ** -30, name
        assert abs(diff(slope, u) - curvature(u)) < mpf(10) ** -30, name
    assert abs(f(mpf(1))) < mpf(10) ** -100 and abs(slope(mpf(1))) < mpf(10) ** -100, name

grid = [i / 4 for i in range(-200, 201)] + [s * 10.0**-k for k in range(1, 13) for s in (-1, 1)]
rows = {}
for name, (f, slope, curvature) in generators.items():
    rows[name] = []
    for l in grid:
        u = exp(mpf(l))
        exact = (f(u), slope(u), u * curvature(u))
        # At u = 1 rounding in the last of 120 digits stands for an exact 0.
        rows[name].append([0.0 if abs(x) < mpf(10) ** -110 else float(nstr(x, 20)) for x in exact])
print(json.dumps({"logRatios": grid, "valueScoreWeight": rows}))
