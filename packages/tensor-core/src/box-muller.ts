// Engines may round Math.log, Math.sin and Math.cos as they like. What is here is made of +, −, ×, ÷ and square roots, which IEEE 754
// fixes to the last bit, so that the numbers are the same in every engine.

const bits = new DataView(new ArrayBuffer(8));
const ln2High = 0.6931471803691238; // ln 2 to 32 bits, so that its product with an exponent is exact
const ln2Low = 1.9082149292705877e-10;

/** ln x of a normal positive number, to about an ulp: the exponent apart, 2·artanh((m − 1)/(m + 1)) of the mantissa. */
export function exactLog(x: number): number {
  bits.setFloat64(0, x);
  const high = bits.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0xf_ffff) | 0x3ff0_0000);
  let mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let sum = 0;
  for (let k = 23; k >= 3; k -= 2) sum = (sum + 1 / k) * square;
  return exponent * ln2High + (2 * s + (2 * s * sum + exponent * ln2Low));
}

/** cos 2πt and sin 2πt for t in [0, 1], by their series in the nearest eighth of the circle. */
export function exactCircle(t: number): [number, number] {
  const quarter = Math.floor(4 * t + 0.5);
  const angle = 2 * Math.PI * (t - quarter / 4);
  const square = angle * angle;
  let cos = 1;
  for (let k = 18; k >= 2; k -= 2) cos = 1 - (cos * square) / (k * (k - 1));
  let sin = 1;
  for (let k = 17; k >= 3; k -= 2) sin = 1 - (sin * square) / (k * (k - 1));
  sin *= angle;
  switch (quarter % 4) {
    case 0:
      return [cos, sin];
    case 1:
      return [-sin, cos];
    case 2:
      return [-cos, -sin];
    default:
      return [sin, -cos];
  }
}

/** Two independent standard normals of two uniforms in [0, 1) (Box & Muller 1958). */
export function boxMuller(u: number, v: number): [number, number] {
  const radius = Math.sqrt(-2 * exactLog(1 - u));
  const [cos, sin] = exactCircle(v);
  return [radius * cos, radius * sin];
}
