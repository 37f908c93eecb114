import { createRequire } from "node:module";
import { join } from "node:path";
import { readManifest } from "./cache-folder.ts";
import { NativeError } from "./native-error.ts";
import { operationsVersion } from "./operations-version.ts";
import type { Flavour } from "./target.ts";

export { type CacheOptions, type FolderOptions, nativeFolder } from "./cache-folder.ts";

/** What was loaded. */
export interface NativeLibrary {
  folder: string;
  flavour: Flavour;
  /** Version of the library. */
  tensorflow: string;
  /** False when a backend `tensorflow` was registered before, which then stays. */
  registered: boolean;
  /** fdiv's own operations, registered with TensorFlow: their version, and the threads that they use. */
  operations?: { version: number; threads: number };
  /** Why there are none. */
  operationsProblem?: string;
}

export interface LoadOptions {
  /** The program's tfjs-core: `import * as tf from "@tensorflow/tfjs-core"`. */
  core?: object;
  /** Where to resolve tfjs-core from otherwise: a file or URL of the program, such as `import.meta.url`. */
  requireFrom?: string | URL;
}

/**
 * Loads an installation and registers its backend `tensorflow` with the program's own tfjs-core, so that kernels, tape and
 * tensors are shared; `await tf.setBackend("tensorflow")` then starts it.
 *
 * @param folder from {@link nativeFolder}
 * @throws NativeError when the folder holds no installation or it does not load here
 */
export function loadNative(folder: string, options: LoadOptions = {}): NativeLibrary {
  if (!readManifest(folder))
    throw new NativeError(`${folder} holds no finished installation. Run: npx @fdiv/native install`);
  const require = createRequire(options.requireFrom ?? import.meta.url);
  try {
    const core = options.core ?? (require("@tensorflow/tfjs-core") as object);
    const { load } = require(join(folder, "load.cjs")) as {
      load(core: object, operationsVersion: number): NativeLibrary;
    };
    return load(core, operationsVersion);
  } catch (error) {
    throw new NativeError(
      `The native backend in ${folder} does not load: ${(error as Error).message.split("\n")[0]} (npx @fdiv/native status tells more)`,
      { cause: error },
    );
  }
}
