import { availableParallelism, totalmem } from "node:os";
import { cacheFolder } from "@fdiv/models/node";
import { probeBackends, startBackend } from "@fdiv/tensor-core/node";
import "@tensorflow/tfjs";
import pc from "picocolors";
import type { GlobalOptions } from "../session.ts";

/** `fdiv doctor`: what runs here, why the rest does not, and how to get it. */
export async function doctor(options: GlobalOptions): Promise<void> {
  const print = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  const threads = options.threads === undefined ? {} : { threads: options.threads };
  print(
    `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB of memory`,
  );
  print(`downloads and caches in ${cacheFolder()}`);
  print("\nbackends, best first");
  for (const { backend, package: name, works, detail, remedy } of await probeBackends(threads)) {
    print(
      `  ${works ? pc.green("✓") : pc.red("✗")} ${backend.padEnd(10)} ${works ? detail : `${name}: ${detail}`}`,
    );
    if (!works) print(pc.dim(`               to get it: ${remedy}`));
  }
  const chosen = await startBackend({
    ...threads,
    ...(options.backend !== undefined && { backend: options.backend }),
  });
  print(`\nfdiv uses ${pc.bold(chosen.backend)} here (${chosen.detail})`);
}
