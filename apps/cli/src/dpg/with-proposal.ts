import type { Optimizer } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** The optimiser together with the proposal's copy of the policy, so that a checkpoint holds both. */
export function withProposal(optimizer: Optimizer): {
  optimizer: Optimizer;
  proposal: Map<string, tf.Tensor>;
  show(tensors: ReadonlyMap<string, tf.Tensor>): void;
} {
  const prefix = "proposal.";
  let shown: ReadonlyMap<string, tf.Tensor> = new Map();
  const proposal = new Map<string, tf.Tensor>();
  return {
    proposal,
    show(tensors) {
      shown = new Map([...tensors].filter(([name]) => name.startsWith(prefix)));
    },
    optimizer: {
      step: (...step) => optimizer.step(...step),
      get iterations() {
        return optimizer.iterations;
      },
      state() {
        const { tensors, iteration } = optimizer.state();
        return { tensors: new Map([...tensors, ...shown]), iteration };
      },
      load({ tensors, iteration }) {
        const moments = new Map([...tensors].filter(([name]) => !name.startsWith(prefix)));
        for (const [name, tensor] of tensors)
          if (name.startsWith(prefix))
            proposal.set(
              name,
              tf.tidy(() => tf.add(tensor, 0)),
            );
        optimizer.load({ tensors: moments, iteration });
      },
      dispose: () => optimizer.dispose(),
    },
  };
}
