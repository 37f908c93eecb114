import { createHash } from "node:crypto";
import { join } from "node:path";
import type { TokenPair } from "@fdiv/data";
import { openReferenceCache } from "@fdiv/dpo/node";
import { type CausalLm, disposeModel, sequenceLogProbs, withoutAdapter } from "@fdiv/models";
import { cacheFolder, loadCausalLm } from "@fdiv/models/node";
import { microBatches } from "@fdiv/trainer";
import * as tf from "@tensorflow/tfjs-core";
import type { DpoConfig } from "../config/schemas.ts";
import type { Session } from "../session.ts";
import { hubProgress } from "./open-model.ts";
import { pairLength, pairRows, type ReferredPair } from "./pair-batch.ts";

/** SHA-256 over every parameter's name, shape and values: two models with one fingerprint give the same log-probabilities. */
export async function modelFingerprint(model: Pick<CausalLm, "parameters">): Promise<string> {
  const hash = createHash("sha256");
  for (const name of [...model.parameters.keys()].sort()) {
    const tensor = model.parameters.get(name)!;
    const values = (await tensor.data()) as Float32Array;
    hash.update(`${name}[${tensor.shape}]`);
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest("hex");
}

/**
 * The reference's log-probabilities of both sides of every pair: from the disk cache where it has them, computed by the model as it was
 * loaded (an adapter switched off), or by another one, where not. So no second model is in memory while the policy trains.
 */
export async function referPairs(
  pairs: readonly TokenPair[],
  model: CausalLm,
  config: Pick<DpoConfig, "reference" | "cache" | "microBatchTokens" | "sharePrompt" | "storage">,
  session: Session,
): Promise<{ pairs: ReferredPair[]; fingerprint: string }> {
  const other = config.reference
    ? await loadCausalLm(config.reference, {
        trainable: false,
        storage: config.storage,
        hub: hubProgress(session),
      })
    : undefined;
  const reference = other ?? model;
  try {
    const fingerprint = await modelFingerprint(reference);
    const folder = config.cache ?? join(cacheFolder(), "reference-log-probs");
    const cache = await openReferenceCache(
      folder,
      { model: fingerprint, backend: session.backend.backend },
      session.warn,
    );
    const sequences = pairs.flatMap(({ prompt, chosen, rejected }) =>
      [chosen, rejected].map((side) => ({ ids: [...prompt, ...side], scoredFrom: prompt.length })),
    );
    const logProbs = await cache.logProbs(sequences, (missing) => {
      const wanted = [...new Set(missing.map((i) => i >> 1))];
      session.say(`reference log-probabilities of ${wanted.length} pairs`);
      const found = scorePairs(
        reference,
        wanted.map((i) => pairs[i]!),
        config,
        session,
      );
      const at = new Map(wanted.map((pair, i) => [pair, i]));
      return missing.map((i) => found[2 * at.get(i >> 1)! + (i & 1)]!);
    });
    if (cache.counts.hits > 0)
      session.say(`reference log-probabilities: ${cache.counts.hits} of ${sequences.length} from ${folder}`);
    const referred = pairs.map((pair, i) => ({
      ...pair,
      reference: { chosen: logProbs[2 * i]!, rejected: logProbs[2 * i + 1]! },
    }));
    return { pairs: referred, fingerprint };
  } finally {
    if (other) disposeModel(other);
  }
}

/** Log-probabilities of chosen and rejected in turn, without a gradient. */
function scorePairs(
  model: CausalLm,
  pairs: readonly TokenPair[],
  { microBatchTokens, sharePrompt }: Pick<DpoConfig, "microBatchTokens" | "sharePrompt">,
  session: Session,
): Float32Array {
  const all = new Float32Array(2 * pairs.length);
  const indices = [...pairs.keys()];
  let done = 0;
  let told = Date.now();
  for (const group of microBatches(indices, (i) => pairLength(pairs[i]!, sharePrompt), microBatchTokens)) {
    const rows = pairRows(
      group.map((i) => pairs[i]!),
      sharePrompt,
    );
    const score = (): tf.Tensor1D => tf.tidy(() => sequenceLogProbs(model, rows));
    const scores = model.lora ? withoutAdapter(model, score) : score();
    const values = scores.dataSync();
    scores.dispose();
    group.forEach((i, at) => {
      all[2 * i] = values[2 * at]!;
      all[2 * i + 1] = values[2 * at + 1]!;
    });
    done += group.length;
    if (Date.now() - told > 10_000) {
      told = Date.now();
      session.say(`  ${done} of ${pairs.length}`);
    }
  }
  return all;
}
