import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, writeSafetensors } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { isT5 } from "../t5/t5-model.ts";
import { type ValueHead, valueHeadNames, valueHeadOf, type Writer } from "../value-head.ts";
import { writeFolder } from "./atomic-file.ts";
import { loadCausalLm } from "./load.ts";
import { loadT5, saveT5 } from "./load-t5.ts";
import { saveCausalLm } from "./save.ts";

const weightsName = "value_head.safetensors";
const trunkName = "trunk";

/** Writes a value head: `value_head.safetensors`, and a trunk of its own as a Hugging Face folder beside it. */
export async function saveValueHead({ parameters, trunk }: ValueHead<Writer>, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const place = join(folder, trunkName);
  if (trunk) await (isT5(trunk) ? saveT5(trunk, place) : saveCausalLm(trunk, place));
  await writeFolder(folder, async (temporary) => {
    const tensors = await Promise.all(
      Object.values(valueHeadNames).map(async (name) => {
        const variable = parameters.get(name)!;
        const data = (await variable.data()) as Float32Array;
        return { name, dtype: "F32" as const, shape: [...variable.shape], data };
      }),
    );
    await writeSafetensors(join(temporary, weightsName), tensors, { format: "pt" });
  });
}

/**
 * Reads a value head for a model; a trunk that was saved with it comes as a model of its own, an adapter merged in.
 *
 * @throws Error where the file is missing or of another hidden size
 */
export async function loadValueHead<M extends Writer>(model: M, folder: string): Promise<ValueHead<M>> {
  const path = join(folder, weightsName);
  const file = await openSafetensors(path);
  const { hiddenSize } = model.config;
  const read = async (name: string, shape: number[]): Promise<tf.Variable> => {
    const found = file.tensors.get(name)?.shape;
    if (!found || !tf.util.arraysEqual([...found], shape))
      throw new Error(
        `${path}: ${name} has the shape [${found ?? "none"}], and the model wants [${shape}]: it is another model's value head.`,
      );
    const values = await file.readFloat32(name);
    return tf.tidy(() => tf.variable(tf.tensor(values, shape)));
  };
  try {
    const weight = await read(valueHeadNames.weight, [1, hiddenSize]);
    const bias = await read(valueHeadNames.bias, [1]);
    const trunk = join(folder, trunkName);
    const hasTrunk = await stat(join(trunk, "config.json")).catch(() => undefined);
    const load = isT5(model) ? loadT5 : loadCausalLm;
    return valueHeadOf(weight, bias, hasTrunk ? ((await load(trunk)) as M) : undefined);
  } finally {
    await file.close();
  }
}
