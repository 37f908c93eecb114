"use strict";
// Stands for @tensorflow/tfjs and tfjs-core in an installed folder: the program's own tfjs-core, which load.cjs was given.

const { tfjsCore } = require("../../../load.cjs");

if (!tfjsCore)
  throw new Error("Load this folder through load.cjs, which is told the program's @tensorflow/tfjs-core.");
module.exports = tfjsCore;
