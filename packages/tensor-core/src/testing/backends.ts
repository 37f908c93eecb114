import * as tf from "@tensorflow/tfjs-core";

/** Packages that bring a backend; one that is not installed, or does not load, is skipped. */
const packages: Record<string, string> = {
  cpu: "@tensorflow/tfjs-backend-cpu",
  wasm: "@tensorflow/tfjs-backend-wasm",
  tensorflow: "@tensorflow/tfjs-node",
  webgpu: "@tensorflow/tfjs-backend-webgpu",
};

/** In Node the wasm backend has to be told where its binaries are. */
async function locateWasm(): Promise<void> {
  const [{ setWasmPaths }, { createRequire }, { dirname, sep }] = await Promise.all([
    import("@tensorflow/tfjs-backend-wasm"),
    import("node:module"),
    import("node:path"),
  ]);
  const manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
  setWasmPaths(`${dirname(manifest)}${sep}dist${sep}`);
}

const loading = new Map<string, Promise<boolean>>();

async function load(name: string): Promise<boolean> {
  try {
    const specifier = packages[name];
    if (!tf.findBackendFactory(name) && specifier) await import(/* @vite-ignore */ specifier);
    if (name === "wasm" && typeof process !== "undefined") await locateWasm();
    return await tf.setBackend(name);
  } catch {
    return false;
  }
}

/**
 * Runs one test body on each of the named backends that is present, one after the other.
 *
 * @throws the body's error with the backend's name before it, or when no named backend is present
 */
export async function onEachBackend(
  names: readonly string[],
  body: (backend: string) => void | Promise<void>,
): Promise<void> {
  let ran = 0;
  for (const name of names) {
    if (!loading.has(name)) loading.set(name, load(name));
    if (!(await loading.get(name))) continue;
    await tf.setBackend(name);
    ran++;
    try {
      await body(name);
    } catch (error) {
      if (error instanceof Error) error.message = `on ${name}: ${error.message}`;
      throw error;
    }
  }
  if (ran === 0) throw new Error(`onEachBackend: none of ${names.join(", ")} is present.`);
}
