export { type Activation, activate } from "./activation.ts";
export { type AdamWOptions, adamW, type Optimizer, type OptimizerState, type StepOptions } from "./adamw.ts";
export { add } from "./add.ts";
export { type AttentionOptions, attention } from "./attention.ts";
export { BackendError, type BackendReport } from "./backend-report.ts";
export { biasedAttention } from "./biased-attention.ts";
export { cacheWrite } from "./cache-write.ts";
export { type Clipping, clipByGlobalNorm, clipByGlobalNormAsync } from "./clip.ts";
export { type Conv2dOptions, conv2d, upsample2x } from "./conv2d.ts";

import "./conv2d-backprop-filter.ts";

export { crossEntropy } from "./cross-entropy.ts";
export {
  type Decoder,
  type DecoderLayer,
  type DecoderLinear,
  type DecoderTokens,
  decoderStep,
  decodesAsOne,
} from "./decoder-step.ts";
export { drawsTokens, drawTokens } from "./draw-tokens.ts";
export { dropout, dropoutMask } from "./dropout.ts";
export { dropoutAttention } from "./dropout-attention.ts";
export { embedding, gatherRows, segmentSum } from "./embedding.ts";
export { valueAndGradients } from "./gradients.ts";
export { groupNorm } from "./group-norm.ts";
export { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from "./half.ts";
export {
  computesWithHalfWeights,
  fitsHalfWeight,
  floatWeight,
  type HalfWeight,
  halfWeight,
  isHalfWeight,
  weightShape,
  widened,
} from "./half-weights.ts";
export * from "./kernel.ts";
export { layerNorm } from "./layer-norm.ts";
export { type LinearOptions, linear } from "./linear.ts";
export { logSoftmax } from "./log-softmax.ts";
export { type MatMulOptions, matMul } from "./mat-mul.ts";
export { log1mExp, log1p, logSigmoid, logSumExp, softplus } from "./numerics.ts";
export { type PackedDecoder, packDecoder } from "./packed-decoder.ts";
export { pairwiseDistance } from "./pairwise-distance.ts";
export {
  copyParameters,
  countParameters,
  disposeParameters,
  type NamePattern,
  type Parameters,
  parameterBytes,
  selectParameters,
  trainableParameters,
} from "./parameters.ts";
export { philox, type Random, type RandomState, random, restoreRandom } from "./random.ts";
export { recomputed } from "./recompute.ts";
export { reshape } from "./reshape.ts";
export { rmsNorm } from "./rms-norm.ts";
export { rotary } from "./rotary.ts";
export {
  encodeSafetensors,
  type ParsedSafetensors,
  parseSafetensors,
  type TensorData,
  type TensorToWrite,
} from "./safetensors.ts";
export { type SafetensorsDtype, type SafetensorsEntry, SafetensorsError } from "./safetensors-header.ts";
export { selectedLogProbs } from "./selected-log-probs.ts";
export { sinkhornGradKernel, sinkhornImplicitKernel } from "./sinkhorn-gradient.ts";
export { type SinkhornAttributes, sinkhornKernel } from "./sinkhorn-kernel.ts";
export { softmax } from "./softmax.ts";
export { type PortableBackend, type StartOptions, startBackend } from "./start-backend.ts";
export { swiglu } from "./swiglu.ts";
