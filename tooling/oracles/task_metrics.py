"""The suites' metrics on random predictions, from scikit-learn and SciPy.

Needs scikit-learn and scipy. Prints what goes to packages/metrics/src/golden/task-metrics.json.
"""

import json
import random
import warnings

from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

warnings.filterwarnings("ignore")
draw = random.Random(7)


def classification(classes, count, right):
    labels = [draw.randrange(classes) for _ in range(count)]
    predictions = [y if draw.random() < right else draw.randrange(classes) for y in labels]
    return {
        "predictions": predictions,
        "labels": labels,
        "accuracy": accuracy_score(labels, predictions),
        "f1": f1_score(labels, predictions, labels=[1], average="macro", zero_division=0),
        "macroF1": f1_score(labels, predictions, average="macro", zero_division=0),
        "matthews": matthews_corrcoef(labels, predictions),
    }


def correlation(count, noise, step):
    x = [draw.uniform(0, 5) for _ in range(count)]
    y = [round((v + draw.gauss(0, noise)) / step) * step for v in x]
    return {"x": x, "y": y, "pearson": pearsonr(x, y)[0], "spearman": spearmanr(x, y)[0]}


constant = {"predictions": [1, 1, 1, 1], "labels": [0, 1, 1, 0]}
y, p = constant["labels"], constant["predictions"]
constant |= {
    "accuracy": accuracy_score(y, p),
    "f1": f1_score(y, p),
    "macroF1": f1_score(y, p, average="macro"),
    "matthews": matthews_corrcoef(y, p),
}
print(
    json.dumps(
        {
            "classification": [
                classification(2, 40, 0.6),
                classification(3, 60, 0.4),
                classification(2, 25, 0.0),
                classification(5, 80, 0.7),
                constant,
            ],
            "correlation": [correlation(30, 0.5, 1e-9), correlation(50, 1.0, 1.0), correlation(12, 3.0, 0.2)],
        }
    )
)
