import type { Activation } from "./config.ts";

const activations: Record<string, Activation> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  relu: "relu",
};

/** The activation that a `config.json` names. */
export function activationFrom(name: string): Activation {
  const found = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (!found)
    throw new Error(
      `config.json: activation "${name}" is not supported; supported are ${Object.keys(activations).join(", ")}.`,
    );
  return found;
}

/** The name that a `config.json` gives an activation. */
export function activationName(activation: Activation): string {
  return activation === "geluTanh" ? "gelu_new" : activation;
}
