export { openSafetensors, type SafetensorsFile, writeSafetensors } from "./safetensors-file.ts";
