import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import {
  copyParameters,
  countParameters,
  disposeParameters,
  parameterBytes,
  selectParameters,
  trainableParameters,
} from "./parameters.ts";
import { assertAllClose, assertNoLeak, onEachBackend } from "./testing/index.ts";

function model() {
  const tied = tf.tidy(() => tf.variable(tf.ones([3, 2])));
  return new Map<string, tf.Tensor>([
    ["model.embed.weight", tied],
    ["lm_head.weight", tied],
    ["model.layers.0.bias", tf.zeros([2])],
    ["model.layers.10.bias", tf.tidy(() => tf.variable(tf.zeros([2])))],
    ["model.steps", tf.tensor1d([7], "int32")],
  ]);
}

it("selects by pattern, expression and test", () => {
  const all = model();
  const names = (pattern: Parameters<typeof selectParameters>[1]) => [
    ...selectParameters(all, pattern).keys(),
  ];
  expect(names("model.layers.*.bias")).toEqual(["model.layers.0.bias", "model.layers.10.bias"]);
  expect(names("lm_head.weight")).toEqual(["lm_head.weight"]);
  expect(names("lm_head")).toEqual([]);
  expect(names("lm_head?weight")).toEqual([]);
  expect(names(/weight$/g)).toEqual(["model.embed.weight", "lm_head.weight"]);
  expect(names((name) => name.includes("10"))).toEqual(["model.layers.10.bias"]);
  expect([...trainableParameters(all).keys()]).toEqual([
    "model.embed.weight",
    "lm_head.weight",
    "model.layers.10.bias",
  ]);
  disposeParameters(all);
});

it("counts a tied tensor once", () => {
  const all = model();
  expect(countParameters(all)).toBe(11);
  expect(parameterBytes(all)).toBe(44);
  disposeParameters(all);
});

it("copies into memory of its own, frozen, ties kept, also inside a tidy", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const all = model();
    let copy: ReturnType<typeof copyParameters> = new Map();
    tf.tidy(() => {
      copy = copyParameters(all);
    });
    const head = copy.get("lm_head.weight")!;
    expect(head).toBe(copy.get("model.embed.weight"));
    expect(head).not.toBeInstanceOf(tf.Variable);
    expect(head.dataId).not.toBe(all.get("lm_head.weight")!.dataId);
    assertAllClose(head, all.get("lm_head.weight")!);
    expect(copy.get("model.steps")!.dtype).toBe("int32");
    disposeParameters(all);
    disposeParameters(copy);
  }));

it("frees everything", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () =>
    assertNoLeak(() => {
      const all = model();
      disposeParameters(copyParameters(all));
      disposeParameters(all);
    }),
  ));
