import fc from "fast-check";

// A change is judged by the same cases as the one before it; FDIV_SEED=N draws others.
fc.configureGlobal({ seed: Number(globalThis.process?.env?.FDIV_SEED ?? 230_916_240) });
