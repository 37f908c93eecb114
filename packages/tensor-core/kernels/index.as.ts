import { activation, activationGrad, addSpan, swiglu, swigluGrad } from "./activation.as";
import { attention, attentionGrad } from "./attention.as";
import { drawTokens } from "./draw.as";
import { gemmColumns, gemmDots, gemmRows, packPanel } from "./gemm.as";
import { widen } from "./half.as";
import { columnsImage, groupNorm, groupNormGrad, imageColumns } from "./images.as";
import { adamW, squares } from "./optimiser.as";
import { pairwiseDistance, pairwiseL1Grad } from "./pairwise.as";
import {
  cacheWrite,
  gather,
  layerNorm,
  layerNormGrad,
  logSoftmax,
  logSoftmaxGrad,
  pickLogProb,
  pickLogProbGrad,
  rmsNorm,
  rmsNormGrad,
  rotary,
  scatterAdd,
  sumParts,
  sumRowsPart,
} from "./rows.as";
import { sinkhorn } from "./sinkhorn.as";
import { sinkhornGrad } from "./sinkhorn-grad.as";
import { sinkhornImplicit } from "./sinkhorn-implicit.as";
import { winogradConvolve, winogradSums, winogradWeight, winogradWeightGrad } from "./winograd.as";

// The order of `kernelIds` in src/wasm/kernel-ids.ts.
function execute(kernel: i32, args: usize, task: i32, worker: i32): void {
  switch (kernel) {
    case 0: packPanel(args, task); break;
    case 1: gemmRows(args, task, worker); break;
    case 2: gemmDots(args, task); break;
    case 3: gemmColumns(args, task, worker); break;
    case 4: attention(args, task, worker); break;
    case 5: attentionGrad(args, task, worker); break;
    case 6: rmsNorm(args, task); break;
    case 7: rmsNormGrad(args, task); break;
    case 8: layerNorm(args, task); break;
    case 9: layerNormGrad(args, task); break;
    case 10: sumRowsPart(args, task); break;
    case 11: sumParts(args); break;
    case 12: pickLogProb(args, task); break;
    case 13: pickLogProbGrad(args, task); break;
    case 14: logSoftmax(args, task); break;
    case 15: logSoftmaxGrad(args, task); break;
    case 16: rotary(args, task); break;
    case 17: gather(args, task); break;
    case 18: scatterAdd(args, task); break;
    case 19: cacheWrite(args, task); break;
    case 20: activation(args, task); break;
    case 21: activationGrad(args, task); break;
    case 22: swiglu(args, task); break;
    case 23: swigluGrad(args, task); break;
    case 24: adamW(args, task); break;
    case 25: squares(args, task); break;
    case 26: sinkhorn(args, task, worker); break;
    case 27: sinkhornGrad(args, task, worker); break;
    case 28: sinkhornImplicit(args, task, worker); break;
    case 29: pairwiseDistance(args, task); break;
    case 30: pairwiseL1Grad(args, task); break;
    case 31: widen(args, task); break;
    case 32: drawTokens(args, task, worker); break;
    case 33: addSpan(args, task); break;
    case 34: imageColumns(args, task); break;
    case 35: columnsImage(args, task); break;
    case 36: groupNorm(args, task, worker); break;
    case 37: groupNormGrad(args, task, worker); break;
    case 38: winogradWeight(args, task); break;
    case 39: winogradConvolve(args, task, worker); break;
    case 40: winogradSums(args, task, worker); break;
    case 41: winogradWeightGrad(args, task); break;
  }
}

/** Every task in turn, on the calling thread. */
export function runAlone(kernel: i32, args: usize, tasks: i32): void {
  for (let task = 0; task < tasks; task++) execute(kernel, args, task, 0);
}

// How threads share a job. Its tasks are claimed by counting `remaining` down; whoever gets a positive number does that task, with a
// kernel and arguments that stay as they are until every claimed task is done. A worker that is late, or dead before it claimed, is never
// waited for.
//
// control: 0 signal, 4 remaining, 8 completed, 12 kernel, 16 args, 20 stop, 24 set when a worker ended within a task

export function workerLoop(control: usize, worker: i32): void {
  for (;;) {
    const seen = atomic.load<i32>(control);
    let claimed = atomic.sub<i32>(control + 4, 1);
    while (claimed > 0) {
      execute(atomic.load<i32>(control + 12), <usize>atomic.load<i32>(control + 16), claimed - 1, worker);
      atomic.add<i32>(control + 8, 1);
      claimed = atomic.sub<i32>(control + 4, 1);
    }
    let spins = 0;
    while (atomic.load<i32>(control) == seen && spins < 4000) spins++;
    if (spins == 4000) atomic.wait<i32>(control, seen, -1);
    if (atomic.load<i32>(control + 20) != 0) return;
  }
}

/** Every task, by the calling thread and whatever workers come; then as `awaitShared`. */
export function runShared(control: usize, kernel: i32, args: usize, tasks: i32): i32 {
  atomic.store<i32>(control + 8, 0);
  atomic.store<i32>(control + 12, kernel);
  atomic.store<i32>(control + 16, <i32>args);
  atomic.store<i32>(control + 4, tasks);
  atomic.add<i32>(control, 1);
  atomic.notify(control, -1);
  let claimed = atomic.sub<i32>(control + 4, 1);
  while (claimed > 0) {
    execute(kernel, args, claimed - 1, 0);
    atomic.add<i32>(control + 8, 1);
    claimed = atomic.sub<i32>(control + 4, 1);
  }
  return awaitShared(control, tasks);
}

/**
 * Waits for tasks that workers have claimed: 1 when all are done, 0 when a worker failed within one, 2 when neither is so after
 * some tens of milliseconds, since a worker that was killed says nothing and only the caller has a clock.
 */
export function awaitShared(control: usize, tasks: i32): i32 {
  for (let spins = 0; spins < 20_000_000; spins++) {
    if (atomic.load<i32>(control + 8) >= tasks) return 1;
    if (atomic.load<i32>(control + 24) != 0) return 0;
  }
  return 2;
}
