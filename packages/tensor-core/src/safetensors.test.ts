import fc from "fast-check";
import { expect, it } from "vitest";
import { encodeSafetensors, parseSafetensors, type TensorToWrite } from "./safetensors.ts";

function file(header: string | Uint8Array, data = 0): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const out = new Uint8Array(8 + json.length + data);
  new DataView(out.buffer).setUint32(0, json.length, true);
  out.set(json, 8);
  return out;
}
const one = (fields: object) =>
  JSON.stringify({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });

it("gives back what was written, of every type", async () => {
  const tensors: TensorToWrite[] = [
    { name: "f32", dtype: "F32", shape: [2, 2], data: Float32Array.of(1, -2.5, 3e-40, 4) },
    { name: "f16", dtype: "F16", shape: [2], data: Float32Array.of(0.5, -2) },
    { name: "bf16", dtype: "BF16", shape: [1], data: Float32Array.of(3) },
    { name: "i64", dtype: "I64", shape: [1], data: BigInt64Array.of(-7n) },
    { name: "u8", dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) },
    { name: "scalar", dtype: "F64", shape: [], data: Float64Array.of(Math.PI) },
    { name: "empty", dtype: "I32", shape: [0, 4], data: new Int32Array(0) },
    { name: "__proto__", dtype: "F32", shape: [1], data: Float32Array.of(9) },
  ];
  const parsed = parseSafetensors(await encodeSafetensors(tensors, { format: "pt" }));
  expect(parsed.metadata).toEqual({ format: "pt" });
  expect([...parsed.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
  expect([...parsed.readFloat32("f32")]).toEqual([...Float32Array.of(1, -2.5, 3e-40, 4)]);
  expect([...parsed.readFloat32("f16")]).toEqual([0.5, -2]);
  expect([...parsed.readFloat32("bf16")]).toEqual([3]);
  expect([...parsed.readFloat32("i64")]).toEqual([-7]);
  expect([...parsed.readFloat32("u8")]).toEqual([1, 2, 3]);
  expect(parsed.tensors.get("scalar")!.shape).toEqual([]);
  expect(() => parsed.readFloat32("absent")).toThrow(/no tensor "absent"/);
});

it.each<[string, Uint8Array, RegExp]>([
  ["an empty file", new Uint8Array(0), /0 bytes hold no/],
  ["a header longer than the file", Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0, 123), /it is cut/],
  ["a header of exabytes", Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 255), /more than the format's/],
  ["no UTF-8", file(Uint8Array.of(0xff, 0xfe)), /no UTF-8/],
  ["no JSON", file("{"), /malformed JSON/],
  ["no object", file("[1]"), /no JSON object/],
  [
    "a name twice",
    file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}`),
    /declared twice/,
  ],
  ["an unknown type", file(one({ dtype: "constructor" }), 8), /unknown type/],
  ["a negative size", file(one({ shape: [-2] }), 8), /no list of sizes/],
  ["a fractional size", file(one({ shape: [0.5, 4] }), 8), /no list of sizes/],
  ["a product beyond integers", file(one({ shape: [2 ** 52, 2 ** 52] }), 8), /takes .* bytes/],
  ["a size that does not fit", file(one({ shape: [3] }), 8), /takes 12 bytes, not 8/],
  ["offsets backwards", file(one({ data_offsets: [8, 0] }), 8), /no interval/],
  ["a gap", file(one({ data_offsets: [4, 12] }), 12), /begins at byte/],
  ["a cut file", file(one({}), 7), /it is cut/],
  ["a tail", file(one({}), 9), /has a tail/],
  ["metadata that is no text", file(`{"__metadata__":{"a":1}}`), /__metadata__/],
  [
    "an overlap",
    file(
      JSON.stringify({
        a: { dtype: "U8", shape: [4], data_offsets: [0, 4] },
        b: { dtype: "U8", shape: [4], data_offsets: [2, 6] },
      }),
      6,
    ),
    /begins at byte/,
  ],
])("refuses %s", (_, bytes, message) => {
  expect(() => parseSafetensors(bytes, "x.safetensors")).toThrow(message);
  expect(() => parseSafetensors(bytes, "x.safetensors")).toThrow(/x\.safetensors/);
});

it("refuses names of megabytes and nests without end, in messages that a person can read", () => {
  const name = "a".repeat(32e6);
  const nest = `${"[".repeat(2e5)}${"]".repeat(2e5)}`;
  for (const header of [
    `{"${name}":1}`,
    `{"${name}":1,"${name}":2}`,
    `{"${name.slice(0, 1e6)}":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}`,
    `{"a":{"dtype":${nest}}}`,
    `{"a":{"dtype":"U8","shape":${nest}}}`,
    `{"a":${nest}}`,
    nest,
    '{"\\\\":'.repeat(1e5),
  ])
    try {
      parseSafetensors(file(header));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ name: "SafetensorsError" });
      expect((error as Error).message.length).toBeLessThan(400);
    }
});

it("finds a name that is declared twice, whatever stands between, and takes no value for a name", () => {
  const entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
  const parse = (header: string) => [...parseSafetensors(file(header)).tensors.keys()];
  expect(() => parse(`{ "a" : ${entry} , "\\"b\\\\" :${entry},\n"a"\t: ${entry}}`)).toThrow(
    /"a" is declared twice/,
  );
  expect(parse(`{"U8":${entry},"dtype":${entry},"\\\\":${entry},"\\"":${entry}}`)).toEqual([
    "U8",
    "dtype",
    "\\",
    '"',
  ]);
  expect(parse(`{"__metadata__":{"a":"a","x":"{["},"a":${entry},"x":${entry}}`)).toEqual(["a", "x"]);
});

it("never does worse than a typed error on noise", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => parseSafetensors(file(bytes))).toThrow(
        expect.objectContaining({ name: "SafetensorsError" }),
      );
    }),
    { examples: [[new Uint8Array(0)]] },
  );
});

it("refuses to write what does not fit its shape or type", async () => {
  const data = Float32Array.of(1);
  await expect(encodeSafetensors([{ name: "a", dtype: "F32", shape: [2], data }])).rejects.toThrow(
    /needs 2 elements/,
  );
  await expect(encodeSafetensors([{ name: "a", dtype: "I32", shape: [1], data }])).rejects.toThrow(
    /Int32Array/,
  );
  const twice = { name: "a", dtype: "F32" as const, shape: [1], data };
  await expect(encodeSafetensors([twice, twice])).rejects.toThrow(/given twice/);
});
