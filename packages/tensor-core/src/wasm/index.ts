import * as tf from "@tensorflow/tfjs-core";
import { hasFastKernel, implementKernel } from "../kernel.ts";
import { attentionFits, attentionKernels } from "./attention.ts";
import { decoderFits, decoderKernels } from "./decoder.ts";
import { imageKernels } from "./images.ts";
import type { Implementations } from "./implementations.ts";
import { linearAlgebra } from "./linear-algebra.ts";
import { type KernelModule, openKernelModule, type StartHelpers, type WasmBackend } from "./module.ts";
import { rowKernels } from "./row-kernels.ts";
import { transportKernels } from "./transport.ts";
import { winogradFits, winogradKernels } from "./winograd.ts";

let current: KernelModule | undefined;

const implementations: Implementations = {
  ...linearAlgebra,
  ...attentionKernels,
  ...rowKernels,
  ...transportKernels,
  ...decoderKernels,
  ...imageKernels,
  ...winogradKernels,
};

/** What each kernel needs beyond what every tensor has; where it does not hold, its generic twin runs. */
const conditions: Record<string, (inputs: Record<string, tf.TensorInfo>, attributes: never) => boolean> = {
  FdivAttention: attentionFits,
  FdivAttentionGrad: attentionFits,
  FdivBiasedAttention: attentionFits,
  FdivBiasedAttentionGrad: attentionFits,
  FdivDecoderStep: decoderFits,
  ...winogradFits,
};

/**
 * Lets a clone share its original's memory, as it does on every other backend: this one copies, and so would whatever a gradient saves,
 * weights included.
 */
function shareClones(): void {
  const { kernelFunc: copy } = tf.getKernel(tf.Identity, "wasm");
  tf.unregisterKernel(tf.Identity, "wasm");
  tf.registerKernel({
    kernelName: tf.Identity,
    backendName: "wasm",
    kernelFunc: (call) => {
      const { dataId, shape, dtype } = call.inputs.x as tf.TensorInfo;
      if (dtype === "string") return copy(call);
      (call.backend as WasmBackend).incRef(dataId);
      return { dataId, shape, dtype };
    },
  });
}

/**
 * Gives the wasm backend the kernels of this package's own module, on the backend's memory.
 *
 * @param backend TensorFlow.js' wasm backend, started
 * @param startHelpers starts threads on that memory; without it, or where the memory is not shared, one thread does all
 * @throws when the backend's memory can't be reached; the generic kernels work all the same
 */
export function attachWasmKernels(backend: tf.KernelBackend, startHelpers?: StartHelpers): KernelModule {
  current = undefined;
  current = openKernelModule(backend as WasmBackend, startHelpers);
  if (!hasFastKernel("FdivMatMul", "wasm")) {
    shareClones();
    for (const [name, compute] of Object.entries(implementations))
      implementKernel(
        name,
        "wasm",
        (inputs, attributes) => compute(current!, inputs, attributes) ?? [],
        (inputs, attributes) => current !== undefined && (conditions[name]?.(inputs, attributes) ?? true),
      );
  }
  return current;
}

export type { Helpers, KernelModule, StartHelpers } from "./module.ts";
