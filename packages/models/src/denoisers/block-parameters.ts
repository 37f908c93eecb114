import type { InitialParameter } from "./initialise.ts";

/** Parameters of diffusers' blocks by name, gathered one block after the other. */
export interface BlockParameters {
  readonly specs: Map<string, InitialParameter>;
  /** A convolution or linear layer, [out, in, …]; gain 0 starts it at zero. */
  affine(name: string, shape: number[], options?: { gain?: number; bias?: boolean }): void;
  norm(name: string, channels: number): void;
  /** @param embedded size of the noise embedding; 0 for a block without one */
  residual(name: string, from: number, to: number, embedded: number): void;
  /** Self-attention of pixels; no norm without groups. */
  attention(name: string, channels: number, groups: number): void;
}

/** An empty list of parameters. @param scaleShift whether noise embeddings scale and shift */
export function blockParameters({ scaleShift }: { scaleShift: boolean }): BlockParameters {
  const specs = new Map<string, InitialParameter>();
  const own: BlockParameters = {
    specs,
    affine(name, shape, { gain = 1, bias = true } = {}) {
      specs.set(`${name}.weight`, { shape, start: gain === 0 ? "zeros" : { gain } });
      if (bias) specs.set(`${name}.bias`, { shape: [shape[0]!], start: "zeros" });
    },
    norm(name, channels) {
      specs.set(`${name}.weight`, { shape: [channels], start: "ones" });
      specs.set(`${name}.bias`, { shape: [channels], start: "zeros" });
    },
    residual(name, from, to, embedded) {
      own.norm(`${name}.norm1`, from);
      own.affine(`${name}.conv1`, [to, from, 3, 3]);
      if (embedded > 0) own.affine(`${name}.time_emb_proj`, [scaleShift ? 2 * to : to, embedded]);
      own.norm(`${name}.norm2`, to);
      // Nearly nothing at first, so that a deep net starts as a shallow one.
      own.affine(`${name}.conv2`, [to, to, 3, 3], { gain: 1e-3 });
      if (from !== to) own.affine(`${name}.conv_shortcut`, [to, from, 1, 1]);
    },
    attention(name, channels, groups) {
      if (groups > 0) own.norm(`${name}.group_norm`, channels);
      for (const part of ["to_q", "to_k", "to_v"]) own.affine(`${name}.${part}`, [channels, channels]);
      own.affine(`${name}.to_out.0`, [channels, channels], { gain: 1e-3 });
    },
  };
  return own;
}
