import type { WrittenKd } from "./kd-schema.ts";
import { weightsOf } from "./loss-weights.ts";

/** What is taken where a configuration says nothing. */
export const kdDefaults = {
  alpha: 0.9,
  beta: 0.8,
  temperature: 2,
  temperatureSquared: true,
  maxTokens: 64,
} as const;

export const sinkhornDefaults = {
  lambda: 0.1,
  iterations: 20,
  formulation: "batch",
  cost: "l1",
  debiased: false,
  gradient: "unrolled",
} as const;

/** What stays open where a term is sample-wise, which is iterated only where it is written how. */
const ofIterating: readonly string[] = ["iterations", "gradient"];

/** The defaults of a loss's transport. */
export const sinkhornDefaultsOf = (loss: WrittenKd["loss"]): Partial<typeof sinkhornDefaults> =>
  Object.hasOwn(weightsOf({ ...kdDefaults, loss }), "sample-wise")
    ? Object.fromEntries(Object.entries(sinkhornDefaults).filter(([key]) => !ofIterating.includes(key)))
    : sinkhornDefaults;

/** Keys that a configuration's other keys leave without effect, each with the reason. */
export interface IgnoredKey {
  path: readonly [string] | readonly ["sinkhorn", string];
  reason: string;
}

const transports: readonly string[] = ["sinkhorn", "sample-wise", "multi-level"];
const noDivergences: readonly string[] = [...transports, "ce", "mse", "uld"];
const withoutAlpha: readonly string[] = ["ce", "uld", "multi-level"];
const withBeta: readonly string[] = [...transports, "uld"];

/** Which keys have no effect, whether they are written or not. */
export function ignoredKeys({ loss, teacher, onPolicy, sinkhorn }: WrittenKd): IgnoredKey[] {
  const terms = Object.keys(weightsOf({ ...kdDefaults, loss }));
  const transport = terms.find((name) => transports.includes(name));
  const found: IgnoredKey[] = [];
  const ignored = (reason: string, ...keys: string[]) =>
    found.push(...keys.map((key): IgnoredKey => ({ path: [key], reason })));
  const ignoredSinkhorn = (reason: string, ...keys: string[]) =>
    found.push(...keys.map((key): IgnoredKey => ({ path: ["sinkhorn", key], reason })));

  if (typeof loss !== "string")
    ignored("a loss with weights of its own has no α and β; set the weights.", "alpha", "beta");
  else {
    if (withoutAlpha.includes(loss)) ignored(`loss: ${loss} has no α; leave it out.`, "alpha");
    if (!withBeta.includes(loss)) ignored(`loss: ${loss} has no β; leave it out.`, "beta");
  }
  if (terms.every((name) => noDivergences.includes(name)))
    ignored(
      `τ² is a factor of divergences, and the loss has none (${terms.join(", ")}); leave it out.`,
      "temperatureSquared",
    );
  if (!(onPolicy > 0))
    ignored("the student writes answers with onPolicy alone; set it, or leave this out.", "maxTokens");

  // Of a student beside its teacher a plan is drawn whatever the loss is.
  if (!teacher) {
    ignored("there is no teacher to be softened; leave it out.", "temperature");
    ignoredSinkhorn(
      "there is no teacher to transport to; leave it out.",
      "lambda",
      "iterations",
      "tolerance",
    );
  }
  if (sinkhorn.tolerance !== undefined)
    ignoredSinkhorn(
      "sinkhorn.tolerance decides how many iterations are done; leave one of the two out.",
      "iterations",
    );
  if (!transport)
    ignoredSinkhorn(`the loss has no transport (${terms.join(", ")}); leave it out.`, "gradient");
  if (!terms.includes("sinkhorn")) {
    const instead =
      transport === "sample-wise"
        ? "sample-wise moves each example's mass between classes that are all 1 apart"
        : transport === "multi-level"
          ? "multi-level moves the tokens of each sequence at the l1 distance of sorted probabilities"
          : `the loss has no such term (${terms.join(", ")})`;
    ignoredSinkhorn(
      `is of the sinkhorn loss alone: ${instead}; leave it out.`,
      "cost",
      "debiased",
      "formulation",
    );
  }
  return found;
}

/** What is written, and can't be: values that another key excludes. */
export function excludedValues(config: WrittenKd): IgnoredKey[] {
  const { sinkhorn, data, student, vocabulary, teacher } = config;
  const found: IgnoredKey[] = [];
  if (sinkhorn.formulation === "answer" && data)
    found.push({
      path: ["sinkhorn", "formulation"],
      reason: "texts have no answers to transport over; take batch or sequence, or give a task.",
    });
  if (vocabulary === "answers" && !teacher)
    found.push({ path: ["vocabulary"], reason: "there is no teacher to compare with; leave it out." });
  if (student.tokenizer !== undefined && student.model === undefined)
    found.push({
      path: ["student"],
      reason: "tokenizer is of a student.model; layers and config take the teacher's. Leave it out.",
    });
  return found;
}

const valueAt = (config: object, path: readonly string[]): unknown =>
  path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], config);

/** Keys that are written and would have no effect, and values that can't be together. */
export const refusedKeys = (config: WrittenKd): IgnoredKey[] => [
  ...ignoredKeys(config).filter(({ path }) => valueAt(config, path) !== undefined),
  ...excludedValues(config),
];

/** A configuration without the keys that have no effect on it: what a run directory keeps, and can be read again. */
export function effective<C extends WrittenKd>(config: C): C {
  const sinkhorn: Record<string, unknown> = { ...config.sinkhorn };
  const rest: Record<string, unknown> = { ...config, sinkhorn };
  for (const { path } of ignoredKeys(config)) {
    if (path.length === 2) delete sinkhorn[path[1]];
    else delete rest[path[0]];
  }
  return rest as C;
}
