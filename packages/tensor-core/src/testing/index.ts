export { assertAllClose, type Tolerance } from "./all-close.ts";
export { onEachBackend } from "./backends.ts";
export { type GradientCheckOptions, gradientCheck } from "./gradient-check.ts";
export { assertNoLeak } from "./leak.ts";
