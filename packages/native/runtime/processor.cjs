"use strict";
// What operations that are compiled for the very processor depend on. Copied into an installed folder beside load.cjs.

const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const os = require("node:os");

/** Its name, and where the system tells them a digest of its instruction sets: virtual machines share names, not those. */
exports.processorName = function processorName() {
  const name = `${process.arch} ${os.cpus()[0]?.model.trim() || "processor"}`;
  try {
    const [, sets] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    if (!sets) return name;
    const digest = createHash("sha256").update(sets.trim().split(/\s+/).sort().join(" ")).digest("hex");
    return `${name} (${digest.slice(0, 8)})`;
  } catch {
    return name;
  }
};
