import type { BlockParameters } from "./block-parameters.ts";
import type { PathConfig, Place } from "./unet-path.ts";

/** Adds the parameters of a block of attention, where there is one. */
export type AddAttention = (name: string, channels: number, place: Place, level: number) => void;

/** The parameters of the way down and the middle. @returns channels of each skip */
export function descentParameters(
  { affine, residual }: BlockParameters,
  config: PathConfig,
  embedded: number,
  attention: AddAttention,
): number[] {
  const { blockChannels, layersPerBlock, inChannels, downResidual } = config;
  const width = blockChannels[0]!;
  affine("conv_in", [width, inChannels, 3, 3]);
  const skips = [width];
  let channels = width;
  blockChannels.forEach((to, level) => {
    const name = `down_blocks.${level}`;
    for (let i = 0; i < layersPerBlock; i++) {
      residual(`${name}.resnets.${i}`, channels, to, embedded);
      attention(`${name}.attentions.${i}`, to, "down", level);
      channels = to;
      skips.push(to);
    }
    if (level === blockChannels.length - 1) return;
    if (downResidual?.[level]) residual(`${name}.downsamplers.0`, to, to, embedded);
    else affine(`${name}.downsamplers.0.conv`, [to, to, 3, 3]);
    skips.push(to);
  });
  middleParameters(residual, channels, embedded, attention);
  return skips;
}

/** The parameters of the middle. */
export function middleParameters(
  residual: BlockParameters["residual"],
  channels: number,
  embedded: number,
  attention: AddAttention,
): void {
  residual("mid_block.resnets.0", channels, channels, embedded);
  attention("mid_block.attentions.0", channels, "middle", 0);
  residual("mid_block.resnets.1", channels, channels, embedded);
}

/** The parameters of the way up and out; `skips` as descentParameters gave them, absent in networks that have none. */
export function ascentParameters(
  { affine, norm, residual }: BlockParameters,
  config: PathConfig,
  skips: number[] | undefined,
  embedded: number,
  attention: AddAttention,
): void {
  const { blockChannels, layersPerBlock, outChannels, upResidual } = config;
  let channels = blockChannels.at(-1)!;
  [...blockChannels].reverse().forEach((to, level) => {
    const name = `up_blocks.${level}`;
    for (let i = 0; i <= layersPerBlock; i++) {
      residual(`${name}.resnets.${i}`, channels + (skips ? skips.pop()! : 0), to, embedded);
      attention(`${name}.attentions.${i}`, to, "up", level);
      channels = to;
    }
    if (level === blockChannels.length - 1) return;
    if (upResidual?.[level]) residual(`${name}.upsamplers.0`, to, to, embedded);
    else affine(`${name}.upsamplers.0.conv`, [to, to, 3, 3]);
  });
  norm("conv_norm_out", channels);
  affine("conv_out", [outChannels, channels, 3, 3], { gain: 1e-3 });
}
