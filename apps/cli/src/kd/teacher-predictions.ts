import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { TaskItem } from "@fdiv/data";
import { writeDurably } from "@fdiv/trainer/node";
import type { KdModel, Prediction } from "./kd-model.ts";

const maxBytes = 1 << 28;

/** Predictions as they were written, or undefined where what is there is of another shape. */
function checked(text: string, count: number): Prediction[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value) || value.length !== count) return undefined;
    const isPrediction = (one: Prediction | null): boolean =>
      one !== null &&
      typeof one === "object" &&
      Array.isArray(one.probabilities) &&
      one.probabilities.every((p) => typeof p === "number" && p >= 0 && p <= 1) &&
      (one.score === undefined || typeof one.score === "number");
    return value.every(isPrediction) ? (value as Prediction[]) : undefined;
  } catch {
    return undefined;
  }
}

/** A frozen teacher's predictions, kept in the cache's folder where there is one, so that many students are compared with one computation. */
export async function teacherPredictions(
  model: KdModel,
  items: readonly TaskItem[],
  { folder, identity }: { folder?: string | undefined; identity: string },
): Promise<Prediction[]> {
  if (folder === undefined) return model.predict(items);
  const asked = items.map(({ fields, choices }) => [fields, choices ?? null]);
  const hash = createHash("sha256")
    .update(JSON.stringify([identity, model.maxPositions, asked]))
    .digest("hex");
  const file = join(folder, `predictions-${hash.slice(0, 32)}.json`);
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() && found.size <= maxBytes) {
    const known = checked(await readFile(file, "utf8"), items.length);
    if (known) return known;
  }
  const predictions = await model.predict(items);
  await writeDurably(file, JSON.stringify(predictions));
  return predictions;
}
