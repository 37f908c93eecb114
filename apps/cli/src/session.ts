import "@tensorflow/tfjs";
import { type BackendReport, startBackend } from "@fdiv/tensor-core/node";
import type { TrainCallbacks } from "@fdiv/trainer";
import { type ProgressOptions, progress } from "@fdiv/trainer/node";
import pc from "picocolors";

/** The options that every command takes. */
export interface GlobalOptions {
  backend?: string;
  threads?: number;
  quiet?: boolean;
}

/** What a command needs of its surroundings: a started backend, a voice, and to know when to stop. */
export interface Session {
  backend: BackendReport;
  /** A line to standard error, unless quiet. */
  say(message: string): void;
  /** A line that is important even when quiet. */
  warn(message: string): void;
  progress(options: ProgressOptions): TrainCallbacks;
  /** Aborted by Ctrl-C; what runs finishes its step and saves. A second Ctrl-C ends at once. */
  signal: AbortSignal;
  close(): void;
}

/** Starts the backend, says in one line which, and listens for Ctrl-C. */
export async function openSession(options: GlobalOptions): Promise<Session> {
  const print = (message: string): void => {
    process.stderr.write(`${message}\n`);
  };
  const say = (message: string): void => {
    if (!options.quiet) print(message);
  };
  const backend = await startBackend({
    ...(options.backend !== undefined && { backend: options.backend }),
    ...(options.threads !== undefined && { threads: options.threads }),
  });
  say(pc.dim(`backend ${backend.backend}: ${backend.detail}`));
  if (options.threads !== undefined && backend.backend !== "wasm")
    print(pc.yellow(`--threads is of the wasm backend; ${backend.backend} chooses its own number`));
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    print("\nStopping after this step and saving; Ctrl-C again stops at once.");
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return {
    backend,
    say,
    warn: (message) => print(pc.yellow(message)),
    progress: (progressOptions) => (options.quiet ? {} : progress(progressOptions)),
    signal: controller.signal,
    close() {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
    },
  };
}
