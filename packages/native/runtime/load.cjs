"use strict";
// The entry of an installed folder. It is copied there, so that a program finds the loader that fits the folder's contents.

const path = require("node:path");
const util = require("node:util");
const manifest = require("./installed.json");
const { processorName } = require("./processor.cjs");

/** Node 23 removed what TensorFlow.js' binding still calls, and Node 22 warns of it. */
function restoreRemovedUtil() {
  util.isNullOrUndefined = (value) => value === null || value === undefined;
  util.isArray = Array.isArray;
}

/** Registers fdiv's own operations of a version with TensorFlow, once a process; why not, where they are missing or built for another machine. */
function loadOperations(wanted) {
  const builds = manifest.operationBuilds ?? [];
  if (builds.length === 0) return { operationsProblem: "they were not built, for want of a compiler" };
  const build = builds.find(({ version }) => wanted === undefined || version === wanted);
  if (!build)
    return {
      operationsProblem: `they are of version ${builds.map(({ version }) => version).join(", ")}, and ${wanted} is due: install again`,
    };
  if (build.processor !== processorName())
    return {
      operationsProblem: `they were built for ${build.processor}, and this is ${processorName()}`,
    };
  return { operations: require(path.join(__dirname, build.path)) };
}

/**
 * Registers the backend `tensorflow` with the given tfjs-core, unless one is registered already, and fdiv's own operations of the
 * version that the program calls.
 */
exports.load = function load(tfjsCore, operationsVersion) {
  const tf = tfjsCore.default?.engine ? tfjsCore.default : tfjsCore;
  const version = String(tf.version_core ?? "");
  if (typeof tf.engine !== "function" || !version.startsWith("4."))
    throw new Error(`The native backend needs @tensorflow/tfjs-core 4, not ${version || "this object"}.`);
  const found = { folder: __dirname, flavour: manifest.flavour, tensorflow: manifest.tensorflow };
  // Another program's binding would have a TensorFlow of its own, which does not know the operations.
  if (tf.findBackendFactory("tensorflow"))
    return { ...found, registered: false, ...(exports.tfjsCore && loadOperations(operationsVersion)) };
  restoreRemovedUtil();
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  // node_modules/@tensorflow in this folder hands this object to the binding's own modules.
  exports.tfjsCore = tf;
  const binding = require(path.join(__dirname, manifest.addon.path));
  require("./dist/register_all_kernels.js");
  const { NodeJSKernelBackend } = require("./dist/nodejs_kernel_backend.js");
  const { nodeFileSystemRouter } = require("./dist/io/file_system.js");
  const name = manifest.flavour === "gpu" ? "@tensorflow/tfjs-node-gpu" : "@tensorflow/tfjs-node";
  tf.registerBackend("tensorflow", () => new NodeJSKernelBackend(binding, name), 3);
  tf.io.registerLoadRouter(nodeFileSystemRouter);
  tf.io.registerSaveRouter(nodeFileSystemRouter);
  return { ...found, tensorflow: binding.TF_Version, registered: true, ...loadOperations(operationsVersion) };
};

// Images and saved models, as `tf.node` of tfjs-node has them; the callbacks of tf.LayersModel are left out with tfjs-layers.
const lazy = (names, module) => {
  for (const name of names)
    Object.defineProperty(exports.node, name, { enumerable: true, get: () => require(module)[name] });
};
exports.node = {};
lazy(
  ["decodeImage", "decodeBmp", "decodeGif", "decodePng", "decodeJpeg", "encodeJpeg", "encodePng"],
  "./dist/image.js",
);
lazy(["getMetaGraphsFromSavedModel", "getNumOfSavedModels", "loadSavedModel"], "./dist/saved_model.js");
lazy(["summaryFileWriter"], "./dist/tensorboard.js");
