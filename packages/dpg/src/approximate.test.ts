import "@tensorflow/tfjs";
import {
  alpha,
  type Divergence,
  exactDivergence,
  forwardKl,
  jensenShannon,
  reverseKl,
  totalVariation,
} from "@fdiv/divergences";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type ApproximateOptions,
  type ApproximateState,
  approximate,
  autoregressiveTabularPolicy,
  booleanScorer,
  dpg,
  estimator,
  exactEstimator,
  flatMetrics,
  gdc,
  InfiniteDivergenceError,
  LawMismatchError,
  NoSupportError,
  reinforceAdvantages,
  reinforceWithKl,
  replay,
  rloo,
  type StepRow,
  type TableContext,
  tabularDistribution,
  tabularPolicy,
  target,
  unnormalised,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const base = tabularDistribution([5, 4, 3, 2, 1, 1]);
const reward = (x: number) => Math.sin(2 * x);
const tilted = target(base).tilt(reward, { beta: 0.8 });
const logTarget = (() => {
  const scores = Array.from(base.table(), (x, k) => x + reward(k) / 0.8);
  const logZ = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
  return scores.map((x) => x - logZ);
})();
const fromBase = () => tabularPolicy({ outcomes: 6, logits: [Array.from(base.table())] });

type Options = ApproximateOptions<number, TableContext>;
async function all(rows: AsyncIterable<StepRow>): Promise<StepRow[]> {
  const found: StepRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
}
const quick = { steps: 150, samplesPerContext: 64, learningRate: 0.05, seed: 3 };

describe("approximate", () => {
  it.each([forwardKl, reverseKl, jensenShannon, totalVariation, alpha(0.5)])(
    "$name: comes near the target",
    async (d: Divergence) => {
      const policy = fromBase();
      const before = exactDivergence(forwardKl, policy.table(), logTarget);
      const rows = await all(
        approximate(tilted, { ...quick, policy, divergence: d, learningRate: (s) => (s < 80 ? 0.05 : 0.01) }),
      );
      const after = exactDivergence(forwardKl, policy.table(), logTarget);
      expect(before).toBeGreaterThan(0.2);
      // Steps of total variation do not shrink with the distance.
      expect(after).toBeLessThan(d === totalVariation ? 0.05 : 0.01);
      expect(rows.length).toBe(150);
      const last = rows.at(-1)!;
      const logZ = Math.log(
        Array.from(base.table()).reduce((sum, x, k) => sum + Math.exp(x + reward(k) / 0.8), 0),
      );
      expect(Math.abs(last.partition[0]!.logZ - logZ)).toBeLessThan(
        4 * last.partition[0]!.standardError + 1e-3,
      );
    },
  );

  it("off-policy too: from the base, from a fixed proposal, from stored samples, from one that adapts", async () => {
    const contexts = new Array<undefined>(4000).fill(undefined);
    const drawn = base.sample(contexts, random(9)) as { outcomes: number[]; logProbs: number[] };
    const stored = drawn.outcomes.map((outcome, i) => ({ outcome, context: 0, logProb: drawn.logProbs[i]! }));
    const kinds: Partial<Options>[] = [
      { proposal: "base" },
      { proposal: tabularDistribution([1, 1, 1, 1, 1, 1]) },
      { proposal: replay<number, TableContext>(JSON.parse(JSON.stringify(stored))) },
      { proposal: "base", adaptive: { every: 5 } },
    ];
    for (const kind of kinds) {
      const policy = fromBase();
      const rows = await all(approximate(tilted, { ...quick, policy, divergence: jensenShannon, ...kind }));
      expect(exactDivergence(forwardKl, policy.table(), logTarget)).toBeLessThan(0.03);
      expect(rows.some(({ proposalChanged }) => proposalChanged)).toBe(kind.adaptive !== undefined);
    }
  });

  it("by context, each with its own Z", async () => {
    const bases = tabularDistribution([
      [0.99, 0.005, 0.005],
      [0.4, 0.3, 0.3],
    ]);
    const policy = tabularPolicy({
      outcomes: 3,
      contexts: 2,
      logits: [0, 1].map((c) => Array.from(bases.table(c))),
    });
    const towards = target(bases).tilt((x: number) => (x === 1 ? 3 : 0), { beta: 1 });
    const rows = await all(
      approximate(towards, {
        ...quick,
        steps: 200,
        policy,
        divergence: forwardKl,
        contexts: [0, 1],
        samplesPerContext: 48,
        proposal: tabularDistribution([
          [1, 1, 1],
          [1, 1, 1],
        ]),
      }),
    );
    expect(rows.at(-1)!.partition.length).toBe(2);
    for (const c of [0, 1]) {
      const scores = Array.from(bases.table(c), (x, k) => x + (k === 1 ? 3 : 0));
      const z = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
      expect(
        exactDivergence(
          forwardKl,
          policy.table(c),
          scores.map((x) => x - z),
        ),
      ).toBeLessThan(0.02);
    }
  });

  it("a hard target: reverse KL is refused, or smoothed; the others learn it", async () => {
    const hard = target(base).times(booleanScorer((x: number) => x >= 4));
    expect(() => approximate(hard, { ...quick, policy: fromBase(), divergence: reverseKl })).toThrow(
      InfiniteDivergenceError,
    );
    for (const options of [{ divergence: jensenShannon }, { divergence: reverseKl, smoothing: 0.01 }]) {
      const policy = fromBase();
      const rows = await all(approximate(hard, { ...quick, policy, ...options }));
      expect(Math.exp(policy.table()[4]!) + Math.exp(policy.table()[5]!)).toBeGreaterThan(0.8);
      expect(rows.at(-1)!.accepted).toBeGreaterThan(rows[0]!.accepted);
      expect(Number.isFinite(rows.at(-1)!.divergence.value)).toBe(true);
    }
    const unsaid = unnormalised<number, TableContext>((outcomes) =>
      outcomes.map((x) => (x < 2 ? -1 / 0 : 0)),
    );
    const late = approximate(unsaid, { ...quick, policy: fromBase(), divergence: reverseKl });
    await expect(all(late)).rejects.toThrow(InfiniteDivergenceError);
  });

  it("a target that nothing drawn belongs to is an error, not a NaN", async () => {
    const nothing = target(base).times(booleanScorer(() => false));
    const rows = approximate(nothing, { ...quick, policy: fromBase(), divergence: forwardKl });
    await expect(all(rows)).rejects.toThrow(NoSupportError);
  });

  it("the same whether differentiated at once or in chunks", async () => {
    const run = async (chunk: number | undefined) => {
      const policy = fromBase();
      await all(approximate(tilted, { ...quick, steps: 3, policy, divergence: jensenShannon, chunk }));
      return policy.table();
    };
    const [whole, cut] = [await run(undefined), await run(7)];
    whole.forEach((x, k) => {
      expect(cut[k]).toBeCloseTo(x, 6);
    });
  });

  it("draws anew each step, and the same with the same seed", async () => {
    const run = async (seed: number) => {
      const policy = fromBase();
      const drawn: string[] = [];
      const watched: typeof policy = {
        ...policy,
        logProbs: (outcomes, contexts) => {
          drawn.push(outcomes.join(""));
          return policy.logProbs(outcomes, contexts);
        },
      };
      await all(
        approximate(tilted, {
          ...quick,
          seed,
          steps: 4,
          learningRate: 1e-9,
          policy: watched,
          divergence: jensenShannon,
        }),
      );
      return drawn;
    };
    const first = await run(1);
    expect(new Set(first).size).toBe(4);
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });

  it("leaves no tensor behind", async () => {
    const before = tf.memory().numTensors;
    const policy = fromBase();
    const run = approximate(tilted, {
      ...quick,
      steps: 12,
      policy,
      divergence: jensenShannon,
      proposal: "base",
      adaptive: { every: 2 },
    });
    await all(run);
    run.dispose();
    policy.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("figures as flat numbers", async () => {
    const isFour = (x: number) => x === 4;
    const [row] = await all(
      approximate(tilted, {
        ...quick,
        steps: 1,
        samplesPerContext: 2000,
        policy: fromBase(),
        divergence: jensenShannon,
        features: [isFour],
      }),
    );
    const flat = flatMetrics(row!);
    expect(flat["kl-to-base"]).toBeCloseTo(0, 5);
    expect(Math.abs(flat["moments/isFour"]! - 1 / 16)).toBeLessThan(4 * flat["moments/isFour/se"]!);
    const truth = exactDivergence(jensenShannon, base.table(), logTarget);
    expect(Math.abs(flat["jensen-shannon"]! - truth)).toBeLessThan(4 * flat["jensen-shannon/se"]!);
    expect(Object.values(flat).every((x) => typeof x === "number" && Number.isFinite(x))).toBe(true);
  });

  it("refuses options that can't be", () => {
    const run = (options: Partial<Options>) => () =>
      approximate(tilted, { ...quick, policy: fromBase(), divergence: jensenShannon, ...options });
    expect(run({ steps: 0 })).toThrow(/steps is 0/);
    expect(run({ baseline: "mean" as "none" })).toThrow(/no baseline "mean"/);
    expect(run({ adaptive: true })).toThrow(/start an adaptive one from the base/);
    expect(run({ smoothing: 1 })).toThrow(/smoothing is 1/);
    expect(run({ partition: { logZ: [0, 0] } })).toThrow(/partition\.logZ/);
    expect(run({ temperature: 2 } as Partial<Options>)).toThrow(/unknown option "temperature"/);
  });
});

describe("the law sampled must be the law scored", () => {
  const lying = (law: object | undefined, temperature: number) => {
    const policy = fromBase();
    return {
      ...policy,
      sample: (contexts: readonly TableContext[], stream: ReturnType<typeof random>) => {
        const hot = tabularDistribution(Array.from(policy.table(), (x) => Math.exp(x / temperature)));
        const drawn = hot.sample(contexts, stream) as { outcomes: number[]; logProbs: number[] };
        return { ...drawn, ...(law && { law }) };
      },
    };
  };
  it.each([
    ["says so", { temperature: 0.7 }, 0.7, /drew with temperature 0\.7, .* but scores with temperature 1/],
    ["does not say so", undefined, 0.7, /drew outcome \d+ with log-probability/],
    ["cuts off", { topK: 3 }, 1, /topK 3/],
  ])("a policy whose sampler %s", async (_, law, temperature, message) => {
    const rows = approximate(tilted, {
      ...quick,
      policy: lying(law, temperature),
      divergence: jensenShannon,
    });
    const error = await all(rows).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LawMismatchError);
    expect((error as Error).message).toMatch(message);
  });

  it("as a proposal a hotter law is fine, a cut one is not", async () => {
    const hot = lying({ temperature: 1.5 }, 1.5);
    const run = (proposal: typeof hot) =>
      all(
        approximate(tilted, {
          ...quick,
          steps: 5,
          policy: fromBase(),
          divergence: jensenShannon,
          proposal: { sample: proposal.sample },
        }),
      );
    expect((await run(hot)).length).toBe(5);
    await expect(run(lying({ topP: 0.9 }, 1))).rejects.toThrow(/never draws some outcomes/);
  });
});

describe("a run that was killed", () => {
  const options: Omit<Options, "policy" | "steps"> = {
    divergence: jensenShannon,
    proposal: "base",
    adaptive: { every: 3 },
    baseline: "running-mean",
    samplesPerContext: 16,
    learningRate: 0.05,
    seed: "resume",
  };
  it("goes on bit for bit from its saved state", async () => {
    const whole = fromBase();
    const expected = await all(approximate(tilted, { ...options, policy: whole, steps: 24 }));

    const first = fromBase();
    const killed = approximate(tilted, { ...options, policy: first, steps: 24 });
    const seen: StepRow[] = [];
    for (let i = 0; i < 11; i++) seen.push((await killed.next()).value as StepRow);
    const { progress, tensors } = killed.state();
    const saved = JSON.stringify({
      progress,
      tensors: [...tensors].map(([name, x]) => [name, x.shape, Array.from(x.dataSync())]),
    });
    killed.dispose();
    expect(progress.proposal).toBe("snapshot");

    const read = JSON.parse(saved) as {
      progress: ApproximateState["progress"];
      tensors: [string, number[], number[]][];
    };
    const state: ApproximateState = {
      progress: read.progress,
      tensors: new Map(read.tensors.map(([name, shape, values]) => [name, tf.tensor(values, shape)])),
    };
    const second = tabularPolicy({ outcomes: 6 });
    seen.push(...(await all(approximate(tilted, { ...options, policy: second, steps: 24 }, state))));
    expect(seen).toEqual(expected);
    expect(Array.from(second.parameters.get("logits")!.dataSync())).toEqual(
      Array.from(whole.parameters.get("logits")!.dataSync()),
    );
  });

  it("and a state of another run is refused", async () => {
    const run = approximate(tilted, { ...options, policy: fromBase(), steps: 2 });
    await all(run);
    expect(() =>
      approximate(tilted, { ...options, seed: 1, policy: fromBase(), steps: 2 }, run.state()),
    ).toThrow(/seed resume/);
  });
});

describe("special cases", () => {
  it("REINFORCE with a KL penalty is reverse KL: ∇J = −β·∇KL(π‖p), exactly", () => {
    const logPolicy = Array.from(tabularDistribution([1, 2, 3, 4, 5, 6]).table());
    const beta = 0.8;
    const logScores = Array.from(base.table(), (x, k) => x + reward(k) / beta);
    const { gradient } = exactEstimator({ logPolicy, logScores }, { divergence: reverseKl });
    const objective = (logits: number[]) => {
      const table = tabularDistribution(logits.map(Math.exp)).table();
      return table.reduce((sum, l, k) => sum + Math.exp(l) * (reward(k) - beta * (l - base.table()[k]!)), 0);
    };
    gradient.forEach((g, k) => {
      const at = (step: number) => objective(logPolicy.map((x, i) => (i === k ? x + step : x)));
      expect((at(1e-5) - at(-1e-5)) / 2e-5).toBeCloseTo(-beta * g, 7);
    });
  });

  it("and sample by sample, under leave-one-out", () => {
    const logPolicy = [-1, -2, -0.5, -3];
    const logBase = [-1.5, -1, -2, -2.5];
    const rewards = [1, 0, -1, 2];
    const beta = 0.3;
    const advantages = reinforceAdvantages(
      { rewards, logPolicy, logBase },
      { beta, baseline: "leave-one-out" },
    );
    const logScores = logBase.map((x, i) => x + rewards[i]! / beta);
    const { coefficients } = estimator(
      { logPolicy, logScores, logPartition: 1.7 },
      { divergence: reverseKl, baseline: "leave-one-out" },
    );
    advantages.forEach((a, i) => {
      expect(a).toBeCloseTo(-beta * coefficients[i]!, 10);
    });
  });

  it("run by name", async () => {
    const common = { ...quick, steps: 60 };
    for (const run of [
      (policy: ReturnType<typeof fromBase>) => dpg(tilted, { ...common, policy }),
      (policy: ReturnType<typeof fromBase>) => gdc(tilted, { ...common, policy }),
      (policy: ReturnType<typeof fromBase>) =>
        reinforceWithKl({ ...common, policy, base, reward, beta: 0.8 }),
      (policy: ReturnType<typeof fromBase>) => rloo({ ...common, policy, base, reward, beta: 0.8 }),
    ]) {
      const policy = fromBase();
      const before = exactDivergence(forwardKl, policy.table(), logTarget);
      await all(run(policy));
      expect(exactDivergence(forwardKl, policy.table(), logTarget)).toBeLessThan(before / 4);
    }
  });
});

it("a policy over sequences: samples score as they were drawn, and the support sums to 1", async () => {
  const logits = Float32Array.from({ length: 13 * 3 }, (_, i) => Math.sin(i));
  const policy = autoregressiveTabularPolicy({ vocabulary: 3, length: 3, end: 0, logits });
  const contexts = new Array<undefined>(500).fill(undefined);
  const drawn = await policy.sample(contexts, random(1));
  const scored = policy.logProbs(drawn.outcomes).dataSync();
  scored.forEach((x, i) => {
    expect(x).toBeCloseTo(drawn.logProbs[i]!, 5);
  });
  const support = policy.support(undefined);
  expect(support.length).toBe(1 + 2 * (1 + 2 * 3));
  const total = Array.from(policy.logProbs(support).dataSync()).reduce((sum, x) => sum + Math.exp(x), 0);
  expect(total).toBeCloseTo(1, 5);

  const twoOnes = target(policy.snapshot()).times(
    booleanScorer((x: readonly number[]) => x.filter((token) => token === 1).length >= 2),
  );
  const rows = await all(
    approximate(twoOnes, {
      policy,
      divergence: jensenShannon,
      steps: 80,
      samplesPerContext: 64,
      learningRate: 0.1,
    }),
  );
  expect(rows.at(-1)!.accepted).toBeGreaterThan(rows[0]!.accepted + 0.4);
});
