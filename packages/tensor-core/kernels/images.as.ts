import { activate4, putTail, slope4, tail } from "./activation.as";
import { slot } from "./gemm.as";
import { float, parts } from "./rows.as";

// Images [B, H, W, C]: their columns under a window, and their norm by groups of channels.

/** x, columns, H, W, C, kernel height, kernel width, stride, top, left, outH, outW; a task is a row of output. */
export function imageColumns(args: usize, task: i32): void {
  const height = slot(args, 2);
  const width = slot(args, 3);
  const pixel = <usize>slot(args, 4) << 2;
  const kernelHeight = slot(args, 5);
  const kernelWidth = slot(args, 6);
  const stride = slot(args, 7);
  const outHeight = slot(args, 10);
  const outWidth = slot(args, 11);
  const image = <usize>slot(args, 0) + <usize>(task / outHeight) * <usize>(height * width) * pixel;
  const top = (task % outHeight) * stride - slot(args, 8);
  const run = <usize>kernelWidth * pixel;
  let to = <usize>slot(args, 1) + <usize>task * <usize>(outWidth * kernelHeight) * run;
  for (let x = 0; x < outWidth; x++) {
    const left = x * stride - slot(args, 9);
    const from = max(0, -left);
    const end = min(kernelWidth, width - left);
    for (let ky = 0; ky < kernelHeight; ky++, to += run) {
      const y = top + ky;
      if (y < 0 || y >= height || end <= from) {
        memory.fill(to, 0, run);
        continue;
      }
      memory.fill(to, 0, <usize>from * pixel);
      const start = image + <usize>(y * width + left + from) * pixel;
      memory.copy(to + <usize>from * pixel, start, <usize>(end - from) * pixel);
      memory.fill(to + <usize>end * pixel, 0, <usize>(kernelWidth - end) * pixel);
    }
  }
}

// @ts-ignore: decorator
@inline
function addTo(from: usize, to: usize, bytes: usize): void {
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)));
  for (; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at));
}

/** columns, dx, and the rest as of `imageColumns`; a task is an image, to which its columns are added back. */
export function columnsImage(args: usize, task: i32): void {
  const height = slot(args, 2);
  const width = slot(args, 3);
  const pixel = <usize>slot(args, 4) << 2;
  const kernelHeight = slot(args, 5);
  const kernelWidth = slot(args, 6);
  const stride = slot(args, 7);
  const outHeight = slot(args, 10);
  const outWidth = slot(args, 11);
  const run = <usize>kernelWidth * pixel;
  const size = <usize>(height * width) * pixel;
  const image = <usize>slot(args, 1) + <usize>task * size;
  memory.fill(image, 0, size);
  let at = <usize>slot(args, 0) + <usize>task * <usize>(outHeight * outWidth * kernelHeight) * run;
  for (let oy = 0; oy < outHeight; oy++)
    for (let x = 0; x < outWidth; x++) {
      const left = x * stride - slot(args, 9);
      const from = max(0, -left);
      const end = min(kernelWidth, width - left);
      for (let ky = 0; ky < kernelHeight; ky++, at += run) {
        const y = oy * stride - slot(args, 8) + ky;
        if (y < 0 || y >= height || end <= from) continue;
        addTo(at + <usize>from * pixel, image + <usize>(y * width + left + from) * pixel, <usize>(end - from) * pixel);
      }
    }
}

/** Σ a and Σ a·b of each channel over an image's pixels, as doubles: in single precision they would cancel. */
function channelSums(a: usize, b: usize, pixels: i32, channels: i32, sums: usize, products: usize): void {
  const step = <usize>channels << 2;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let lowProduct = f64x2.splat(0);
    let highProduct = f64x2.splat(0);
    let at = <usize>c << 2;
    for (let p = 0; p < pixels; p++, at += step) {
      const x = v128.load(a + at);
      const y = v128.load(b + at);
      const x0 = f64x2.promote_low_f32x4(x);
      const x1 = f64x2.promote_low_f32x4(i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
      const y0 = f64x2.promote_low_f32x4(y);
      const y1 = f64x2.promote_low_f32x4(i8x16.shuffle(y, y, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
      low = f64x2.add(low, x0);
      high = f64x2.add(high, x1);
      lowProduct = f64x2.add(lowProduct, f64x2.mul(x0, y0));
      highProduct = f64x2.add(highProduct, f64x2.mul(x1, y1));
    }
    const to = <usize>c << 3;
    v128.store(sums + to, low);
    v128.store(sums + to + 16, high);
    v128.store(products + to, lowProduct);
    v128.store(products + to + 16, highProduct);
  }
  for (; c < channels; c++) {
    let sum: f64 = 0;
    let product: f64 = 0;
    let at = <usize>c << 2;
    for (let p = 0; p < pixels; p++, at += step) {
      const x = <f64>load<f32>(a + at);
      sum += x;
      product += x * <f64>load<f32>(b + at);
    }
    store<f64>(sums + (<usize>c << 3), sum);
    store<f64>(products + (<usize>c << 3), product);
  }
}

/** f(x·scale + shift) of a vector of channels. */
// @ts-ignore: decorator
@inline
function scaled4(x: v128, scale: v128, shift: v128, kind: i32): v128 {
  const y = f32x4.add(f32x4.mul(x, scale), shift);
  return kind == 0 ? y : activate4(y, kind);
}

/**
 * x, weight, bias, y, mean, inverseStd, pixels, C, groups, epsilon, scratch of 24·C bytes a worker, activation, bytes from one example's
 * weights to the next's, 0 where they share one; a task is an image.
 */
export function groupNorm(args: usize, task: i32, worker: i32): void {
  const pixels = slot(args, 6);
  const channels = slot(args, 7);
  const groups = slot(args, 8);
  const wide = channels / groups;
  const step = <usize>channels << 2;
  const x = <usize>slot(args, 0) + <usize>task * <usize>pixels * step;
  const y = <usize>slot(args, 3) + <usize>task * <usize>pixels * step;
  const sums = <usize>slot(args, 10) + <usize>worker * 6 * step;
  const kind = slot(args, 11);
  const own = <usize>task * <usize>slot(args, 12);
  const weight = <usize>slot(args, 1) + own;
  const bias = <usize>slot(args, 2) + own;
  const squares = sums + 2 * step;
  const scale = squares + 2 * step;
  const shift = scale + step;
  channelSums(x, x, pixels, channels, sums, squares);
  const count = <f64>pixels * <f64>wide;
  for (let g = 0; g < groups; g++) {
    let sum: f64 = 0;
    let square: f64 = 0;
    for (let c = g * wide; c < (g + 1) * wide; c++) {
      sum += load<f64>(sums + (<usize>c << 3));
      square += load<f64>(squares + (<usize>c << 3));
    }
    const mean = sum / count;
    const r = 1 / Math.sqrt(Math.max(0, square / count - mean * mean) + <f64>float(args, 9));
    const at = <usize>(task * groups + g) << 2;
    store<f32>(<usize>slot(args, 4) + at, <f32>mean);
    store<f32>(<usize>slot(args, 5) + at, <f32>r);
    for (let c = g * wide; c < (g + 1) * wide; c++) {
      const place = <usize>c << 2;
      const factor = r * <f64>load<f32>(weight + place);
      store<f32>(scale + place, <f32>factor);
      store<f32>(shift + place, <f32>(<f64>load<f32>(bias + place) - mean * factor));
    }
  }
  for (let p = 0; p < pixels; p++) {
    const row = <usize>p * step;
    let at: usize = 0;
    for (; at + 16 <= step; at += 16)
      v128.store(y + row + at, scaled4(v128.load(x + row + at), v128.load(scale + at), v128.load(shift + at), kind));
    if (at < step) {
      const count = <i32>((step - at) >> 2);
      putTail(y + row + at, scaled4(tail(x + row + at, count), tail(scale + at, count), tail(shift + at, count), kind), count);
    }
  }
}

/** dx = dy·f′(x·scale + shift) of an image. */
function throughActivation(dy: usize, x: usize, scale: usize, shift: usize, pixels: i32, step: usize, kind: i32, dx: usize): void {
  for (let p = 0; p < pixels; p++, dy += step, x += step, dx += step) {
    let at: usize = 0;
    for (; at + 16 <= step; at += 16) {
      const before = scaled4(v128.load(x + at), v128.load(scale + at), v128.load(shift + at), 0);
      v128.store(dx + at, f32x4.mul(v128.load(dy + at), slope4(before, kind)));
    }
    if (at < step) {
      const count = <i32>((step - at) >> 2);
      const before = scaled4(tail(x + at, count), tail(scale + at, count), tail(shift + at, count), 0);
      putTail(dx + at, f32x4.mul(tail(dy + at, count), slope4(before, kind)), count);
    }
  }
}

/**
 * dy, x, weight, mean, inverseStd, dx, dweight, dbias, B, pixels, C, groups, scratch of 28·C bytes a worker, bias, activation, bytes from one
 * example's weights to the next's; a task is a part of the images. dweight and dbias are of parts [parts, C], or where examples have weights of
 * their own [B, C].
 */
export function groupNormGrad(args: usize, task: i32, worker: i32): void {
  const batch = slot(args, 8);
  const pixels = slot(args, 9);
  const channels = slot(args, 10);
  const groups = slot(args, 11);
  const wide = channels / groups;
  const step = <usize>channels << 2;
  const sums = <usize>slot(args, 12) + <usize>worker * 7 * step;
  const products = sums + 2 * step;
  const ofDy = products + 2 * step;
  const ofX = ofDy + step;
  const constant = ofX + step;
  const kind = slot(args, 14);
  const ownStep = <usize>slot(args, 15);
  let dweight = <usize>slot(args, 6) + <usize>task * step;
  let dbias = <usize>slot(args, 7) + <usize>task * step;
  if (!ownStep) {
    memory.fill(dweight, 0, step);
    memory.fill(dbias, 0, step);
  }
  const end = <i32>((<i64>(task + 1) * batch) / parts);
  const count = <f64>pixels * <f64>wide;
  for (let b = <i32>((<i64>task * batch) / parts); b < end; b++) {
    const first = <usize>b * <usize>pixels * step;
    const own = <usize>slot(args, 2) + <usize>b * ownStep;
    const ownBias = <usize>slot(args, 13) + <usize>b * ownStep;
    let dy = <usize>slot(args, 0) + first;
    const x = <usize>slot(args, 1) + first;
    const dx = <usize>slot(args, 5) + first;
    if (ownStep) {
      dweight = <usize>slot(args, 6) + <usize>b * step;
      dbias = <usize>slot(args, 7) + <usize>b * step;
      memory.fill(dweight, 0, step);
      memory.fill(dbias, 0, step);
    }
    if (kind != 0) {
      for (let c = 0; c < channels; c++) {
        const place = <usize>c << 2;
        const at = <usize>(b * groups + c / wide) << 2;
        const factor = load<f32>(<usize>slot(args, 4) + at) * load<f32>(own + place);
        store<f32>(ofDy + place, factor);
        store<f32>(ofX + place, load<f32>(ownBias + place) - load<f32>(<usize>slot(args, 3) + at) * factor);
      }
      throughActivation(dy, x, ofDy, ofX, pixels, step, kind, dx);
      dy = dx;
    }
    channelSums(dy, x, pixels, channels, sums, products);
    for (let g = 0; g < groups; g++) {
      const at = <usize>(b * groups + g) << 2;
      const mean = <f64>load<f32>(<usize>slot(args, 3) + at);
      const r = <f64>load<f32>(<usize>slot(args, 4) + at);
      // The group's means of weight·dy and of weight·dy·(x − mean)·r.
      let level: f64 = 0;
      let slope: f64 = 0;
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        const place = <usize>c << 2;
        const sum = load<f64>(sums + (<usize>c << 3));
        const normal = r * (load<f64>(products + (<usize>c << 3)) - mean * sum);
        const weight = <f64>load<f32>(own + place);
        store<f32>(dbias + place, load<f32>(dbias + place) + <f32>sum);
        store<f32>(dweight + place, load<f32>(dweight + place) + <f32>normal);
        level += weight * sum;
        slope += weight * normal;
      }
      level /= count;
      slope /= count;
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        const place = <usize>c << 2;
        store<f32>(ofDy + place, <f32>(r * <f64>load<f32>(own + place)));
        store<f32>(ofX + place, <f32>(-r * r * slope));
        store<f32>(constant + place, <f32>(r * r * mean * slope - r * level));
      }
    }
    for (let p = 0; p < pixels; p++) {
      const row = <usize>p * step;
      let at: usize = 0;
      for (; at + 16 <= step; at += 16) {
        const a = f32x4.mul(v128.load(dy + row + at), v128.load(ofDy + at));
        const c = f32x4.mul(v128.load(x + row + at), v128.load(ofX + at));
        v128.store(dx + row + at, f32x4.add(f32x4.add(a, c), v128.load(constant + at)));
      }
      for (; at < step; at += 4) {
        const a = load<f32>(dy + row + at) * load<f32>(ofDy + at);
        store<f32>(dx + row + at, a + load<f32>(x + row + at) * load<f32>(ofX + at) + load<f32>(constant + at));
      }
    }
  }
}
