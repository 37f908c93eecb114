/** The element types of the safetensors format and their sizes in bytes. */
export const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

export type SafetensorsDtype = keyof typeof elementBytes;

export interface SafetensorsEntry {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  /** From the start of the file. */
  byteOffset: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  tensors: Map<string, SafetensorsEntry>;
  /** Where the data begins. */
  dataOffset: number;
}

/** A safetensors file that is malformed, cut or hostile; the message says where. */
export class SafetensorsError extends Error {
  override name = "SafetensorsError";
}

/** The format's own bound. */
export const maxHeaderBytes = 100_000_000;

/** The length of the JSON header, from the first eight bytes; refuses one that the file can't hold. */
export function headerLength(start: Uint8Array, fileBytes: number, source: string): number {
  if (start.length < 8 || fileBytes < 8)
    throw new SafetensorsError(
      `${source}: ${fileBytes} bytes hold no safetensors header; the file is cut or another format.`,
    );
  const view = new DataView(start.buffer, start.byteOffset, 8);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > maxHeaderBytes)
    throw new SafetensorsError(
      `${source}: the header claims ${length} bytes, more than the format's ${maxHeaderBytes}.`,
    );
  if (length + 8 > fileBytes)
    throw new SafetensorsError(
      `${source}: the header claims ${length} bytes, the file has ${fileBytes}; it is cut.`,
    );
  return length;
}

/** Reads and checks the header: every name once, every tensor inside the file, no overlap, no gap, sizes that fit the shapes. */
export function parseHeader(json: Uint8Array, fileBytes: number, source: string): SafetensorsHeader {
  const dataOffset = 8 + json.length;
  const tree = parseJson(json, source);
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(tree)) {
    if (name === "__metadata__") metadata = checkMetadata(value, source);
    else tensors.set(name, checkEntry(name, value, dataOffset, source));
  }
  let end = dataOffset;
  for (const [name, entry] of [...tensors].sort(
    ([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  )) {
    if (entry.byteOffset !== end)
      throw new SafetensorsError(
        `${source}: tensor "${shown(name)}" begins at byte ${entry.byteOffset}, the one before it ends at ${end}.`,
      );
    end += entry.byteLength;
  }
  if (end !== fileBytes)
    throw new SafetensorsError(
      `${source}: the tensors end at byte ${end}, the file at ${fileBytes}; it is cut or has a tail.`,
    );
  return { metadata, tensors, dataOffset };
}

function parseJson(json: Uint8Array, source: string): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(json);
  } catch {
    throw new SafetensorsError(`${source}: the header is no UTF-8.`);
  }
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch (error) {
    throw new SafetensorsError(
      `${source}: the header is malformed JSON (${(error as Error).message.slice(0, 120)}).`,
    );
  }
  if (tree === null || typeof tree !== "object" || Array.isArray(tree))
    throw new SafetensorsError(`${source}: the header is no JSON object.`);
  const repeated = repeatedKey(text);
  if (repeated !== undefined)
    throw new SafetensorsError(`${source}: tensor "${shown(repeated)}" is declared twice.`);
  return tree as Record<string, unknown>;
}

/** A key that the outermost object of valid JSON holds twice; JSON.parse would keep the last one silently. */
function repeatedKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  // Character by character: a pattern would recurse over a name of megabytes.
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    else if (character === '"') {
      const start = at;
      for (at++; text[at] !== '"'; at++) if (text[at] === "\\") at++;
      if (depth !== 1 || !isKey(text, at + 1)) continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

/** Whether a colon follows, after blanks: what was just read names a value. */
function isKey(text: string, from: number): boolean {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text[at]!)) at++;
  return text[at] === ":";
}

/** A name as messages show it; it may be megabytes long. */
const shown = (name: string): string => (name.length > 200 ? `${name.slice(0, 200)}…` : name);

function checkMetadata(value: unknown, source: string): Record<string, string> {
  const fits =
    value !== null &&
    typeof value === "object" &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === "string");
  if (!fits) throw new SafetensorsError(`${source}: __metadata__ is no mapping of texts to texts.`);
  return value as Record<string, string>;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function checkEntry(name: string, value: unknown, dataOffset: number, source: string): SafetensorsEntry {
  const where = `${source}: tensor "${shown(name)}"`;
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(elementBytes, dtype))
    throw new SafetensorsError(
      `${where} has the unknown type ${typeof dtype === "string" ? JSON.stringify(dtype.slice(0, 40)) : `of a ${typeof dtype}`}.`,
    );
  if (!Array.isArray(shape) || shape.length > 16 || !shape.every(isSize))
    throw new SafetensorsError(`${where} has a shape that is no list of sizes.`);
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isSize) ||
    Number(offsets[0]) > Number(offsets[1])
  )
    throw new SafetensorsError(`${where} has data_offsets that are no interval.`);
  const [from, to] = offsets as [number, number];
  const bytes = shape.reduce((product, size) => product * size, elementBytes[dtype as SafetensorsDtype]);
  if (!Number.isSafeInteger(bytes) || bytes !== to - from)
    throw new SafetensorsError(
      `${where} of type ${dtype} and shape [${shape}] takes ${bytes} bytes, not ${to - from}.`,
    );
  return { dtype: dtype as SafetensorsDtype, shape, byteOffset: dataOffset + from, byteLength: to - from };
}

/** The header's bytes for tensors laid out one after the other, the length before it; padded so that the data is 8-byte aligned. */
export function encodeHeader(
  entries: readonly { name: string; dtype: SafetensorsDtype; shape: readonly number[] }[],
  metadata: Record<string, string> = {},
): Uint8Array {
  // Without a prototype, "__proto__" is a name like any other.
  const tree: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) tree.__metadata__ = metadata;
  let end = 0;
  for (const { name, dtype, shape } of entries) {
    if (name === "__metadata__" || Object.hasOwn(tree, name))
      throw new SafetensorsError(
        `safetensors: the tensor name "${name}" is ${name === "__metadata__" ? "reserved" : "given twice"}.`,
      );
    const bytes = shape.reduce((product, size) => product * size, elementBytes[dtype]);
    tree[name] = { dtype, shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(tree));
  const padded = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(8 + padded).fill(0x20);
  const view = new DataView(out.buffer);
  view.setUint32(0, padded, true);
  view.setUint32(4, 0, true);
  out.set(json, 8);
  return out;
}
