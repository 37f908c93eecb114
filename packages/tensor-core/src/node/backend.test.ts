import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, expect, it, vi } from "vitest";
import { probeBackends, startBackend } from "./backend.ts";

afterEach(() => vi.unstubAllEnvs());

it("starts what it is told to, by option or environment", async () => {
  const warn = vi.spyOn(console, "warn");
  expect((await startBackend({ backend: "cpu" })).backend).toBe("cpu");
  expect(tf.getBackend()).toBe("cpu");
  tf.scalar(1).dispose();
  expect(warn).not.toHaveBeenCalled();
  vi.stubEnv("FDIV_BACKEND", "wasm");
  vi.stubEnv("FDIV_THREADS", "2");
  const report = await startBackend();
  expect(report).toMatchObject({ backend: "wasm", threads: 2 });
  expect(report.detail).toMatch(/2 threads/);
});

it("takes the best that works and says why better ones were passed over", async () => {
  vi.stubEnv("FDIV_BACKEND", "");
  const report = await startBackend({ threads: 1 });
  const order = ["tensorflow", "webgpu", "wasm", "cpu"];
  expect(order.indexOf(report.backend)).toBeLessThanOrEqual(order.indexOf("wasm"));
  for (const { reason } of report.passedOver) expect(reason).toMatch(/@tensorflow\/|@fdiv\/native/);
});

it("fails on a forced backend that can't start, saying what to install", async () => {
  const installed = (await probeBackends({ threads: 1 })).some(
    (probe) => probe.backend === "webgpu" && probe.works,
  );
  if (!installed)
    await expect(startBackend({ backend: "webgpu" })).rejects.toThrow(
      /npm i @tensorflow\/tfjs-backend-webgpu/,
    );
  await expect(startBackend({ backend: "cuda" })).rejects.toThrow(/no backend "cuda"/);
  await expect(startBackend({ backend: "wasm", threads: 0 })).rejects.toThrow(/no number of threads/);
});

it("probes every backend for the doctor", async () => {
  const probes = await probeBackends({ threads: 2 });
  expect(probes.map(({ package: name }) => name)).toContain("@tensorflow/tfjs-node-gpu");
  expect(probes.find(({ backend }) => backend === "wasm")).toMatchObject({ works: true });
  for (const probe of probes) expect(probe.remedy).toMatch(/^npm i |^npx @fdiv\/native install/);
});
