import {
  type CausalLm,
  type CausalLmOptions,
  createCausalLm,
  createEncoder,
  createT5,
  type Encoder,
  type EncoderOptions,
  type T5,
  type T5Options,
} from "@fdiv/models";
import { ConfigError } from "../config/config-file.ts";

type Sizes = Record<string, unknown>;

/** Keys as Hugging Face writes them, hidden_size, are taken as well. */
const named = (sizes: Sizes): Sizes =>
  Object.fromEntries(
    Object.entries(sizes).map(([key, value]) => [
      key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );

/** The sizes that a student's configuration may name, beside what it has of its teacher. */
function sizesFrom(given: Sizes, known: readonly string[]): Sizes {
  const sizes = named(given);
  const unknown = Object.keys(sizes).find((key) => !known.includes(key));
  if (unknown)
    throw new ConfigError(`student.config: unknown key "${unknown}"; there are ${known.join(", ")}.`);
  const wrong = known.slice(0, 3).find((key) => typeof sizes[key] !== "number");
  if (wrong) throw new ConfigError(`student.config: ${wrong} is missing or no number.`);
  return sizes;
}

const essential = ["hiddenSize", "layers", "heads", "intermediateSize", "initializerRange"] as const;

/** A new decoder of other sizes, with its teacher's tokenizer. @throws ConfigError on a size that is not known */
export function smallerCausal({ config, tokenizer }: CausalLm, sizes: Sizes, seed: number): CausalLm {
  const { modelType, vocabularySize, maxPositions, activation, tiedHead, bosId, eosIds } = config;
  const { ropeTheta, normEpsilon } = config;
  const options = {
    ...{ modelType, vocabularySize, maxPositions, activation, tiedHead, eosIds, ropeTheta, normEpsilon },
    ...(bosId !== undefined && { bosId }),
    ...sizesFrom(sizes, [...essential, "kvHeads", "headSize", "maxPositions", "tiedHead"]),
  };
  return createCausalLm(options as CausalLmOptions, { seed, tokenizer: tokenizer! });
}

/** A new encoder of other sizes, with its teacher's tokenizer and labels. @throws ConfigError on a size that is not known */
export function smallerEncoder({ config, tokenizer }: Encoder, sizes: Sizes, seed: number): Encoder {
  const { modelType, vocabularySize, positions, firstPosition, tokenTypes, normEpsilon, activation, padId } =
    config;
  const { pooler, head, dropout } = config;
  const options = {
    ...{ modelType, vocabularySize, positions, firstPosition, tokenTypes, normEpsilon, activation, padId },
    ...{ pooler, head, dropout },
    ...sizesFrom(sizes, [...essential, "positions"]),
  };
  return createEncoder(options as EncoderOptions, { seed, tokenizer: tokenizer! });
}

/** A new T5 of other sizes, with its teacher's tokenizer. @throws ConfigError on a size that is not known */
export function smallerT5({ config, tokenizer }: T5, sizes: Sizes, seed: number): T5 {
  const { modelType, vocabularySize, activation, gated, tiedHead, scaledHead, startId, eosIds, padId } =
    config;
  const { dropout } = config;
  const options = {
    ...{
      modelType,
      vocabularySize,
      activation,
      gated,
      tiedHead,
      scaledHead,
      startId,
      eosIds,
      padId,
      dropout,
    },
    ...sizesFrom(sizes, [...essential.slice(0, 4), "decoderLayers", "headSize", "initializerFactor"]),
  };
  return createT5(options as T5Options, { seed, tokenizer: tokenizer! });
}
