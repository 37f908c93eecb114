"use strict";
// node self-test.cjs <installed folder> <entry file of tfjs-core> <version of the operations>; one line of JSON on stdout.

const path = require("node:path");

const [folder, core, operationsVersion] = process.argv.slice(2);

function check(condition, what) {
  if (!condition) throw new Error(`${what} is wrong`);
}

async function run() {
  const tf = require(core);
  const before = process.memoryUsage().rss;
  const started = performance.now();
  const { load } = require(path.join(folder, "load.cjs"));
  const { tensorflow, operations } = load(tf, Number(operationsVersion));
  check(await tf.setBackend("tensorflow"), "starting the backend");
  await tf.ready();
  const loadMilliseconds = Math.round(performance.now() - started);
  const residentBytes = process.memoryUsage().rss - before;

  const n = 48;
  const a = Float32Array.from({ length: n * n }, (_, i) => ((i * 7) % 11) - 5);
  const b = Float32Array.from({ length: n * n }, (_, i) => ((i * 5) % 13) - 6);
  const product = tf
    .tidy(() => tf.matMul(tf.tensor2d(a, [n, n]), tf.tensor2d(b, [n, n]), false, true))
    .dataSync();
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += a[i * n + k] * b[j * n + k];
      check(product[i * n + j] === sum, "a matrix product");
    }
  const softmax = tf.tidy(() => tf.sum(tf.softmax(tf.tensor2d(a, [n, n])), 1)).dataSync();
  check(
    softmax.every((sum) => Math.abs(sum - 1) < 1e-5),
    "a softmax",
  );
  // Later releases of TensorFlow round integers to zero.
  check(
    tf
      .round(tf.tensor1d([3, -7], "int32"))
      .dataSync()
      .join() === "3,-7",
    "rounding integers",
  );
  if (operations) {
    const backend = tf.backend();
    const two = { name: "N", type: backend.binding.TF_ATTR_INT, value: 2 };
    const inputs = [tf.tensor1d([3, 4]), tf.tensor1d([6])];
    const [squares] = backend.executeMultipleOutputs("FdivSquaredNorms", [two], inputs, 1);
    check(squares.dataSync().join() === "25,36", "an operation of fdiv's own");
  }
  const gpu = tf.backend().isUsingGpuDevice === true;
  process.stdout.write(
    `${JSON.stringify({ tensorflow, gpu, operations: operations !== undefined, node: process.versions.node, loadMilliseconds, residentBytes })}\n`,
  );
}

run().catch((error) => {
  process.stderr.write(`self-test: ${error?.message ?? error}\n`);
  process.exitCode = 1;
});
