// Compiles the kernels and writes them, as base64, where the package imports them from: for shared and for unshared memory, with
// and without fused multiply-add. Fails when a variant holds a data segment, which would overwrite the host module's memory.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../src/wasm/kernels.generated.ts");
const multiplyAdd = {
  plain: "f32x4.add(f32x4.mul(a, b), c)",
  fused: "f32x4.relaxed_madd(a, b, c)",
};

async function readSource(name, baseDir) {
  if (name.includes("multiply-add.as")) return undefined;
  return readFile(join(baseDir, name), "utf8").catch(() => null);
}

async function compile(arithmetic, memory) {
  const files = new Map();
  const source = `// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return ${multiplyAdd[arithmetic]};
}
`;
  const shared = memory === "shared";
  const { error, stderr } = await asc.main(
    [
      "index.as.ts",
      "-O3",
      "--runtime",
      "stub",
      "--noAssert",
      "--use",
      "abort=",
      "--importMemory",
      "--initialMemory",
      "1",
      "--maximumMemory",
      "65536",
      ...(shared ? ["--sharedMemory"] : []),
      "--enable",
      ["simd", "threads", ...(arithmetic === "fused" ? ["relaxed-simd"] : [])].join(","),
      "--baseDir",
      here,
      "--outFile",
      "kernels.wasm",
    ],
    {
      readFile: async (name, baseDir) =>
        name.endsWith("multiply-add.as.ts") ? source : readSource(name, baseDir),
      writeFile: (name, contents) => {
        files.set(name, contents);
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`${arithmetic}, ${memory}: ${error.message}\n${stderr.toString()}`);
  const binary = [...files.values()][0];
  if (sectionIds(binary).has(11)) throw new Error(`${arithmetic}, ${memory}: the module has a data segment.`);
  return Buffer.from(binary).toString("base64");
}

/** The ids of a WebAssembly module's sections; 11 is data. */
function sectionIds(binary) {
  const ids = new Set();
  for (let at = 8; at < binary.length; ) {
    ids.add(binary[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++];
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return ids;
}

const lines = ["// Made by kernels/build.mjs from kernels/*.as.ts.", "export const kernelBinaries = {"];
for (const memory of ["shared", "unshared"]) {
  lines.push(`  ${memory}: {`);
  for (const arithmetic of ["plain", "fused"])
    lines.push(`    ${arithmetic}: "${await compile(arithmetic, memory)}",`);
  lines.push("  },");
}
lines.push("} as const;", "");
await mkdir(dirname(target), { recursive: true });
await writeFile(target, lines.join("\n"));
