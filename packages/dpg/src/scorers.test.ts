import { random } from "@fdiv/tensor-core";
import { describe, expect, it } from "vitest";
import { boundedCache } from "./bounded-cache.ts";
import {
  balancedBrackets,
  batchedFeature,
  booleanScorer,
  classifier,
  containsWord,
  exponentialScorer,
  type Feature,
  feature,
  type HasText,
  length,
  lexicon,
  matches,
  positiveScorer,
  quasiRejection,
  replay,
  SampleCountError,
  ScoreError,
  tabularDistribution,
  target,
  unnormalised,
  validJson,
} from "./index.ts";
import { hasNestedQuantifiers } from "./pattern.ts";

const on = async (one: Feature<HasText>, ...texts: HasText[]) =>
  Array.from(
    await one.values(
      texts,
      texts.map(() => undefined),
    ),
  );

describe("features", () => {
  it("ask about equal outcomes once, in a batch and later", async () => {
    const asked: string[] = [];
    const count = feature(async (x: { ids: number[] }) => {
      asked.push(x.ids.join());
      return x.ids.length;
    });
    const batch = [{ ids: [1, 2] }, { ids: [1, 2] }, { ids: [3] }];
    const none = batch.map(() => undefined);
    expect(Array.from(await count.values(batch, none))).toEqual([2, 2, 1]);
    expect(Array.from(await count.values(batch, none))).toEqual([2, 2, 1]);
    expect(asked).toEqual(["1,2", "3"]);
  });

  it("tell contexts and typed arrays apart", async () => {
    let asked = 0;
    const last = feature((x: Int32Array, context: number) => {
      asked++;
      return x.at(-1)! + context;
    });
    const outcomes = [Int32Array.of(1, 2), Int32Array.of(1, 3), Int32Array.of(1, 2)];
    expect(Array.from(await last.values(outcomes, [0, 0, 10]))).toEqual([2, 3, 12]);
    expect(asked).toBe(3);
  });

  it("forget the least recently used beyond their bound, and all without a cache", async () => {
    const cache = boundedCache<number>(2);
    cache.set("a", 1);
    cache.set("b", 2);
    expect(cache.get("a")).toBe(1);
    cache.set("c", 3);
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3]);
    cache.set("x".repeat(70_000), 4);
    expect(cache.size).toBe(2);
    let asked = 0;
    const never = feature(() => ++asked, { cache: 0 });
    await never.values(["a", "a"], [0, 0]);
    expect(asked).toBe(2);
  });

  it("are asked in batches of a size", async () => {
    const sizes: number[] = [];
    const one = batchedFeature(
      (texts: readonly string[]) => {
        sizes.push(texts.length);
        return texts.map((text) => text.length);
      },
      { batchSize: 2 },
    );
    expect(Array.from(await one.values(["a", "bb", "ccc"], [0, 0, 0]))).toEqual([1, 2, 3]);
    expect(sizes).toEqual([2, 1]);
  });

  it("say which one failed on what", async () => {
    const bad = feature(
      () => {
        throw new Error("no network");
      },
      { name: "oracle" },
    );
    await expect(bad.values(["some text"], [0])).rejects.toThrow(/oracle failed on "some text": no network/);
    await expect(bad.values(["some text"], [0])).rejects.toThrow(ScoreError);
    const nan = feature((x: number) => 0 / x, { name: "ratio" });
    await expect(nan.values([0], [0])).rejects.toThrow(/ratio gave NaN for "0"/);
    const short = batchedFeature(() => [1], { name: "short" });
    await expect(short.values(["a", "b"], [0, 0])).rejects.toThrow(/1 values for 2/);
  });
});

describe("ready features", () => {
  it("a word, whole and in any case", async () => {
    expect(
      await on(containsWord("amazing"), "It was AMAZING!", "amazingly", { text: "so amazing." }),
    ).toEqual([1, 0, 1]);
    expect(await on(containsWord("ice cream"), "some ice-cream", "ice cold cream")).toEqual([1, 0]);
    expect(await on(containsWord("déjà"), "De\u0301ja\u0300 vu")).toEqual([1]);
  });

  it("a lexicon: sum, mean and any", async () => {
    const weights = { good: 1, bad: -2 };
    expect(await on(lexicon(weights), "Good, good, bad", "none")).toEqual([0, 0]);
    expect(await on(lexicon(weights, { measure: "mean" }), "good day", "")).toEqual([0.5, 0]);
    expect(await on(lexicon(["he", "his"], { measure: "any" }), "Is this his?", "the")).toEqual([1, 0]);
    expect(() => lexicon([])).toThrow(/no word/);
  });

  it("length", async () => {
    expect(await on(length(), "a🙂b")).toEqual([3]);
    expect(await on(length("words"), "It isn't so.")).toEqual([3]);
    expect(await on(length("tokens"), { text: "x", ids: [1, 2] } as HasText)).toEqual([2]);
    await expect(on(length("tokens"), "x")).rejects.toThrow(/no field ids/);
  });

  it("JSON and brackets", async () => {
    expect(await on(validJson(), "[1, 2]", "{", "3", "")).toEqual([1, 0, 1, 0]);
    expect(await on(validJson({ kinds: ["object"] }), "{}", "[]", "null")).toEqual([1, 0, 0]);
    expect(await on(balancedBrackets(), "f(a[1]) {}", "(]", ")(", "((")).toEqual([1, 0, 0, 0]);
  });

  it("a classifier's probability of a label", async () => {
    const classify = async (texts: readonly string[]) =>
      texts.map((text) => (text === "good" ? [0.1, 0.9] : [1, 0]));
    expect(await on(classifier(classify), "good", "bad")).toEqual([0.9, 0]);
    expect((await on(classifier(classify, { log: true }), "good"))[0]).toBeCloseTo(Math.log(0.9), 12);
    await expect(on(classifier(classify, { label: 5 }), "good")).rejects.toThrow(/label 5 of 2/);
  });

  it("a pattern: the same whatever was asked before, bounded, without nested repetition", async () => {
    const digits = matches(/\d+/g);
    expect(await on(digits, "a1", "a2", "b")).toEqual([1, 1, 0]);
    expect(await on(matches("[a-z]+", { whole: true }), "abc", "abc1")).toEqual([1, 0]);
    expect(await on(matches("x", { maxLength: 3 }), "aaax", "aax")).toEqual([0, 1]);
    for (const source of ["(a+)+", "(a*b?)*c", "((ab)+c?){2,}", "(?:x|y+)*"]) {
      expect(hasNestedQuantifiers(source)).toBe(true);
      expect(() => matches(source)).toThrow(/exponential/);
    }
    for (const source of ["(ab)+c+", "[+*]+", "\\(a+\\)+", "(a{2,3})+", "a+b*"])
      expect(hasNestedQuantifiers(source)).toBe(false);
    expect(() => matches("(")).toThrow(/no regular expression/);
    expect(() => matches("a".repeat(3000))).toThrow(/3000 characters/);
    const slow = matches("(x+x+)y", { maxMilliseconds: -1 });
    await expect(on(slow, "xxxx")).rejects.toThrow(/took .* ms/);
  });
});

describe("scorers and targets", () => {
  const base = tabularDistribution([1, 2, 3]);
  const none = [undefined, undefined, undefined];
  const scores = async (of: {
    score: typeof base.logProbs extends never
      ? never
      : (o: readonly number[], c: readonly undefined[]) => Promise<{ logScores: Float64Array }>;
  }) => Array.from((await of.score([0, 1, 2], none)).logScores, (x) => 6 * Math.exp(x));

  it("compose", async () => {
    const p = target(base)
      .times(booleanScorer((x: number) => x > 0))
      .times(positiveScorer((x: number) => x + 1))
      .tilt((x: number) => x, { beta: 2 })
      .times(exponentialScorer([(x: number) => x], [-0.5]));
    const found = await scores(p);
    [0, 4, 9].forEach((exact, i) => {
      expect(found[i]).toBeCloseTo(exact, 12);
    });
    expect(p.hardZeros).toBe(true);
    expect(target(base).tilt((x: number) => x, { beta: 2 }).hardZeros).toBe(false);
    const plain = target(base).times((x: number) => x === 2);
    expect(await scores(plain)).toEqual([0, 0, expect.closeTo(3, 12)]);
    const own = unnormalised<number>((outcomes) => outcomes.map((x) => Math.log(x + 1))).times(
      (x) => x !== 1,
    );
    expect((await scores(own)).map((x) => x / 6)).toEqual([1, 0, expect.closeTo(3, 12)]);
  });

  it("a zero stays a zero, however large another factor", async () => {
    const p = target(base)
      .times(booleanScorer((x: number) => x > 0))
      .tilt(() => 1e300, { beta: 1 });
    expect((await p.score([0, 1], [undefined, undefined])).logScores).toEqual(Float64Array.of(-1 / 0, 1e300));
  });

  it("refuse what is no score", async () => {
    await expect(scores(target(base).times(booleanScorer(() => 0.5)))).rejects.toThrow(/true or false/);
    await expect(scores(target(base).times(positiveScorer((x: number) => x)))).rejects.toThrow(/zeros: true/);
    await expect(scores(target(base).times(positiveScorer(() => -1)))).rejects.toThrow(ScoreError);
    expect(() => target(base).tilt(() => 1, { beta: 0 })).toThrow(/beta is 0/);
    expect(() => exponentialScorer([() => 1], [])).toThrow(/one finite number a feature/);
    await expect(scores(unnormalised<number>(() => [0]))).rejects.toThrow(/1 log scores for 3/);
    await expect(scores(unnormalised<number>((o) => o.map(() => Number.NaN)))).rejects.toThrow(
      /log score NaN/,
    );
  });
});

describe("quasi-rejection sampling", () => {
  const proposal = tabularDistribution([1, 1, 1, 1]);
  const towards = unnormalised<number, number | undefined>((outcomes) =>
    outcomes.map((x) => Math.log((x + 1) / 10)),
  );

  it("with β ≥ sup P/q draws the target itself", async () => {
    const found = await quasiRejection({
      target: towards,
      proposal,
      beta: 1.6,
      count: 8000,
      random: random(2),
    });
    expect(found.seemsExact).toBe(true);
    expect(found.acceptanceRate).toBeCloseTo(1 / 1.6, 1);
    [0, 1, 2, 3].forEach((x) => {
      const share = found.outcomes.filter((y) => y === x).length / 8000;
      expect(Math.abs(share - (x + 1) / 10)).toBeLessThan(4 * Math.sqrt(0.25 / 8000));
    });
  });

  it("with a smaller β says that it does not, and gives up in time", async () => {
    const loose = await quasiRejection({
      target: towards,
      proposal,
      beta: 0.5,
      count: 200,
      random: random(2),
    });
    expect(loose.seemsExact).toBe(false);
    const hopeless = await quasiRejection({
      target: target(proposal).times(booleanScorer(() => false)),
      proposal,
      logBeta: 0,
      count: 5,
      maxDraws: 100,
      random: random(1),
    });
    expect(hopeless).toMatchObject({ outcomes: [], draws: 100, acceptanceRate: 0 });
    await expect(
      quasiRejection({ target: towards, proposal, beta: -1, count: 1, random: random(1) }),
    ).rejects.toThrow(/beta/);
    await expect(
      quasiRejection({ target: towards, proposal, beta: 1, count: 0, random: random(1) }),
    ).rejects.toThrow(SampleCountError);
  });
});

it("replay refuses what it can't draw", () => {
  expect(() => replay([{ outcome: 1, context: 3, logProb: 0 }])).toThrow(/context 3, but there are 1/);
  const some = replay([{ outcome: 1, context: 0, logProb: 0 }], { contexts: ["a", "b"] });
  expect(() => some.sample(["b"], random(1))).toThrow(/no stored samples/);
});
