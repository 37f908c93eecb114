import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of real models and data beside the repository, or where FDIV_DATA says. */
export const dataFolder =
  process.env.FDIV_DATA ?? fileURLToPath(new URL("../../../../../shared/data", import.meta.url));

/** stories260K's three files, and whether they are there. */
export const stories = {
  present: existsSync(join(dataFolder, "stories260K/stories260K.bin")),
  bin: join(dataFolder, "stories260K/stories260K.bin"),
  gguf: join(dataFolder, "stories260K/tinyllamas-stories-260k-f32.gguf"),
  tokenizer: join(dataFolder, "stories260K/tok512.bin"),
};
