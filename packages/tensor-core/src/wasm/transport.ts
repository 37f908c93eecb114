import type { SinkhornImplicitAttributes } from "../sinkhorn-gradient.ts";
import type { SinkhornAttributes } from "../sinkhorn-kernel.ts";
import type { Implementations } from "./implementations.ts";
import { blocking } from "./kernel-ids.ts";
import { float } from "./module.ts";

type Sizes = [number, number, number];

const damping = ({ rowDamping, columnDamping, relaxation }: SinkhornAttributes) =>
  [rowDamping, columnDamping, relaxation].map(float);

/** Entropic transport, one problem a task, and the distances that make its costs. */
export const transportKernels: Implementations = {
  FdivSinkhorn(module, { cost, a, b, fStart, gStart }, attributes: SinkhornAttributes) {
    const [batch, n, m] = cost!.shape as Sizes;
    const { iterations, checkEvery, lambda, tolerance, keepHistory } = attributes;
    const [f, g, steps] = [
      module.output([batch, n]),
      module.output([batch, m]),
      module.output([batch], "int32"),
    ];
    const plan = module.output([batch, n, m]);
    const sums = [[batch, n], [batch, m], [batch]].map((shape) => module.output(shape));
    const histories = keepHistory
      ? [module.output([batch, iterations, n]), module.output([batch, iterations, m])]
      : [];
    const bytes = 4 * (3 * n + 4 * m);
    const scratch = module.scratch("worker", bytes * module.threads);
    const pointers = [cost!, a!, b!, fStart!, gStart!, f, g, steps, plan, ...sums].map(module.pointer);
    const kept = keepHistory ? histories.map(module.pointer) : [0, 0];
    const sizes = [n, m, iterations, checkEvery, float(lambda), float(tolerance)];
    module.run("sinkhorn", [...pointers, scratch, bytes, ...kept, ...sizes, ...damping(attributes)], batch);
    return [f, g, steps, plan, ...sums, ...histories];
  },
  FdivSinkhornGrad(module, inputs, attributes: SinkhornAttributes) {
    const { cost, a, b, fStart, gStart, fHistory, gHistory, steps, df, dg } = inputs;
    const [batch, n, m] = cost!.shape as Sizes;
    const outputs = [
      [batch, n, m],
      [batch, n],
      [batch, m],
      [batch, n],
      [batch, m],
    ].map((shape) => module.output(shape));
    const [dcost, da, db, dfStart, dgStart] = outputs.map(module.pointer);
    const bytes = 4 * (n * m + 4 * n + 4 * m);
    const scratch = module.scratch("worker", bytes * module.threads);
    const given = [cost!, a!, b!, fStart!, gStart!, fHistory!, gHistory!, steps!, df!, dg!];
    const places = [dcost!, da!, db!, dgStart!, scratch, bytes, n, m, fHistory!.shape[1]!];
    module.run(
      "sinkhornGrad",
      [...given.map(module.pointer), ...places, float(attributes.lambda), ...damping(attributes), dfStart!],
      batch,
    );
    return outputs;
  },
  FdivSinkhornImplicit(module, { plan, rows, columns, df, dg }, attributes: SinkhornImplicitAttributes) {
    const [batch, n, m] = plan!.shape as Sizes;
    const [x, y] = [module.output([batch, n]), module.output([batch, m])];
    const bytes = 16 * m;
    const scratch = module.scratch("worker", bytes * module.threads);
    const pointers = [plan!, rows!, columns!, df!, dg!, x, y].map(module.pointer);
    const { iterations, tolerance, centred } = attributes;
    const rest = [n, m, iterations, float(tolerance), centred ? 1 : 0];
    module.run("sinkhornImplicit", [...pointers, scratch, bytes, ...rest], batch);
    return [x, y];
  },
  FdivPairwiseDistance(module, { x, y }, { squared }) {
    const [batch, n, size] = x!.shape as Sizes;
    const m = y!.shape[1]!;
    const out = module.output([batch, n, m]);
    const args = [...[x!, y!, out].map(module.pointer), n, m, size, squared ? 1 : 0];
    module.run("pairwiseDistance", args, batch * Math.ceil(n / blocking.pairwiseRows));
    return out;
  },
  FdivPairwiseL1Grad(module, { d, x, y }, { transposed }) {
    const [batch, n, size] = x!.shape as Sizes;
    const m = y!.shape[1]!;
    const dx = module.output([batch, n, size]);
    const strides = transposed ? [1, n] : [m, 1];
    const args = [...[d!, x!, y!, dx].map(module.pointer), n, m, size, ...strides];
    module.run("pairwiseL1Grad", args, batch * Math.ceil(n / blocking.pairwiseRows));
    return dx;
  },
};
