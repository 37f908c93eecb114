import type { CheckpointTensor } from "./checkpoint.ts";
import type { CausalLmConfig } from "./config.ts";
import { familyOf } from "./families.ts";
import type { ParameterSpec } from "./family.ts";

/** A checkpoint's tensors that are parameters of the model, under their full names; buffers and a tied head's copy are left out. */
export function neededParameters(
  config: CausalLmConfig,
  tensors: Iterable<CheckpointTensor>,
): { name: string; tensor: CheckpointTensor }[] {
  const family = familyOf(config.modelType);
  const needed: { name: string; tensor: CheckpointTensor }[] = [];
  for (const tensor of tensors) {
    const name = family.canonicalName(tensor.name);
    if (name === undefined || (config.tiedHead && name === "lm_head.weight")) continue;
    needed.push({ name, tensor });
  }
  return needed;
}

const list = (title: string, lines: string[]): string => {
  if (lines.length === 0) return "";
  const shown = lines.slice(0, 8).map((line) => `\n    ${line}`);
  const more = lines.length > 8 ? `\n    … and ${lines.length - 8} more` : "";
  return `\n  ${title} (${lines.length}):${shown.join("")}${more}`;
};

/**
 * Holds a checkpoint's names and shapes against what its config's architecture needs.
 *
 * @throws one error that lists every missing, unexpected, repeated and mis-shaped tensor.
 */
export function checkAgainst(
  specs: ReadonlyMap<string, ParameterSpec>,
  modelType: string,
  tensors: Iterable<{ name: string; shape: number[] }>,
): void {
  const seen = new Set<string>();
  const unexpected: string[] = [];
  const repeated: string[] = [];
  const misshaped: string[] = [];
  for (const { name, shape } of tensors) {
    const expected = specs.get(name)?.shape;
    if (!expected) unexpected.push(`${name} [${shape.join(", ")}]`);
    else if (seen.has(name)) repeated.push(name);
    else if (expected.join() !== shape.join())
      misshaped.push(`${name} is [${shape.join(", ")}], expected [${expected.join(", ")}]`);
    seen.add(name);
  }
  const missing = [...specs]
    .filter(([name]) => !seen.has(name))
    .map(([name, { shape }]) => `${name} [${shape.join(", ")}]`);
  const faults = [
    list("missing", missing),
    list("unexpected", unexpected),
    list("repeated", repeated),
    list("of another shape", misshaped),
  ].join("");
  if (faults) throw new Error(`the checkpoint's tensors do not fit its ${modelType} config:${faults}`);
}

/** Holds a causal language model's checkpoint against its config. @throws as `checkAgainst` does. */
export function checkParameters(config: CausalLmConfig, tensors: Iterable<CheckpointTensor>): void {
  const named = neededParameters(config, tensors).map(({ name, tensor }) => ({ name, shape: tensor.shape }));
  checkAgainst(familyOf(config.modelType).parameters(config), config.modelType, named);
}
