import { describe, expect, it } from "vitest";
import { checkConfig, jsonSchema } from "../config/config-file.ts";
import { effective, sinkhornDefaults } from "./ignored-keys.ts";
import { kdSchema } from "./kd-schema.ts";

const common = {
  task: { name: "sst2", folder: "t" },
  teacher: { model: "a" },
  student: { layers: 1 },
  output: "o",
};
const checked = (settings: object) => checkConfig(kdSchema, { ...common, ...settings }, "kd.yaml");

const weights = { ce: 0.2, tvd: 1 };

/** What each loss can't hear of, and the reason. */
const refused: [settings: object, message: RegExp][] = [
  [{ loss: { ...weights, sinkhorn: 1 }, alpha: 0.9 }, /alpha: a loss with weights of its own has no α and β/],
  [{ loss: weights, beta: 0.8 }, /beta: a loss with weights of its own/],
  [{ loss: "uld", alpha: 0.5 }, /alpha: loss: uld has no α/],
  [{ loss: "js", beta: 0.1 }, /beta: loss: js has no β/],
  [{ loss: "mse", temperatureSquared: false }, /temperatureSquared: .*the loss has none \(ce, mse\)/],
  [{ maxTokens: 4 }, /maxTokens: the student writes answers with onPolicy alone/],
  [{ loss: "multi-level", sinkhorn: { cost: "l1" } }, /sinkhorn\.cost: .*multi-level moves the tokens/],
  [{ loss: "multi-level", sinkhorn: { debiased: false } }, /sinkhorn\.debiased: .*sorted probabilities/],
  [
    { loss: "sample-wise", sinkhorn: { cost: "cosine" } },
    /sinkhorn\.cost: .*between classes that are all 1 apart/,
  ],
  [
    { loss: "sample-wise", sinkhorn: { debiased: true } },
    /sinkhorn\.debiased: is of the sinkhorn loss alone/,
  ],
  [{ loss: "sample-wise", sinkhorn: { formulation: "batch" } }, /sinkhorn\.formulation: is of the sinkhorn/],
  [
    { loss: "tvd", sinkhorn: { gradient: "implicit" } },
    /sinkhorn\.gradient: the loss has no transport \(ce, tvd\)/,
  ],
  [{ sinkhorn: { tolerance: 1e-3, iterations: 20 } }, /sinkhorn\.iterations: sinkhorn\.tolerance decides/],
  [
    { task: undefined, data: { train: "x" }, sinkhorn: { formulation: "answer" } },
    /sinkhorn\.formulation: texts have no answers to transport over; take batch or sequence/,
  ],
  [{ student: { layers: 1, tokenizer: "t" } }, /student: tokenizer is of a student\.model/],
];
const alone = { teacher: undefined, student: { model: "b" }, loss: "ce" };
const refusedAlone: [settings: object, message: RegExp][] = [
  [{ temperature: 2 }, /temperature: there is no teacher to be softened/],
  [{ sinkhorn: { lambda: 0.1 } }, /sinkhorn\.lambda: there is no teacher to transport to/],
  [{ vocabulary: "answers" }, /vocabulary: there is no teacher to compare with/],
];

describe("keys that would have no effect", () => {
  it.each(refused)("%j", (settings, message) => {
    expect(() => checked(settings)).toThrow(message);
  });

  it.each(refusedAlone)("without a teacher, %j", (settings, message) => {
    expect(() => checked({ ...alone, ...settings })).toThrow(message);
  });

  it("trip nothing by their defaults, which are filled in whatever the loss is", () => {
    for (const loss of ["sinkhorn", "multi-level", "uld", "mse", "js", "ce", weights]) {
      const config = checked({ loss });
      expect([config.alpha, config.beta, config.temperature, config.sinkhorn]).toEqual([
        ...[0.9, 0.8, 2],
        sinkhornDefaults,
      ]);
    }
    // How sample-wise is iterated is left open: its closed form is the default.
    const { iterations: _, gradient: __, ...rest } = sinkhornDefaults;
    expect(checked({ loss: "sample-wise" }).sinkhorn).toEqual(rest);
    expect(checked({ sinkhorn: { tolerance: 1e-3, cost: "cosine" } }).sinkhorn).toMatchObject({
      tolerance: 1e-3,
      cost: "cosine",
    });
    checked({ loss: "multi-level", sinkhorn: { tolerance: 1e-3, gradient: "implicit", lambda: 0.2 } });
    checked({ loss: "sample-wise", sinkhorn: { tolerance: 1e-3, gradient: "implicit" } });
    // Of any student beside its teacher a plan is drawn.
    checked({ loss: "js", sinkhorn: { lambda: 0.2, iterations: 5 } });
    checked({ onPolicy: 0.5, maxTokens: 4 });
  });

  it("are not kept by the run, so that what it keeps reads as itself again", () => {
    for (const settings of [
      {},
      { loss: weights },
      { loss: "ce" },
      { loss: "multi-level" },
      { loss: "sample-wise" },
      alone,
    ]) {
      const config = checked(settings);
      const kept = JSON.parse(JSON.stringify(effective(config)));
      const again = checked({ teacher: undefined, ...kept });
      expect(again).toEqual(config);
      expect(JSON.stringify(effective(again))).toBe(JSON.stringify(kept));
    }
    expect(effective(checked({ loss: weights }))).not.toHaveProperty("alpha");
    const until = effective(checked({ sinkhorn: { tolerance: 1e-3 } }));
    expect(until.sinkhorn).not.toHaveProperty("iterations");
    // The same run, written in another order.
    const [a, b] = [checked({ beta: 0.8, alpha: 0.9 }), checked({})];
    expect(JSON.stringify(a)).toBe(JSON.stringify(b));
    expect(Object.keys(a)[0]).toBe("task");
  });

  it("are in the schema that editors read", () => {
    const { properties, description } = jsonSchema(kdSchema) as {
      properties: Record<string, { description: string }>;
      description: string;
    };
    expect(properties.alpha!.description).toMatch(/0\.9 when absent/);
    expect(description).toMatch(/fdiv kd/);
  });
});
