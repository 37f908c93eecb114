import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { startBackend } from "./backend.ts";

// A process of its own, for the test that it ends by itself though threads wait for work.
const { backend, threads } = await startBackend({ backend: "wasm", threads: 2 });
const ones = tf.ones([300, 300]) as tf.Tensor2D;
console.log(backend, threads, tf.sum(tf.matMul(ones, ones)).dataSync()[0]);
