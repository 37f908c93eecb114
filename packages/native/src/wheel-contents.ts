import { basename } from "node:path/posix";
import type { Flavour } from "./target.ts";

const headers = "tensorflow/include/";

/** What the addon's sources include, directly or not. */
const includedFrom = [
  "tensorflow/c/",
  "tensorflow/core/platform/ctstring",
  "tsl/platform/ctstring",
  "tsl/c/",
  "xla/tsl/c/",
  "xla/tsl/platform/ctstring",
  "tensorflow/tsl/c/",
  "tensorflow/tsl/platform/ctstring",
];

/**
 * Where an entry of TensorFlow's or NVIDIA's wheels goes, undefined for the Python parts. Libraries keep their places
 * relative to each other, by which they find each other at run time.
 */
export function placeOfEntry(name: string, flavour: Flavour): string | undefined {
  if (/^tensorflow\/libtensorflow_(cc|framework)\.(so\.2|2\.dylib)$/.test(name))
    return `deps/lib/${basename(name)}`;
  if (name.startsWith(headers) && name.endsWith(".h")) {
    const header = name.slice(headers.length);
    return includedFrom.some((prefix) => header.startsWith(prefix)) ? `deps/include/${header}` : undefined;
  }
  // Libraries that a wheel carries for its own use, such as OpenMP on ARM.
  if (/^tensorflow[a-z_]*\.libs\/[^/]+$/.test(name)) return `deps/${name}`;
  if (flavour === "gpu" && /^nvidia\/([a-z_]+\/lib\/[^/]+\.so[.\d]*|cuda_nvcc\/(bin|nvvm)\/.+)$/.test(name))
    return `deps/${name}`;
  const license = /^([^/]+)\.dist-info\/(?:.*\/)?(LICEN[CS]E[^/]*)$/i.exec(name);
  return license ? `licenses/${license[1]}/${license[2]}` : undefined;
}
