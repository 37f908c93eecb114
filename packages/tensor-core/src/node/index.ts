export { BackendError, type BackendReport } from "../backend-report.ts";
export {
  type BackendName,
  type BackendOptions,
  type BackendProbe,
  backendNames,
  probeBackends,
  startBackend,
} from "./backend.ts";
export { DiskFullError, namingFullDisk } from "./disk-full.ts";
export { openSafetensors, type SafetensorsFile, writeSafetensors } from "./safetensors-file.ts";
export { syncFolder } from "./sync-folder.ts";
export { startWasm, type WasmStart } from "./wasm-threads.ts";
