import { exp1, exp4, log1 } from "./vector-math.as";

// Entropic optimal transport, one problem a task. The plan is kept as P = α·K·β with K = exp((φ ⊕ γ − C)/λ): the shifts φ and γ take up the
// potentials whenever the scalings α and β leave the numbers that float32 multiplies well, and what no K can hold is done in logarithms. So the
// iterates are those of the log domain, at the price of a multiplication.

/** Exponents below this are zeros of K. */
const least: f32 = -60;

// @ts-ignore: decorator
@inline
export const infinity: f32 = f32.MAX_VALUE * 2;

// @ts-ignore: decorator
@inline
export function float(args: usize, i: i32): f32 {
  return load<f32>(args + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
export function at(x: usize, i: i32): f32 {
  return load<f32>(x + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
export function put(x: usize, i: i32, value: f32): void {
  store<f32>(x + (<usize>i << 2), value);
}

/** K = exp((φ ⊕ γ − C)/λ); a shift of −∞ makes zeros. */
export function buildKernel(c: usize, k: usize, phi: usize, gamma: usize, n: i32, m: i32, lambda: f32): void {
  const inverse = f32x4.splat(1 / lambda);
  const bound = f32x4.splat(least);
  for (let i = 0; i < n; i++) {
    const shift = at(phi, i);
    const row = <usize>i * <usize>m << 2;
    if (shift == -infinity) {
      memory.fill(k + row, 0, <usize>m << 2);
      continue;
    }
    const shift4 = f32x4.splat(shift);
    let j = 0;
    for (; j + 4 <= m; j += 4) {
      const p = <usize>j << 2;
      const x = f32x4.mul(f32x4.sub(f32x4.add(shift4, v128.load(gamma + p)), v128.load(c + row + p)), inverse);
      v128.store(k + row + p, v128.andnot(exp4(x), f32x4.lt(x, bound)));
    }
    for (; j < m; j++) {
      const p = <usize>j << 2;
      const x = (shift + load<f32>(gamma + p) - load<f32>(c + row + p)) / lambda;
      store<f32>(k + row + p, x < least ? 0 : exp1(x));
    }
  }
}

/** Takes the potentials up into the shifts: scalings become marginals and K the plan's density. */
export function absorb(potential: usize, marginal: usize, shift: usize, scaling: usize, n: i32, lambda: f32): void {
  for (let i = 0; i < n; i++) {
    const mass = at(marginal, i);
    put(scaling, i, mass);
    put(shift, i, mass == 0 ? -infinity : at(potential, i) - lambda * log1(mass));
  }
}
