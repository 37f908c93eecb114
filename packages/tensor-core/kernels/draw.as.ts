import { slot } from "./gemm.as";
import { float, logSumExp } from "./rows.as";
import { exp4, log1, sum4 } from "./vector-math.as";

/** Numbers whose sum is made at once; the sums are added in order. */
const block = 256;

/** exp((x[i] − most)·inverse) */
// @ts-ignore: decorator
@inline
function weight(x: usize, i: i32, most: f32, inverse: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat((load<f32>(x + (<usize>i << 2)) - most) * inverse)), 0);
}

/** Σ exp((x − most)·inverse) of [from, to). */
function blockSum(x: usize, from: i32, to: i32, most: f32, inverse: f32): f64 {
  const shift = f32x4.splat(most);
  const scale = f32x4.splat(inverse);
  let sums = f32x4.splat(0);
  let i = from;
  for (; i + 4 <= to; i += 4)
    sums = f32x4.add(sums, exp4(f32x4.mul(f32x4.sub(v128.load(x + (<usize>i << 2)), shift), scale)));
  let sum = sum4(sums);
  for (; i < to; i++) sum += weight(x, i, most, inverse);
  return sum;
}

/** logits, uniforms, draws, scratch of each worker, its bytes, M, N, temperature: one row a task */
export function drawTokens(args: usize, row: i32, worker: i32): void {
  const n = slot(args, 6);
  const x = <usize>slot(args, 0) + (<usize>row * <usize>n << 2);
  const draw = <usize>slot(args, 2) + <usize>row * 12;
  const temperature = float(args, 7);
  let best = 0;
  let most = load<f32>(x);
  for (let i = 1; i < n; i++) {
    const value = load<f32>(x + (<usize>i << 2));
    if (value > most) {
      most = value;
      best = i;
    }
  }
  const policySum = logSumExp(x, n);
  let chosen = best;
  let logProb: f32 = 0;
  if (temperature > 0) {
    const inverse: f32 = 1 / temperature;
    const sums = <usize>slot(args, 3) + <usize>worker * <usize>slot(args, 4);
    const blocks = (n + block - 1) / block;
    let total: f64 = 0;
    for (let b = 0; b < blocks; b++) {
      const sum = blockSum(x, b * block, min(n, (b + 1) * block), most, inverse);
      store<f64>(sums + (<usize>b << 3), sum);
      total += sum;
    }
    const words = <usize>slot(args, 1) + (<usize>row << 3);
    const u = (<f64>load<u32>(words) * 4294967296.0 + <f64>load<u32>(words + 4)) / 9007199254740992.0;
    let rest = u * total;
    let b = 0;
    for (; b + 1 < blocks; b++) {
      const sum = load<f64>(sums + (<usize>b << 3));
      if (rest < sum) break;
      rest -= sum;
    }
    chosen = -1;
    for (let i = b * block; i < n; i++) {
      const w = weight(x, i, most, inverse);
      if (w == 0) continue;
      chosen = i;
      rest -= w;
      if (rest < 0) break;
    }
    // Rounding may leave a rest behind the last block's last possible token.
    for (let i = b * block - 1; chosen < 0 && i >= 0; i--) if (weight(x, i, most, inverse) > 0) chosen = i;
    if (chosen < 0) chosen = best;
    logProb = (load<f32>(x + (<usize>chosen << 2)) - most) * inverse - log1(<f32>total);
  }
  store<f32>(draw, <f32>chosen);
  store<f32>(draw, logProb, 4);
  store<f32>(draw, load<f32>(x + (<usize>chosen << 2)) - policySum, 8);
}
