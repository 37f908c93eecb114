import type { Arithmetic } from "./arithmetic.ts";

/** Below this |a| the Taylor series of eᵃ − 1 − a is used; above it the subtraction loses two bits at most. */
const radius = 1;
const terms = 20;

function expm2(a: number): number {
  if (!(Math.abs(a) < radius)) return Math.expm1(a) - a;
  let sum = 1;
  for (let k = terms; k > 2; k -= 1) sum = 1 + (a / k) * sum;
  return 0.5 * a * a * sum;
}

function sigmoid(a: number): number {
  const e = Math.exp(-Math.abs(a));
  return a < 0 ? e / (1 + e) : 1 / (1 + e);
}

/** Definitions read in double precision. */
export const numbers: Arithmetic<number> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  constant: (_, c) => c,
  scale: (a, c) => a * c,
  shift: (a, c) => a + c,
  exp: Math.exp,
  expm1: Math.expm1,
  expm2,
  log: Math.log,
  log1p: Math.log1p,
  power: (a, c) => a ** c,
  abs: Math.abs,
  sign: Math.sign,
  sigmoid,
  negativePart: (a) => Math.min(a, 0),
  positivePart: (a) => Math.max(a, 0),
  near: (a, within, inside, outside) => (Math.abs(a) < within ? inside : outside),
};
