/** @throws RangeError unless levels rise and are positive */
export function checkLevels(what: string, levels: ArrayLike<number>): void {
  if (levels.length < 2) throw new RangeError(`${what}: ${levels.length} levels; expected two or more.`);
  for (let t = 0; t < levels.length; t++)
    if (!(levels[t]! > (t === 0 ? 0 : levels[t - 1]!) && levels[t]! < Number.POSITIVE_INFINITY))
      throw new RangeError(`${what}: level ${t} is ${levels[t]}; they must be positive and rise.`);
}

/** σ at a step of a discrete schedule, between its steps too, where ln σ is linear. @param levels σ of each step, rising */
export function levelOfStep(levels: ArrayLike<number>, step: number): number {
  const t = Math.min(levels.length - 1, Math.max(0, step));
  const low = Math.min(levels.length - 2, Math.floor(t));
  const [a, b] = [levels[low]!, levels[low + 1]!];
  return a * (b / a) ** (t - low);
}

/** The step of a discrete schedule whose σ is given; the inverse of levelOfStep, and the nearest end beyond the schedule. */
export function stepOfLevel(levels: ArrayLike<number>, sigma: number): number {
  let [low, high] = [0, levels.length - 1];
  if (sigma <= levels[low]!) return low;
  if (sigma >= levels[high]!) return high;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (levels[middle]! <= sigma) low = middle;
    else high = middle;
  }
  return low + Math.log(sigma / levels[low]!) / Math.log(levels[high]! / levels[low]!);
}
