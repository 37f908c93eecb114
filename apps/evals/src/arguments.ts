/** What stands between commas. */
export const list = (text: string): string[] => text.split(",").filter(Boolean);

/** @throws Error naming the option that is no number */
export function number(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`--${option} ${text}: a number is due.`);
  return value;
}

/** The numbers between commas. */
export const numbers = (option: string, text: string): number[] =>
  list(text).map((one) => number(option, one));
