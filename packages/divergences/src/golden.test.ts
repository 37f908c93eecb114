import "@tensorflow/tfjs";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { divergence } from "./index.ts";

const golden = JSON.parse(readFileSync(new URL("./golden/divergences.json", import.meta.url), "utf8")) as {
  logRatios: number[];
  valueScoreWeight: Record<string, [number, number, number][]>;
};
const parts = ["value", "score", "weight"] as const;
const names = Object.keys(golden.valueScoreWeight);

/** |computed − exact| / |exact|, and 0 where both are 0. */
function relativeError(computed: number, exact: number): number {
  return computed === exact ? 0 : Math.abs(computed - exact) / Math.abs(exact);
}

describe("against 50 digits, |l| ≤ 50", () => {
  it.each(names)("%s on numbers", (name) => {
    const d = divergence(name);
    for (const [at, part] of parts.entries()) {
      let worst = 0;
      for (const [i, l] of golden.logRatios.entries())
        worst = Math.max(worst, relativeError(d[part](l), golden.valueScoreWeight[name]![i]![at]!));
      expect(worst, `${part}`).toBeLessThan(3e-14);
    }
  });

  describe.each(["cpu", "wasm"])("on tensors, %s", (backend) => {
    beforeAll(async () => {
      if (backend === "wasm") await import("@tensorflow/tfjs-backend-wasm");
      await tf.setBackend(backend);
      await tf.ready();
    });

    it.each(names)("%s", (name) => {
      const d = divergence(name);
      const float = Float32Array.from(golden.logRatios);
      const l = tf.tensor1d(float);
      const saturated = d.saturated(l).dataSync();
      for (const [at, part] of parts.entries()) {
        const computed = d[part](l).dataSync();
        let worst = 0;
        for (const [i, exact] of golden.logRatios.entries()) {
          // What the argument's own rounding changes is no error of the function: a score of slope h moves by h·δ.
          const given = float[i]!;
          const drift = given === exact ? 1 : d[part](given) / golden.valueScoreWeight[name]![i]![at]! || 1;
          const expected = golden.valueScoreWeight[name]![i]![at]! * drift;
          // Below 10⁻³⁷ float32 has no normal numbers left.
          if (Math.abs(expected) < 1e-37) expect(Math.abs(computed[i]!)).toBeLessThan(1.1e-37);
          else if (saturated[i] || Math.abs(expected) > 1e15) expect(Number.isFinite(computed[i])).toBe(true);
          else worst = Math.max(worst, relativeError(computed[i]!, expected));
        }
        expect(worst, part).toBeLessThan(8e-6);
      }
    });
  });
});
