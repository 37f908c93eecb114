import "@tensorflow/tfjs";
import { alpha, type Divergence, jensenShannon, reverseKl } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  adaptiveKlCoefficient,
  feature,
  LawMismatchError,
  type PpoOptions,
  type PpoRow,
  type PpoState,
  ppo,
  type TabularActorCritic,
  tabularActorCritic,
} from "./index.ts";

type Sequence = readonly number[];
type Options = PpoOptions<Sequence>;

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const start = Float32Array.from({ length: 13 * 3 }, (_, i) => Math.sin(2 * i));
const made = () => tabularActorCritic({ vocabulary: 3, length: 3, end: 0, logits: start });
/** Ones are good, twos bad, and a pair of ones better than two apart. */
const reward = (x: Sequence): number =>
  x.filter((token) => token === 1).length -
  0.5 * x.filter((token) => token === 2).length +
  (x[0] === 1 && x[1] === 1 ? 0.5 : 0);

async function all(run: AsyncIterable<PpoRow>): Promise<PpoRow[]> {
  const rows: PpoRow[] = [];
  for await (const row of run) rows.push(row);
  return rows;
}
const logTable = ({ policy }: TabularActorCritic): number[] =>
  Array.from(policy.logProbs(policy.support(undefined)).dataSync());

/** argmax E r − β·D_f(π‖ref) of an enumerated problem: ref·exp(s⁻¹((r − λ)/β)), λ by bisection. */
function optimum(logReference: number[], rewards: number[], divergence: Divergence, beta: number): number[] {
  const at = (lambda: number) =>
    logReference.map((l, k) => {
      const score = (rewards[k]! - lambda) / beta;
      return score >= divergence.score(1e6) ? Infinity : l + divergence.inverseScore(score);
    });
  const mass = (logs: number[]) => logs.reduce((sum, l) => sum + Math.exp(l), 0);
  let [low, high] = [-50, 50];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (mass(at(middle)) > 1) low = middle;
    else high = middle;
  }
  return at(high);
}
const kl = (p: number[], q: number[]): number => p.reduce((sum, l, k) => sum + Math.exp(l) * (l - q[k]!), 0);

const common: Pick<Options, "reward" | "samplesPerContext" | "epochs" | "minibatch"> = {
  reward,
  samplesPerContext: 256,
  epochs: 2,
  minibatch: 128,
};

describe("PPO's fixed point", () => {
  const cases: [string, Divergence, number, Options["penalty"]][] = [
    ["reverse KL in the reward, a token", reverseKl, 0.5, {}],
    ["reverse KL in the reward, a sequence", reverseKl, 0.5, { per: "sequence" }],
    ["reverse KL in the loss", reverseKl, 0.5, { place: "loss", per: "sequence" }],
    ["Jensen–Shannon in the reward", jensenShannon, 2, {}],
    ["α = ½ in the loss", alpha(0.5), 2, { place: "loss" }],
  ];
  it.each(cases)("%s", async (_, divergence, beta, penalty) => {
    const model = made();
    const reference = model.reference();
    const support = model.policy.support(undefined);
    const before = logTable(model);
    const best = optimum(before, support.map(reward), divergence, beta);
    expect(kl(best, before)).toBeGreaterThan(0.1);
    if (divergence === reverseKl) {
      const tilted = before.map((l, k) => l + reward(support[k]!) / beta);
      const logZ = Math.log(tilted.reduce((sum, l) => sum + Math.exp(l), 0));
      expect(
        kl(
          best,
          tilted.map((l) => l - logZ),
        ),
      ).toBeCloseTo(0, 8);
    }
    const run = ppo({
      ...common,
      policy: model,
      reference,
      divergence,
      penalty: penalty!,
      coefficient: beta,
      steps: 50,
      valueWeight: 1,
      whiten: false,
      learningRate: (step) => 0.08 * (1 - step / 50),
    });
    const rows = await all(run);
    expect(kl(logTable(model), best)).toBeLessThan(0.02);
    expect(kl(logTable(model), best)).toBeLessThan(0.1 * kl(before, best));
    expect(rows.at(-1)!.objective).toBeGreaterThan(rows[0]!.objective + 0.1);
    run.dispose();
  });

  it("a penalty in the loss keeps its proportion to whitened advantages", async () => {
    const ends = await Promise.all(
      (["reward", "loss"] as const).map(async (place) => {
        const model = made();
        const options = { ...common, policy: model, reference: model.reference(), coefficient: 0.5 };
        const run = ppo({
          ...options,
          penalty: { place, per: "sequence" },
          steps: 40,
          valueWeight: 1,
          learningRate: (step) => 0.06 * (1 - step / 40),
        });
        await all(run);
        return logTable(model);
      }),
    );
    expect(Math.abs(kl(ends[0]!, ends[1]!))).toBeLessThan(0.02);
  });
});

it("raises the reward, counts as it goes, and frees what it made", async () => {
  const model = made();
  const reference = model.reference();
  const options: Options = {
    ...common,
    policy: model,
    reference,
    coefficient: 0.05,
    steps: 12,
    valueWeight: 1,
    learningRate: 0.05,
    features: [feature((x: Sequence) => x.length, { name: "length" })],
  };
  const before = tf.memory().numTensors;
  const run = ppo(options);
  const rows = await all(run);
  run.dispose();
  expect(tf.memory().numTensors).toBe(before);
  expect(rows[0]!.klToReference.value).toBeCloseTo(0, 5);
  expect(rows[0]!.updates).toBe(4);
  expect(rows.at(-1)!.reward.value).toBeGreaterThan(rows[0]!.reward.value + 0.5);
  expect(rows.at(-1)!.klToReference.value).toBeGreaterThan(0.2);
  expect(rows.at(-1)!.moments.length!.value).toBeGreaterThan(1);
  expect(rows[0]!.explainedVariance).toBe(0);
  expect(Math.max(...rows.map((row) => row.explainedVariance))).toBeGreaterThan(0.15);
  expect(rows.some(({ clipped }) => clipped > 0)).toBe(true);
  expect(rows.every(({ approximateKl }) => approximateKl > 0)).toBe(true);
});

it("outcomes computed a few at a time learn the same", async () => {
  const end = async (chunk: number) => {
    const model = made();
    const run = ppo({ ...common, policy: model, reference: model.reference(), steps: 3, chunk });
    await all(run);
    return logTable(model);
  };
  const [whole, parts] = [await end(128), await end(37)];
  whole.forEach((l, k) => {
    expect(l).toBeCloseTo(parts[k]!, 4);
  });
});

it("a steered coefficient brings the divergence to its target", async () => {
  const model = made();
  const coefficient = adaptiveKlCoefficient({ initial: 0.01, target: 0.15, horizon: 256 });
  const run = ppo({
    ...common,
    policy: model,
    reference: model.reference(),
    coefficient,
    steps: 80,
    learningRate: 0.03,
  });
  const rows = await all(run);
  expect(Math.max(...rows.map(({ divergence }) => divergence.value))).toBeGreaterThan(0.25);
  const last = rows.slice(-20).reduce((sum, { divergence }) => sum + divergence.value / 20, 0);
  expect(Math.abs(last - 0.15)).toBeLessThan(0.06);
  expect(coefficient.value).toBeGreaterThan(0.05);
});

describe("a run of PPO that was killed", () => {
  const options = (): Omit<Options, "policy" | "reference" | "steps"> => ({
    ...common,
    samplesPerContext: 32,
    minibatch: 10,
    coefficient: adaptiveKlCoefficient({ initial: 0.1, target: 0.1, horizon: 100 }),
    learningRate: 0.03,
    seed: "resume",
  });
  it("goes on bit for bit from its saved state", async () => {
    const whole = made();
    const reference = whole.reference();
    const expected = await all(ppo({ ...options(), policy: whole, reference, steps: 9 }));

    const killed = ppo({ ...options(), policy: made(), reference, steps: 9 });
    const seen: PpoRow[] = [];
    for (let i = 0; i < 4; i++) seen.push((await killed.next()).value as PpoRow);
    const { progress, tensors } = killed.state();
    const saved = JSON.stringify({
      progress,
      tensors: [...tensors].map(([name, x]) => [name, x.shape, Array.from(x.dataSync())]),
    });
    killed.dispose();

    const read = JSON.parse(saved) as {
      progress: PpoState["progress"];
      tensors: [string, number[], number[]][];
    };
    const state: PpoState = {
      progress: read.progress,
      tensors: new Map(read.tensors.map(([name, shape, values]) => [name, tf.tensor(values, shape)])),
    };
    const second = tabularActorCritic({ vocabulary: 3, length: 3, end: 0 });
    seen.push(...(await all(ppo({ ...options(), policy: second, reference, steps: 9 }, state))));
    expect(seen).toEqual(expected);
    for (const [name, variable] of whole.parameters)
      expect(Array.from(second.parameters.get(name)!.dataSync())).toEqual(Array.from(variable.dataSync()));
  });

  it("and a state of another run is refused", async () => {
    const model = made();
    const run = ppo({ ...options(), policy: model, reference: model.reference(), steps: 1 });
    await all(run);
    expect(() =>
      ppo({ ...options(), seed: 1, policy: made(), reference: model.reference(), steps: 1 }, run.state()),
    ).toThrow(/seed resume/);
  });
});

describe("PPO refuses", () => {
  const attempt = (options: Partial<Options>) => {
    const model = made();
    return ppo({ ...common, policy: model, reference: model.reference(), steps: 1, ...options });
  };
  it("options that can't be, by name", () => {
    expect(() => attempt({ clip: 0 })).toThrow(/clip is 0/);
    expect(() => attempt({ minibatch: 1000 })).toThrow(/minibatch is 1000, but a step draws 256/);
    expect(() => attempt({ penalty: { place: "moon" as "loss" } })).toThrow(/no place of the penalty "moon"/);
    expect(() => attempt({ penalty: { per: "word" as "token" } })).toThrow(/no penalty per "word"/);
    expect(() => attempt({ lamda: 1 } as Partial<Options>)).toThrow(/unknown option "lamda"/);
    expect(() => attempt({ valueClip: 0 })).toThrow(/valueClip is 0/);
    expect(() => attempt({ lambda: 2 })).toThrow(/lambda is 2/);
    expect(() => attempt({ coefficient: -1 })).toThrow(/-1 is no coefficient/);
  });
  it("draws of another law than the one that is scored, and rewards that are no numbers", async () => {
    const model = made();
    const sample: TabularActorCritic["sample"] = async (contexts, random) => ({
      ...(await model.sample(contexts, random)),
      law: { temperature: 0.7 },
    });
    await expect(attempt({ policy: { ...model, sample } }).next()).rejects.toThrow(LawMismatchError);
    await expect(attempt({ reward: () => Number.NaN }).next()).rejects.toThrow(/NaN/);
  });
});
