export {
  BackendError,
  type BackendName,
  type BackendOptions,
  type BackendProbe,
  type BackendReport,
  backendNames,
  probeBackends,
  startBackend,
} from "./backend.ts";
export { openSafetensors, type SafetensorsFile, writeSafetensors } from "./safetensors-file.ts";
export { startWasm, type WasmStart } from "./wasm-threads.ts";
