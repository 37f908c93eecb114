/** A transport problem without a usable answer in single precision; the message says what to change. */
export class SinkhornError extends RangeError {
  override name = "SinkhornError";
}

/** exp(−D/λ) would be 0 in float32: the kernel domain can't hold the problem. */
export class KernelUnderflowError extends SinkhornError {
  override name = "KernelUnderflowError";
}
