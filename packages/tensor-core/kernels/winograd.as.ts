import { slot } from "./gemm.as";
import { parts } from "./rows.as";
import { tile } from "./tile.as";

// Convolutions of 3 × 3 taps and stride 1 by Winograd's F(2 × 2, 3 × 3) (Lavin and Gray, https://arxiv.org/abs/1509.09308, section 4.1):
// Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A of patches d of 4 × 4 pixels and outputs Y of 2 × 2; summed over channels, each of a patch's 16 places is a
// matrix product of its own. The weight's gradient is Gᵀ[Σ (Bᵀ d B) ⊙ (A dY Aᵀ)]G. Channels and outputs are multiples of four.

/** Patches that are worked on together, a multiple of a tile's six rows. */
export const patchBlock = 24;
const places: usize = 16;

// Arguments of the patches, alike in all kernels over them.
const IMAGES = 0;
const PATCHES = 1; // of all images, one behind the other
const HEIGHT = 2;
const WIDTH = 3;
const CHANNELS = 4;
const TOP = 5; // zeros before the first row; fewer than none crop
const LEFT = 6;
const OUT_HEIGHT = 7;
const OUT_WIDTH = 8;
const OUTPUTS = 9;
const SCRATCH = 10;
const SCRATCH_BYTES = 11;
const REST = 12;

// @ts-ignore: decorator
@inline
function rounded(n: i32, to: i32): i32 {
  return ((n + to - 1) / to) * to;
}

/** Where the 16 pixels of a patch lie, or zeros where the image is not: 16 addresses. */
function findPixels(args: usize, patch: i32, zeros: usize, to: usize): void {
  const height = slot(args, HEIGHT);
  const width = slot(args, WIDTH);
  const wide = (slot(args, OUT_WIDTH) + 1) >> 1;
  const each = wide * ((slot(args, OUT_HEIGHT) + 1) >> 1);
  const place = patch % each;
  const pixel = <usize>slot(args, CHANNELS) << 2;
  const image = <usize>slot(args, IMAGES) + <usize>(patch / each) * <usize>(height * width) * pixel;
  const top = 2 * (place / wide) - slot(args, TOP);
  const left = 2 * (place % wide) - slot(args, LEFT);
  for (let y = top; y < top + 4; y++)
    for (let x = left; x < left + 4; x++, to += 4) {
      const inside = y >= 0 && y < height && x >= 0 && x < width;
      store<usize>(to, inside ? image + <usize>(y * width + x) * pixel : zeros);
    }
}

// @ts-ignore: decorator
@inline
function putLanes(to: usize, value: v128, lane0: usize, lane1: usize, lane2: usize, lane3: usize): void {
  v128.store32_lane(to + lane0, value, 0);
  v128.store32_lane(to + lane1, value, 1);
  v128.store32_lane(to + lane2, value, 2);
  v128.store32_lane(to + lane3, value, 3);
}

// @ts-ignore: decorator
@inline
function putRow(
  h0: v128, h1: v128, h2: v128, h3: v128, to: usize, plane: usize, lane0: usize, lane1: usize, lane2: usize, lane3: usize,
): void {
  putLanes(to, f32x4.sub(h0, h2), lane0, lane1, lane2, lane3);
  putLanes(to + plane, f32x4.add(h1, h2), lane0, lane1, lane2, lane3);
  putLanes(to + 2 * plane, f32x4.sub(h2, h1), lane0, lane1, lane2, lane3);
  putLanes(to + 3 * plane, f32x4.sub(h1, h3), lane0, lane1, lane2, lane3);
}

/** Bᵀ d B of four channels `at` bytes into their pixels, to 16 planes, each channel to a place of its own. */
function transformPatch(pixels: usize, at: usize, to: usize, plane: usize, lane0: usize, lane1: usize, lane2: usize, lane3: usize): void {
  let a = v128.load(load<usize>(pixels) + at);
  let b = v128.load(load<usize>(pixels, 16) + at);
  let c = v128.load(load<usize>(pixels, 32) + at);
  let d = v128.load(load<usize>(pixels, 48) + at);
  const h00 = f32x4.sub(a, c);
  const h10 = f32x4.add(b, c);
  const h20 = f32x4.sub(c, b);
  const h30 = f32x4.sub(b, d);
  a = v128.load(load<usize>(pixels, 4) + at);
  b = v128.load(load<usize>(pixels, 20) + at);
  c = v128.load(load<usize>(pixels, 36) + at);
  d = v128.load(load<usize>(pixels, 52) + at);
  const h01 = f32x4.sub(a, c);
  const h11 = f32x4.add(b, c);
  const h21 = f32x4.sub(c, b);
  const h31 = f32x4.sub(b, d);
  a = v128.load(load<usize>(pixels, 8) + at);
  b = v128.load(load<usize>(pixels, 24) + at);
  c = v128.load(load<usize>(pixels, 40) + at);
  d = v128.load(load<usize>(pixels, 56) + at);
  const h02 = f32x4.sub(a, c);
  const h12 = f32x4.add(b, c);
  const h22 = f32x4.sub(c, b);
  const h32 = f32x4.sub(b, d);
  a = v128.load(load<usize>(pixels, 12) + at);
  b = v128.load(load<usize>(pixels, 28) + at);
  c = v128.load(load<usize>(pixels, 44) + at);
  d = v128.load(load<usize>(pixels, 60) + at);
  putRow(h00, h01, h02, f32x4.sub(a, c), to, plane, lane0, lane1, lane2, lane3);
  putRow(h10, h11, h12, f32x4.add(b, c), to + 4 * plane, plane, lane0, lane1, lane2, lane3);
  putRow(h20, h21, h22, f32x4.sub(c, b), to + 8 * plane, plane, lane0, lane1, lane2, lane3);
  putRow(h30, h31, h32, f32x4.sub(b, d), to + 12 * plane, plane, lane0, lane1, lane2, lane3);
}

/** A tap of four outputs `step` bytes apart, of which `count` are there. */
// @ts-ignore: decorator
@inline
function tapOf(from: usize, step: usize, count: i32): v128 {
  let taps = v128.load32_zero(from);
  if (count > 1) taps = v128.load32_lane(from + step, taps, 1);
  if (count > 2) taps = v128.load32_lane(from + 2 * step, taps, 2);
  if (count > 3) taps = v128.load32_lane(from + 3 * step, taps, 3);
  return taps;
}

/** A row of G g Gᵀ from a row of G g: g0, (g0 + g1 + g2)/2, (g0 − g1 + g2)/2, g2. */
// @ts-ignore: decorator
@inline
function putTaps(g0: v128, g1: v128, g2: v128, to: usize, plane: usize): void {
  const half = f32x4.splat(0.5);
  const sum = f32x4.add(g0, g2);
  v128.store(to, g0);
  v128.store(to + plane, f32x4.mul(half, f32x4.add(sum, g1)));
  v128.store(to + 2 * plane, f32x4.mul(half, f32x4.sub(sum, g1)));
  v128.store(to + 3 * plane, g2);
}

/**
 * weight, U, C, outputs, numbers from one channel to the next, from one output to the next, whether taps are turned round; a task is eight
 * outputs: U = G g Gᵀ, [places, panels, C, 8], filled up with zeros.
 */
export function winogradWeight(args: usize, task: i32): void {
  const weight = <usize>slot(args, 0);
  const channels = slot(args, 2);
  const outputs = slot(args, 3);
  const channelBytes = <usize>slot(args, 4) << 2;
  const outputBytes = <usize>slot(args, 5) << 2;
  const turned = slot(args, 6) != 0;
  const plane = <usize>(rounded(outputs, 8) * channels) << 2;
  const half = f32x4.splat(0.5);
  // From one tap to the next, and to the one below.
  const next: isize = turned ? -4 : 4;
  for (let c = 0; c < channels; c++)
    for (let j = 0; j < 8; j += 4) {
      const to = <usize>slot(args, 1) + (<usize>((task * channels + c) * 8 + j) << 2);
      const count = outputs - task * 8 - j;
      if (count <= 0) {
        for (let place: usize = 0; place < places; place++) v128.store(to + place * plane, f32x4.splat(0));
        continue;
      }
      const from = weight + <usize>c * channelBytes + <usize>(task * 8 + j) * outputBytes + (turned ? 32 : 0);
      const g00 = tapOf(from, outputBytes, count);
      const g01 = tapOf(from + next, outputBytes, count);
      const g02 = tapOf(from + 2 * next, outputBytes, count);
      const g10 = tapOf(from + 3 * next, outputBytes, count);
      const g11 = tapOf(from + 4 * next, outputBytes, count);
      const g12 = tapOf(from + 5 * next, outputBytes, count);
      const g20 = tapOf(from + 6 * next, outputBytes, count);
      const g21 = tapOf(from + 7 * next, outputBytes, count);
      const g22 = tapOf(from + 8 * next, outputBytes, count);
      const s0 = f32x4.add(g00, g20);
      const s1 = f32x4.add(g01, g21);
      const s2 = f32x4.add(g02, g22);
      putTaps(g00, g01, g02, to, plane);
      putTaps(
        f32x4.mul(half, f32x4.add(s0, g10)), f32x4.mul(half, f32x4.add(s1, g11)), f32x4.mul(half, f32x4.add(s2, g12)),
        to + 4 * plane, plane,
      );
      putTaps(
        f32x4.mul(half, f32x4.sub(s0, g10)), f32x4.mul(half, f32x4.sub(s1, g11)), f32x4.mul(half, f32x4.sub(s2, g12)),
        to + 8 * plane, plane,
      );
      putTaps(g20, g21, g22, to + 12 * plane, plane);
    }
}

/** Aᵀ m A of four outputs, and the bias, to the pixels of a patch that are there. */
function transformBack(from: usize, plane: usize, bias: v128, to: usize, pixel: usize, line: usize, isWide: bool, isHigh: bool): void {
  let a = v128.load(from);
  let b = v128.load(from + 4 * plane);
  let c = v128.load(from + 8 * plane);
  let d = v128.load(from + 12 * plane);
  const h00 = f32x4.add(f32x4.add(a, b), c);
  const h10 = f32x4.sub(f32x4.sub(b, c), d);
  from += plane;
  a = v128.load(from);
  b = v128.load(from + 4 * plane);
  c = v128.load(from + 8 * plane);
  d = v128.load(from + 12 * plane);
  const h01 = f32x4.add(f32x4.add(a, b), c);
  const h11 = f32x4.sub(f32x4.sub(b, c), d);
  from += plane;
  a = v128.load(from);
  b = v128.load(from + 4 * plane);
  c = v128.load(from + 8 * plane);
  d = v128.load(from + 12 * plane);
  const h02 = f32x4.add(f32x4.add(a, b), c);
  const h12 = f32x4.sub(f32x4.sub(b, c), d);
  from += plane;
  a = v128.load(from);
  b = v128.load(from + 4 * plane);
  c = v128.load(from + 8 * plane);
  d = v128.load(from + 12 * plane);
  const h03 = f32x4.add(f32x4.add(a, b), c);
  const h13 = f32x4.sub(f32x4.sub(b, c), d);
  v128.store(to, f32x4.add(f32x4.add(f32x4.add(h00, h01), h02), bias));
  if (isWide) v128.store(to + pixel, f32x4.add(f32x4.sub(f32x4.sub(h01, h02), h03), bias));
  if (!isHigh) return;
  v128.store(to + line, f32x4.add(f32x4.add(f32x4.add(h10, h11), h12), bias));
  if (isWide) v128.store(to + line + pixel, f32x4.add(f32x4.sub(f32x4.sub(h11, h12), h13), bias));
}

/** Then U, bias or 0, y; a task is `patchBlock` patches. Scratch of a worker: 16 addresses, C zeros, patches [places, C, block] in panels of six, products [places, block, 8·panels]. */
export function winogradConvolve(args: usize, task: i32, worker: i32): void {
  const channels = slot(args, CHANNELS);
  const outputs = slot(args, OUTPUTS);
  const outHeight = slot(args, OUT_HEIGHT);
  const outWidth = slot(args, OUT_WIDTH);
  const weight = <usize>slot(args, REST);
  const bias = <usize>slot(args, REST + 1);
  const y = <usize>slot(args, REST + 2);
  const first = task * patchBlock;
  const count = min(patchBlock, slot(args, PATCHES) - first);
  const columns = rounded(outputs, 8);
  const pixels = <usize>slot(args, SCRATCH) + <usize>worker * <usize>slot(args, SCRATCH_BYTES);
  const zeros = pixels + 64;
  const patches = zeros + (<usize>channels << 2);
  const plane = <usize>(patchBlock * channels) << 2;
  const products = patches + places * plane;
  const productPlane = <usize>(patchBlock * columns) << 2;
  memory.fill(zeros, 0, <usize>channels << 2);
  for (let i = 0; i < count; i++) {
    findPixels(args, first + i, zeros, pixels);
    let to = patches + <usize>(i / 6) * <usize>channels * 24 + (<usize>(i % 6) << 2);
    for (let at: usize = 0; at < <usize>channels << 2; at += 16, to += 96) transformPatch(pixels, at, to, plane, 0, 24, 48, 72);
  }
  for (let place: usize = 0; place < places; place++)
    for (let j = 0; j < columns; j += 8) {
      const b = weight + (place * <usize>columns + <usize>j) * <usize>channels * 4;
      for (let i = 0; i < count; i += 6)
        tile(
          patches + place * plane + <usize>i * <usize>channels * 4, b, 32,
          products + place * productPlane + (<usize>(i * columns + j) << 2), <usize>columns << 2, channels, false,
        );
    }
  const wide = (outWidth + 1) >> 1;
  const high = (outHeight + 1) >> 1;
  const pixel = <usize>outputs << 2;
  for (let i = 0; i < count; i++) {
    const patch = first + i;
    const row = 2 * ((patch % (wide * high)) / wide);
    const column = 2 * (patch % wide);
    const to = y + <usize>((patch / (wide * high)) * outHeight * outWidth + row * outWidth + column) * pixel;
    const from = products + (<usize>(i * columns) << 2);
    for (let at: usize = 0; at < pixel; at += 16)
      transformBack(
        from + at, productPlane, bias ? v128.load(bias + at) : f32x4.splat(0), to + at, pixel, <usize>outWidth * pixel,
        column + 1 < outWidth, row + 1 < outHeight,
      );
  }
}

/** A dY Aᵀ of four outputs of a patch, pixels that are not there being zeros, to 16 planes. */
function transformSlope(from: usize, pixel: usize, line: usize, isWide: bool, isHigh: bool, to: usize, plane: usize): void {
  const none = f32x4.splat(0);
  const d00 = v128.load(from);
  const d01 = isWide ? v128.load(from + pixel) : none;
  const d10 = isHigh ? v128.load(from + line) : none;
  const d11 = isWide && isHigh ? v128.load(from + line + pixel) : none;
  putSlopes(d00, d01, to, plane);
  putSlopes(f32x4.add(d00, d10), f32x4.add(d01, d11), to + 4 * plane, plane);
  putSlopes(f32x4.sub(d00, d10), f32x4.sub(d01, d11), to + 8 * plane, plane);
  putSlopes(f32x4.neg(d10), f32x4.neg(d11), to + 12 * plane, plane);
}

// @ts-ignore: decorator
@inline
function putSlopes(a: v128, b: v128, to: usize, plane: usize): void {
  v128.store(to, a);
  v128.store(to + plane, f32x4.add(a, b));
  v128.store(to + 2 * plane, f32x4.sub(a, b));
  v128.store(to + 3 * plane, f32x4.neg(b));
}

// @ts-ignore: decorator
@inline
function laneOf(channel: i32, panelBytes: usize): usize {
  return <usize>(channel / 6) * panelBytes + (<usize>(channel % 6) << 2);
}

/** Then dy, partial sums [parts, places, C to sixes, outputs to eights]; a task is a part of the patches. Scratch of a worker: as above, and dy's patches [places, 8·panels, block]. */
export function winogradSums(args: usize, task: i32, worker: i32): void {
  const channels = slot(args, CHANNELS);
  const outputs = slot(args, OUTPUTS);
  const outHeight = slot(args, OUT_HEIGHT);
  const outWidth = slot(args, OUT_WIDTH);
  const dy = <usize>slot(args, REST);
  const rows = rounded(channels, 6);
  const columns = rounded(outputs, 8);
  const sumPlane = <usize>(rows * columns) << 2;
  const sums = <usize>slot(args, REST + 1) + <usize>task * places * sumPlane;
  const pixels = <usize>slot(args, SCRATCH) + <usize>worker * <usize>slot(args, SCRATCH_BYTES);
  const zeros = pixels + 64;
  const patches = zeros + (<usize>channels << 2);
  const plane = <usize>(patchBlock * rows) << 2;
  const slopes = patches + places * plane;
  const slopePlane = <usize>(patchBlock * columns) << 2;
  // What fills up sixes and eights is multiplied too.
  memory.fill(zeros, 0, (<usize>channels << 2) + places * (plane + slopePlane));
  memory.fill(sums, 0, places * sumPlane);
  const wide = (outWidth + 1) >> 1;
  const each = wide * ((outHeight + 1) >> 1);
  const pixel = <usize>outputs << 2;
  const panelBytes: usize = patchBlock * 24;
  const end = <i32>((<i64>(task + 1) * slot(args, PATCHES)) / parts);
  for (let first = <i32>((<i64>task * slot(args, PATCHES)) / parts); first < end; first += patchBlock) {
    const count = min(patchBlock, end - first);
    for (let i = 0; i < count; i++) {
      const patch = first + i;
      findPixels(args, patch, zeros, pixels);
      const to = patches + <usize>i * 24;
      for (let c = 0; c < channels; c += 4)
        transformPatch(
          pixels, <usize>c << 2, to, plane,
          laneOf(c, panelBytes), laneOf(c + 1, panelBytes), laneOf(c + 2, panelBytes), laneOf(c + 3, panelBytes),
        );
      const row = 2 * ((patch % each) / wide);
      const column = 2 * (patch % wide);
      const from = dy + <usize>((patch / each) * outHeight * outWidth + row * outWidth + column) * pixel;
      for (let j = 0; j < outputs; j += 4)
        transformSlope(
          from + (<usize>j << 2), pixel, <usize>outWidth * pixel, column + 1 < outWidth, row + 1 < outHeight,
          slopes + <usize>(j >> 3) * (patchBlock * 32) + <usize>i * 32 + (<usize>(j & 7) << 2), slopePlane,
        );
    }
    for (let place: usize = 0; place < places; place++)
      for (let j = 0; j < columns; j += 8)
        for (let c = 0; c < rows; c += 6)
          tile(
            patches + place * plane + <usize>(c / 6) * panelBytes, slopes + place * slopePlane + <usize>(j >> 3) * (patchBlock * 32), 32,
            sums + place * sumPlane + (<usize>(c * columns + j) << 2), <usize>columns << 2, count, true,
          );
  }
}

/** partial sums, dweight [outputs, C, 3, 3], C, outputs; a task is a channel: Gᵀ s G of the parts' sums in their order. */
export function winogradWeightGrad(args: usize, task: i32): void {
  const channels = slot(args, 2);
  const outputs = slot(args, 3);
  const columns = rounded(outputs, 8);
  const plane = <usize>(rounded(channels, 6) * columns) << 2;
  for (let j = 0; j < outputs; j++) {
    const from = <usize>slot(args, 0) + (<usize>(task * columns + j) << 2);
    const to = <usize>slot(args, 1) + <usize>(j * channels + task) * 36;
    for (let x: usize = 0; x < 4; x++) {
      const s0 = sumOfPlace(from + x * plane, plane);
      const s1 = sumOfPlace(from + (4 + x) * plane, plane);
      const s2 = sumOfPlace(from + (8 + x) * plane, plane);
      const s3 = sumOfPlace(from + (12 + x) * plane, plane);
      addColumn(to, x, s0 + 0.5 * (s1 + s2));
      addColumn(to + 12, x, 0.5 * (s1 - s2));
      addColumn(to + 24, x, 0.5 * (s1 + s2) + s3);
    }
  }
}

// @ts-ignore: decorator
@inline
function sumOfPlace(from: usize, plane: usize): f32 {
  let sum: f32 = 0;
  for (let part = 0; part < parts; part++, from += places * plane) sum += load<f32>(from);
  return sum;
}

/** Adds column x of four to a row of three taps: s0 + (s1 + s2)/2, (s1 − s2)/2, (s1 + s2)/2 + s3. */
// @ts-ignore: decorator
@inline
function addColumn(row: usize, x: usize, value: f32): void {
  const half: f32 = 0.5 * value;
  if (x == 0) {
    store<f32>(row, value);
    store<f32>(row, 0, 4);
    store<f32>(row, 0, 8);
  } else if (x == 3) store<f32>(row, load<f32>(row, 8) + value, 8);
  else {
    store<f32>(row, load<f32>(row) + half);
    store<f32>(row, x == 1 ? load<f32>(row, 4) + half : load<f32>(row, 4) - half, 4);
    store<f32>(row, load<f32>(row, 8) + half, 8);
  }
}
