import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Optimizer } from "@fdiv/tensor-core";
import { openSafetensors, syncFolder, writeSafetensors } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import type { TrainState } from "../train.ts";
import { writeDurably } from "./durable-file.ts";

const format = 1;
const files = ["parameters.safetensors", "optimizer.safetensors"] as const;

interface Manifest {
  format: number;
  fingerprint: string;
  iteration: number;
  state: TrainState;
  /** SHA-256 of each file. */
  files: Record<string, string>;
}

/** A checkpoint that can't be used; the message says why. */
export class CheckpointError extends Error {
  override name = "CheckpointError";
  /** `damaged`: an older one may do. `foreign`: made by a run of another configuration, data or model, as the older ones are. */
  readonly kind: "damaged" | "foreign";
  constructor(message: string, kind: CheckpointError["kind"] = "damaged") {
    super(message);
    this.kind = kind;
  }
}

const stepOf = (name: string): number => Number(/^step-(\d{9})$/.exec(name)?.[1] ?? Number.NaN);
const nameOf = (step: number): string => `step-${String(step).padStart(9, "0")}`;

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function* entries(tensors: ReadonlyMap<string, tf.Tensor>) {
  for (const [name, tensor] of tensors)
    yield {
      name,
      dtype: "F32" as const,
      shape: tensor.shape,
      data: async () => (await tensor.data()) as Float32Array,
    };
}

export interface CheckpointContents {
  parameters: ReadonlyMap<string, tf.Variable>;
  optimizer: Optimizer;
  state: TrainState;
  /** Of configuration and data: a checkpoint of another run is refused. */
  fingerprint: string;
}

/** Writes a whole checkpoint folder, or nothing: under another name, every file synced, then renamed. Returns its path. */
export async function writeCheckpoint(
  folder: string,
  contents: CheckpointContents,
  name = nameOf(contents.state.step),
): Promise<string> {
  const { parameters, optimizer, state, fingerprint } = contents;
  const place = join(folder, name);
  const beside = `${place}.${process.pid}.part`;
  await rm(beside, { recursive: true, force: true });
  await mkdir(beside, { recursive: true });
  try {
    const moments = optimizer.state();
    await writeSafetensors(join(beside, files[0]), entries(parameters));
    await writeSafetensors(join(beside, files[1]), entries(moments.tensors));
    const manifest: Manifest = {
      format,
      fingerprint,
      iteration: moments.iteration,
      state,
      files: Object.fromEntries(
        await Promise.all(files.map(async (file) => [file, await digest(join(beside, file))] as const)),
      ),
    };
    await writeDurably(join(beside, "state.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    await putInPlace(beside, place);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(folder);
  return place;
}

const asideOf = (place: string): string => `${place}.aside`;

/** Replaces one folder by another; the old one stays beside until the new one is in place, so that a power cut loses not both. */
async function putInPlace(beside: string, place: string): Promise<void> {
  const aside = asideOf(place);
  const replaces = existsSync(place);
  if (replaces) {
    await rm(aside, { recursive: true, force: true });
    await rename(place, aside);
  }
  try {
    await rename(beside, place);
  } catch (error) {
    if (replaces) await rename(aside, place);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

/** Puts back a checkpoint that a killed process had moved aside, and removes what it left half-written of it. */
export async function recoverCheckpoint(folder: string, name: string): Promise<void> {
  const place = join(folder, name);
  if (!existsSync(place) && existsSync(asideOf(place))) await rename(asideOf(place), place);
  await rm(asideOf(place), { recursive: true, force: true });
  const names = await readdir(folder);
  for (const half of names.filter((entry) => entry.startsWith(`${name}.`) && entry.endsWith(".part")))
    await rm(join(folder, half), { recursive: true, force: true });
}

/** Puts back every checkpoint of a folder that a killed process had moved aside. */
async function recoverAll(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [] as string[]);
  for (const name of names)
    if (name.endsWith(".aside")) await recoverCheckpoint(folder, name.slice(0, -".aside".length));
}

/** The steps of the checkpoints in a folder, newest first. */
export async function listCheckpoints(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  return names
    .map(stepOf)
    .filter((step) => !Number.isNaN(step))
    .sort((a, b) => b - a);
}

/** Removes all but the newest `keep` checkpoints, and what a killed process left half-written. */
export async function pruneCheckpoints(folder: string, keep: number): Promise<void> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const old = (await listCheckpoints(folder)).slice(keep).map(nameOf);
  const half = names.filter((name) => name.endsWith(".part") && !name.endsWith(`.${process.pid}.part`));
  for (const name of [...old, ...half]) await rm(join(folder, name), { recursive: true, force: true });
}

async function readManifest(place: string): Promise<Manifest> {
  const text = await readFile(join(place, "state.json"), "utf8").catch(() => {
    throw new CheckpointError(`${place}: state.json is missing.`);
  });
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text) as Manifest;
  } catch {
    throw new CheckpointError(`${place}: state.json is malformed.`);
  }
  if (manifest?.format !== format)
    throw new CheckpointError(`${place}: format ${manifest?.format}, and this version reads ${format}.`);
  return manifest;
}

/**
 * Loads a checkpoint into parameters and optimiser, in place, after every checksum was found right.
 *
 * @throws CheckpointError when it is damaged or belongs to another run; nothing is changed then
 */
export async function readCheckpoint(
  place: string,
  target: Omit<CheckpointContents, "state">,
): Promise<TrainState> {
  const manifest = await readManifest(place);
  if (manifest.fingerprint !== target.fingerprint)
    throw new CheckpointError(
      `${place} was made by a run with another configuration or other data; resume with those, or choose another output.`,
      "foreign",
    );
  for (const file of files) {
    const found = await digest(join(place, file)).catch(() => "missing");
    if (found !== manifest.files?.[file])
      throw new CheckpointError(`${place}: ${file} is damaged or missing.`);
  }
  const parameters = await readTensors(join(place, files[0]));
  const moments = await readTensors(join(place, files[1]));
  try {
    for (const [name, variable] of target.parameters) {
      const saved = parameters.get(name);
      if (!saved || !tf.util.arraysEqual(saved.shape, variable.shape))
        throw new CheckpointError(
          `${place}: parameter ${name} is missing or has another shape; was it made with another model?`,
          "foreign",
        );
    }
    for (const [name, variable] of target.parameters) variable.assign(parameters.get(name)!);
    target.optimizer.load({ tensors: moments, iteration: manifest.iteration });
  } finally {
    tf.dispose([...parameters.values(), ...moments.values()]);
  }
  return manifest.state;
}

async function readTensors(path: string): Promise<Map<string, tf.Tensor>> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, tf.Tensor>();
    for (const [name, { shape }] of file.tensors)
      tensors.set(name, tf.tensor(await file.readFloat32(name), [...shape], "float32"));
    return tensors;
  } finally {
    await file.close();
  }
}

/**
 * The newest checkpoint that is whole; damaged ones are passed over and told. Undefined where there is none at all.
 *
 * @throws CheckpointError when there are some and none is whole, since starting anew would drop what the run has written
 */
export async function readLastCheckpoint(
  folder: string,
  target: Omit<CheckpointContents, "state">,
  tell: (message: string) => void,
): Promise<TrainState | undefined> {
  await recoverAll(folder);
  const steps = await listCheckpoints(folder);
  for (const step of steps) {
    const place = join(folder, nameOf(step));
    try {
      return await readCheckpoint(place, target);
    } catch (error) {
      if (!(error instanceof CheckpointError) || error.kind === "foreign") throw error;
      tell(
        `${error.message} ${step === steps.at(-1) ? "There is none before it." : "The one before it is tried."}`,
      );
    }
  }
  if (steps.length > 0)
    throw new CheckpointError(
      `${folder}: none of the ${steps.length} checkpoints is whole, so the run can't continue. Nothing was changed; ` +
        "restore one from a copy, or choose another output to start anew.",
    );
  return undefined;
}
