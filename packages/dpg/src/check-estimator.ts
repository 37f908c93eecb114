import type { Divergence } from "@fdiv/divergences";
import { type Random, random } from "@fdiv/tensor-core";
import { addToRunning, type BaselineKind, type RunningMean, runningValue } from "./baseline.ts";
import { estimator } from "./estimator.ts";
import { type ExactProblem, exactEstimator } from "./exact.ts";

/** A Monte Carlo mean of the estimator against the exact gradient. */
export interface EstimatorCheck {
  samples: number;
  /** With respect to the logits of a softmax policy. */
  exact: Float64Array;
  mean: Float64Array;
  standardErrors: Float64Array;
  /** (mean − exact) in standard errors; where the error is exactly 0, 0. */
  deviations: Float64Array;
  /** The largest of them in absolute value. */
  largest: number;
}

/** Draws indexes by Walker's alias method, one table look-up a draw. */
function aliasSampler(logProbs: ArrayLike<number>): (random: Random) => number {
  const size = logProbs.length;
  const scaled = Array.from(logProbs, (logProb) => Math.exp(logProb) * size);
  const alias = new Int32Array(size);
  const keep = new Float64Array(size).fill(1);
  const small = [...scaled.keys()].filter((i) => scaled[i]! < 1);
  const large = [...scaled.keys()].filter((i) => scaled[i]! >= 1);
  while (small.length > 0 && large.length > 0) {
    const [little, big] = [small.pop()!, large.at(-1)!];
    keep[little] = scaled[little]!;
    alias[little] = big;
    scaled[big] = scaled[big]! + scaled[little]! - 1;
    if (scaled[big]! < 1) small.push(large.pop()!);
  }
  return (stream) => {
    const place = stream.next() * size;
    const index = Math.floor(place);
    return place - index < keep[index]! ? index : alias[index]!;
  };
}

/**
 * Averages the estimator of batches of an enumerated problem and compares it with the exact gradient: how one sees that a divergence,
 * a proposal and a baseline together are unbiased.
 *
 * @param options.samples in all; rounded up to whole batches
 * @param options.batch samples whose leave-one-out or running mean is one baseline; default 500
 */
export function checkEstimator(
  problem: ExactProblem,
  options: {
    divergence: Divergence;
    baseline: BaselineKind;
    samples: number;
    batch?: number;
    smoothing?: number;
    seed?: number | string;
  },
): EstimatorCheck {
  const { divergence, baseline, smoothing, batch = 500, seed = 0 } = options;
  const { logPolicy, logScores, logProposal, logBase } = problem;
  const size = logPolicy.length;
  const truth = exactEstimator(problem, { divergence, smoothing });
  const draw = aliasSampler(logProposal ?? logPolicy);
  const stream = random(seed).fork("check");
  const policy = Array.from(logPolicy, Math.exp);
  const batches = Math.max(2, Math.ceil(options.samples / batch));
  const mean = new Float64Array(size);
  const squares = new Float64Array(size);
  let running: RunningMean = { sum: 0, weight: 0 };
  for (let b = 0; b < batches; b++) {
    const drawn = Int32Array.from({ length: batch }, () => draw(stream));
    const pick = (list: ArrayLike<number> | undefined) => list && Float64Array.from(drawn, (x) => list[x]!);
    const { coefficients, meanScore } = estimator(
      {
        logPolicy: pick(logPolicy)!,
        logScores: pick(logScores)!,
        logProposal: pick(logProposal),
        logBase: pick(logBase),
        logPartition: truth.logZ,
      },
      { divergence, smoothing, baseline: baseline === "running-mean" ? runningValue(running) : baseline },
    );
    running = addToRunning(running, meanScore);
    const gradient = new Float64Array(size);
    let total = 0;
    for (let i = 0; i < batch; i++) {
      gradient[drawn[i]!]! += coefficients[i]! / batch;
      total += coefficients[i]! / batch;
    }
    for (let k = 0; k < size; k++) {
      const part = gradient[k]! - total * policy[k]!;
      const delta = part - mean[k]!;
      mean[k]! += delta / (b + 1);
      squares[k]! += delta * (part - mean[k]!);
    }
  }
  const standardErrors = squares.map((sum) => Math.sqrt(sum / (batches - 1) / batches));
  const deviations = mean.map((value, k) => {
    const difference = value - truth.gradient[k]!;
    return Math.abs(difference) < 1e-14 ? 0 : difference / standardErrors[k]!;
  });
  return {
    samples: batches * batch,
    exact: truth.gradient,
    mean,
    standardErrors,
    deviations,
    largest: deviations.reduce((max, z) => Math.max(max, Math.abs(z)), 0),
  };
}
