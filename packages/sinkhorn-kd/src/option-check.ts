/**
 * The one place that refuses what nothing would read.
 *
 * @param what the function, and within it the option that is checked: "sinkhorn: annealing"
 * @throws TypeError when there is no object; RangeError on a name that is not known
 */
export function checkOptions(what: string, options: unknown, names: Record<string, true>): void {
  const known = Object.keys(names).join(", ");
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new TypeError(`${what}: expected an object of options; there are ${known}.`);
  for (const name of Object.keys(options))
    if (!Object.hasOwn(names, name))
      throw new RangeError(`${what}: unknown option "${name}"; there are ${known}.`);
}

/** @throws RangeError when one of the names is set there, where it would be overwritten or overwrite another */
export function refuseIn(
  what: string,
  where: string,
  options: object,
  names: readonly string[],
  instead: string,
): void {
  for (const name of names)
    if ((options as Record<string, unknown>)[name] !== undefined)
      throw new RangeError(`${what}: ${where}.${name} would be ignored; ${instead}.`);
}

/** What `transport` may not say a second time. */
export function checkTransport(
  what: string,
  { lambda, iterations, transport }: { lambda?: unknown; iterations?: unknown; transport?: object },
  own: readonly string[],
): void {
  if (transport === undefined) return;
  if (typeof transport !== "object" || transport === null)
    throw new TypeError(`${what}: transport is ${transport}, expected an object of the solver's options.`);
  refuseIn(what, "transport", transport, own, `${what} makes ${own.join(" and ")} itself`);
  const twice = { lambda, iterations };
  for (const [name, given] of Object.entries(twice))
    if (given !== undefined && (transport as Record<string, unknown>)[name] !== undefined)
      throw new RangeError(`${what}: ${name} is given twice, by itself and in transport; give one.`);
}

/** Options without those that are undefined, which would overwrite defaults. */
export const withoutUndefined = <T extends object>(options: T): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
