import type { CausalLmConfig } from "./config.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** One tensor of a checkpoint, under its Hugging Face name; what reads it may be called again. */
export interface CheckpointTensor {
  name: string;
  shape: number[];
  /** Widens it to float32. */
  read(): Promise<Float32Array>;
  /** Its bits, where it lies in bfloat16. */
  readBfloat16?(): Promise<Uint16Array>;
}

/** A model at rest, whatever file it lies in: what a loader hands on and a writer takes. */
export interface Checkpoint {
  config: CausalLmConfig;
  tensors: Iterable<CheckpointTensor>;
  tokenizer?: Tokenizer;
  /** `generation_config.json`, kept so that saving loses nothing. */
  generationConfig?: Record<string, unknown>;
  /** Closes the files behind `tensors`. */
  close?(): Promise<void>;
}
