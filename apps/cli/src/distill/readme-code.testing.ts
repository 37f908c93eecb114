import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../", import.meta.url));

/** The JavaScript of this package's README that contains a text, as it stands there. */
export async function readmeCode(containing: string): Promise<string> {
  const readme = await readFile(join(folder, "README.md"), "utf8");
  const blocks = Array.from(readme.matchAll(/```js\n([\s\S]*?)```/g), ([, code]) => code!);
  const found = blocks.filter((code) => code.includes(containing));
  if (found.length !== 1)
    throw new Error(`README.md: ${found.length} blocks of code contain ${containing}, expected one.`);
  return found[0]!;
}

/** Runs code as a module that stands in this package, and gives what it prints. */
export function runModule(code: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = ["--conditions=@fdiv/source", "--import", "tsx", "--input-type=module", "--eval", code];
    execFile(process.execPath, args, { cwd: folder, timeout: 120_000 }, (error, out) =>
      error ? reject(error) : resolve(out),
    );
  });
}
