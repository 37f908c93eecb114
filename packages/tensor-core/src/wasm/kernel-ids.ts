/** The module's kernels by number, in the order of `execute` in kernels/index.as.ts. */
export const kernelIds = {
  packPanel: 0,
  gemmRows: 1,
  gemmDots: 2,
  gemmColumns: 3,
  attention: 4,
  attentionGrad: 5,
  rmsNorm: 6,
  rmsNormGrad: 7,
  layerNorm: 8,
  layerNormGrad: 9,
  sumRowsPart: 10,
  sumParts: 11,
  pickLogProb: 12,
  pickLogProbGrad: 13,
  logSoftmax: 14,
  logSoftmaxGrad: 15,
  rotary: 16,
  gather: 17,
  scatterAdd: 18,
  cacheWrite: 19,
  activation: 20,
  activationGrad: 21,
  swiglu: 22,
  swigluGrad: 23,
  adamW: 24,
  squares: 25,
  sinkhorn: 26,
  sinkhornGrad: 27,
  sinkhornImplicit: 28,
  pairwiseDistance: 29,
  pairwiseL1Grad: 30,
} as const;

export type KernelName = keyof typeof kernelIds;

/** What the sources fix, and the callers must know. */
export const blocking = {
  rowBlock: 48,
  depth: 512,
  columnBlock: 64,
  span: 16384,
  rowSpan: 32,
  parts: 16,
  scatterSpan: 64,
  pairwiseRows: 16,
} as const;
