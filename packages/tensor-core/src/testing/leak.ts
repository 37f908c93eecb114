import * as tf from "@tensorflow/tfjs-core";

/**
 * Asserts that a computation leaves as many tensors and bytes behind as it found. A first run, uncounted, makes what is
 * made only once.
 *
 * @throws naming what stayed
 */
export async function assertNoLeak(f: () => void | Promise<void>): Promise<void> {
  await f();
  const before = tf.memory();
  const data = tf.engine().backend.numDataIds();
  await f();
  const after = tf.memory();
  const tensors = after.numTensors - before.numTensors;
  const bytes = after.numBytes - before.numBytes;
  const buffers = tf.engine().backend.numDataIds() - data;
  if (tensors === 0 && bytes === 0 && buffers === 0) return;
  throw new Error(`assertNoLeak: ${tensors} tensors, ${bytes} bytes and ${buffers} buffers stayed.`);
}
