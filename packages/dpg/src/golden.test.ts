import "@tensorflow/tfjs";
import { readFileSync } from "node:fs";
import { divergence } from "@fdiv/divergences";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { fitDual } from "./dual.ts";
import { acceptanceCurve, exactEstimator, generalisedAdvantages, ppoLoss, valueLoss } from "./index.ts";

const golden = JSON.parse(readFileSync(new URL("./golden/dpg.json", import.meta.url), "utf8")) as {
  gradients: {
    logPolicy: number[];
    logScores: number[];
    logZ: number;
    cases: Record<string, { divergence: number; gradient: number[] }>;
  };
  moments: { features: number[][][]; moments: number[]; lambda: number[] };
  quasiRejection: {
    logScores: number[];
    logProposal: number[];
    kl: number;
    points: { beta: number; acceptanceRate: number; forwardKl: number; totalVariation: number }[];
  };
  ppo: Record<
    | "sequences"
    | "rewards"
    | "values"
    | "advantages"
    | "oldLogProbs"
    | "logProbs"
    | "losses"
    | "gradient"
    | "newValues"
    | "valueLosses"
    | "valueGradient",
    number[]
  > & { gamma: number; lambda: number };
};

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("tooling/oracles/dpg.py", () => {
  it.each(Object.entries(golden.gradients.cases))(
    "%s: divergence and gradient from its generator",
    (name, truth) => {
      const found = exactEstimator(golden.gradients, { divergence: divergence(name) });
      expect(found.logZ).toBeCloseTo(golden.gradients.logZ, 12);
      expect(found.divergence).toBeCloseTo(truth.divergence, 10);
      truth.gradient.forEach((slope, k) => {
        expect(found.gradient[k]).toBeCloseTo(slope, 10);
      });
    },
  );

  it("λ of two features over two contexts", () => {
    const { features, moments, lambda } = golden.moments;
    const flat = features.flat();
    const fit = fitDual(
      {
        logWeights: new Float64Array(flat.length),
        features: [0, 1].map((k) => Float64Array.from(flat, (phi) => phi[k]!)),
        contexts: features.map((rows, c) => rows.map((_, i) => c * rows.length + i)),
      },
      moments,
    );
    expect(fit.outcome).toBe("converged");
    lambda.forEach((x, k) => {
      expect(fit.lambda[k]).toBeCloseTo(x, 8);
    });
  });

  it("quasi-rejection sampling of Poisson(11) from Poisson(10)", () => {
    const { logScores, logProposal, kl, points } = golden.quasiRejection;
    const betas = points.map(({ beta }) => beta);
    const found = acceptanceCurve({ logScores, logProposal, logMasses: logProposal }, betas);
    points.forEach((point, i) => {
      expect(found[i]!.acceptanceRate).toBeCloseTo(point.acceptanceRate, 10);
      expect(found[i]!.forwardKl).toBeCloseTo(point.forwardKl, 10);
      expect(found[i]!.totalVariation).toBeCloseTo(point.totalVariation, 10);
    });
    expect(found[1]!.acceptanceRate).toBeCloseTo(0.876849, 6);
    // A β so small that everything passes samples the proposal itself.
    const [all] = acceptanceCurve({ logScores, logProposal, logMasses: logProposal }, [1e-5]);
    expect(all!.acceptanceRate).toBeCloseTo(1, 6);
    expect(all!.forwardKl).toBeCloseTo(kl, 6);
    expect(kl).toBeCloseTo(0.048412, 6);
  });

  it("generalised advantages, PPO's loss and the value head's, with their gradients", () => {
    const { rewards, values, sequences, gamma, lambda, advantages } = golden.ppo;
    const found = generalisedAdvantages({ rewards, values, sequences }, { gamma, lambda });
    advantages.forEach((a, t) => {
      expect(found.advantages[t]).toBeCloseTo(a, 12);
      expect(found.returns[t]).toBeCloseTo(a + values[t]!, 12);
    });
    const close = (tensor: tf.Tensor, truth: number[]) =>
      tensor.dataSync().forEach((x, i) => {
        expect(x).toBeCloseTo(truth[i]!, 5);
      });
    const logProbs = tf.variable(tf.tensor1d(golden.ppo.logProbs));
    const newValues = tf.variable(tf.tensor1d(golden.ppo.newValues));
    const policyLoss = () =>
      ppoLoss({
        logProbs,
        oldLogProbs: tf.tensor1d(golden.ppo.oldLogProbs),
        advantages: tf.tensor1d(advantages),
      }).loss;
    const headLoss = () =>
      valueLoss({
        values: newValues,
        oldValues: tf.tensor1d(values),
        returns: tf.tensor1d([...found.returns]),
      });
    close(policyLoss(), golden.ppo.losses);
    close(headLoss(), golden.ppo.valueLosses);
    for (const [f, variable, truth] of [
      [policyLoss, logProbs, golden.ppo.gradient],
      [headLoss, newValues, golden.ppo.valueGradient],
    ] as const) {
      const { gradients } = valueAndGradients(() => tf.sum(f()) as tf.Scalar, new Map([["x", variable]]));
      close(gradients.get("x")!, truth);
    }
  });
});
