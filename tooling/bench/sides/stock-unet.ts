import * as tf from "@tensorflow/tfjs-core";

// The U-Net of the `unet` benchmark as one writes it with TensorFlow.js alone: tf.conv2d, moments for group norm, a softmax for attention.

const [widths, groups, headSize] = [[32, 64, 64] as const, 8, 32];
const inner = 4 * widths[0];
type Weights = Map<string, tf.Variable>;

const group = (x: tf.Tensor4D, w: Weights, name: string): tf.Tensor4D => {
  const [batch, height, width, channels] = x.shape;
  const grouped = tf.reshape(x, [batch, height * width, groups, channels / groups]);
  const { mean, variance } = tf.moments(grouped, [1, 3], true);
  const even = tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, 1e-5)));
  return tf.add(tf.mul(tf.reshape(even, x.shape), w.get(`${name}.weight`)!), w.get(`${name}.bias`)!);
};
const silu = <T extends tf.Tensor>(x: T): T => tf.mul(x, tf.sigmoid(x)) as T;
const conv = (x: tf.Tensor4D, w: Weights, name: string, stride = 1): tf.Tensor4D => {
  const filter = w.get(`${name}.weight`) as unknown as tf.Tensor4D;
  return tf.add(tf.conv2d(x, filter, stride, "same"), w.get(`${name}.bias`)!);
};
const dense = (x: tf.Tensor2D, w: Weights, name: string): tf.Tensor2D =>
  tf.add(tf.matMul(x, w.get(`${name}.weight`) as unknown as tf.Tensor2D), w.get(`${name}.bias`)!);

function residual(x: tf.Tensor4D, level: tf.Tensor2D, w: Weights, name: string): tf.Tensor4D {
  const first = conv(silu(group(x, w, `${name}.norm1`)), w, `${name}.conv1`);
  const [scale, shift] = tf
    .split(dense(level, w, `${name}.level`), 2, 1)
    .map((part) => tf.reshape(part, [part.shape[0]!, 1, 1, -1]));
  const h = tf.add(tf.mul(group(first, w, `${name}.norm2`), tf.add(1, scale!)), shift!) as tf.Tensor4D;
  const shortcut = w.has(`${name}.shortcut.weight`) ? conv(x, w, `${name}.shortcut`) : x;
  return tf.add(shortcut, conv(silu(h), w, `${name}.conv2`));
}

function attend(x: tf.Tensor4D, w: Weights, name: string): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const pixels = height * width;
  const rows = tf.reshape(group(x, w, `${name}.norm`), [batch * pixels, channels]) as tf.Tensor2D;
  const byHead = (part: string) =>
    tf.transpose(
      tf.reshape(dense(rows, w, `${name}.${part}`), [batch, pixels, channels / headSize, headSize]),
      [0, 2, 1, 3],
    );
  const [q, k, v] = ["q", "k", "v"].map(byHead);
  const scores = tf.softmax(tf.mul(tf.matMul(q!, k!, false, true), 1 / Math.sqrt(headSize)));
  const mixed = tf.reshape(tf.transpose(tf.matMul(scores, v!), [0, 2, 1, 3]), [
    batch * pixels,
    channels,
  ]) as tf.Tensor2D;
  return tf.add(x, tf.reshape(dense(mixed, w, `${name}.out`), x.shape));
}

/** Random weights, convolutions in TensorFlow's layout. */
export function stockUnetWeights(): Weights {
  const w: Weights = new Map();
  const affine = (name: string, shape: number[]) => {
    const fan = shape.slice(0, -1).reduce((product, n) => product * n, 1);
    w.set(
      `${name}.weight`,
      tf.variable(tf.randomNormal(shape, 0, 1 / Math.sqrt(fan)), true, `${name}.weight`),
    );
    w.set(`${name}.bias`, tf.variable(tf.zeros([shape.at(-1)!]), true, `${name}.bias`));
  };
  const norm = (name: string, channels: number) => {
    w.set(`${name}.weight`, tf.variable(tf.ones([channels]), true, `${name}.weight`));
    w.set(`${name}.bias`, tf.variable(tf.zeros([channels]), true, `${name}.bias`));
  };
  const block = (name: string, from: number, to: number) => {
    norm(`${name}.norm1`, from);
    affine(`${name}.conv1`, [3, 3, from, to]);
    affine(`${name}.level`, [inner, 2 * to]);
    norm(`${name}.norm2`, to);
    affine(`${name}.conv2`, [3, 3, to, to]);
    if (from !== to) affine(`${name}.shortcut`, [1, 1, from, to]);
  };
  const attention = (name: string, channels: number) => {
    norm(`${name}.norm`, channels);
    for (const part of ["q", "k", "v", "out"]) affine(`${name}.${part}`, [channels, channels]);
  };
  affine("first", [3, 3, 1, widths[0]]);
  affine("level1", [widths[0], inner]);
  affine("level2", [inner, inner]);
  const skips: number[] = [widths[0]];
  let width: number = widths[0];
  widths.forEach((to, i) => {
    block(`down${i}`, width, to);
    if (i === 2) attention(`downAttention${i}`, to);
    width = to;
    skips.push(to);
    if (i === 2) return;
    affine(`lower${i}`, [3, 3, to, to]);
    skips.push(to);
  });
  block("middle0", width, width);
  attention("middleAttention", width);
  block("middle1", width, width);
  [...widths].reverse().forEach((to, i) => {
    for (const j of [0, 1]) {
      block(`up${i}.${j}`, width + skips.pop()!, to);
      if (i === 0) attention(`upAttention${j}`, to);
      width = to;
    }
    if (i < 2) affine(`upper${i}`, [3, 3, to, to]);
  });
  norm("lastNorm", width);
  affine("last", [3, 3, width, 1]);
  return w;
}

/** The network on images [batch, 28, 28, 1] at c_noise [batch]. */
export function stockUnet(w: Weights, x: tf.Tensor4D, noise: tf.Tensor1D): tf.Tensor4D {
  const half = widths[0] / 2;
  const frequencies = tf.exp(tf.mul(-Math.log(10_000) / half, tf.range(0, half)));
  const angles = tf.mul(tf.reshape(noise, [-1, 1]), tf.reshape(frequencies, [1, -1]));
  const waves = tf.concat([tf.cos(angles), tf.sin(angles)], 1) as tf.Tensor2D;
  const level = silu(dense(silu(dense(waves, w, "level1")), w, "level2"));
  let h = conv(x, w, "first");
  const skips = [h];
  widths.forEach((_, i) => {
    h = residual(h, level, w, `down${i}`);
    if (i === 2) h = attend(h, w, `downAttention${i}`);
    skips.push(h);
    if (i === 2) return;
    h = conv(h, w, `lower${i}`, 2);
    skips.push(h);
  });
  h = residual(attend(residual(h, level, w, "middle0"), w, "middleAttention"), level, w, "middle1");
  widths.forEach((_, i) => {
    for (const j of [0, 1]) {
      h = residual(tf.concat([h, skips.pop()!], 3), level, w, `up${i}.${j}`);
      if (i === 0) h = attend(h, w, `upAttention${j}`);
    }
    if (i < 2) {
      const [, height, width] = h.shape;
      h = conv(tf.image.resizeNearestNeighbor(h, [2 * height, 2 * width]), w, `upper${i}`);
    }
  });
  return conv(silu(group(h, w, "lastNorm")), w, "last");
}
