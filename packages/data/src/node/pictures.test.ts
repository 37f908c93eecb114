import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import jpeg from "jpeg-js";
import { PNG } from "pngjs";
import { expect, it } from "vitest";
import { decodeImage } from "./images/decode-image.ts";
import { readImages } from "./index.ts";

/** CRC-32 as PNG has it. */
function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
}

function chunk(kind: string, body: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(kind), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc(named));
  return Buffer.concat([length, named, sum]);
}

interface Header {
  width: number;
  height: number;
  depth?: number;
  colour?: number;
  interlace?: number;
}

/** A PNG whose checksums are right, whatever it holds. */
function png({ width, height, depth = 8, colour = 2, interlace = 0 }: Header, data: Uint8Array): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlace], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

const zeros = (bytes: number) => deflateSync(Buffer.alloc(bytes));
const refusal = (file: Uint8Array): string => {
  try {
    const { height, width } = decodeImage(file, "x.png");
    return `${height} × ${width}`;
  } catch (error) {
    return (error as Error).message;
  }
};

it.each([
  // Rows of a filter's byte and the pixels; 5 × 3 by Adam7 are 1, 1, 0, 1, 3, twice 2 and 5 pixels.
  ["colour", { width: 8, height: 8 }, 8 * 25],
  ["grey of a bit", { width: 9, height: 4, depth: 1, colour: 0 }, 4 * 3],
  ["16 bits with alpha", { width: 3, height: 2, depth: 16, colour: 6 }, 2 * 25],
  ["interlaced", { width: 5, height: 3, colour: 0, interlace: 1 }, 2 + 2 + 2 + 4 + 2 * 3 + 6],
])("a PNG holds the pixels that its header says: %s", (_, header, bytes) => {
  expect(refusal(png(header, zeros(bytes)))).toBe(`${header.height} × ${header.width}`);
  expect(refusal(png(header, zeros(bytes - 1)))).toMatch(
    new RegExp(
      `^x.png: the picture can't be read: its header says .* ${bytes} bytes, and there are ${bytes - 1}\\.$`,
    ),
  );
  expect(refusal(png(header, zeros(bytes + 1)))).toMatch(/and there are more\.$/);
});

it("an ordinary PNG of pngjs is read", () => {
  const picture = new PNG({ width: 7, height: 5 });
  picture.data.forEach((_, i) => {
    picture.data[i] = (i * 37) % 256;
  });
  expect([...decodeImage(PNG.sync.write(picture), "x").rgba]).toEqual([...picture.data]);
});

it("a small file that claims 4000 × 4000 pixels is not filled up, a cut one neither, and a folder names it", async () => {
  const claims = png({ width: 4000, height: 4000 }, zeros(8 * 25));
  const folder = await mkdtemp(join(tmpdir(), "fdiv-pictures-"));
  await writeFile(join(folder, "first.png"), png({ width: 8, height: 8 }, zeros(200)));
  await writeFile(join(folder, "second.png"), claims);
  await expect(readImages(folder, { size: 8 })).rejects.toThrow(
    /second\.png: the picture can't be read: its header says 4000 × 4000 pixels, 48004000 bytes, and there are 200\.$/,
  );
  const whole = png(
    { width: 8, height: 8 },
    deflateSync(Buffer.from(Array.from({ length: 200 }, (_, i) => i % 5))),
  );
  for (let length = 8; length < whole.length; length++)
    expect(refusal(whole.subarray(0, length))).toMatch(
      /can't be read: (it has no whole header|the file is cut)\.$/,
    );
  const swapped = Buffer.from(whole);
  swapped[60] = swapped[60]! ^ 0xff;
  expect(refusal(swapped)).toMatch(/can't be read: (its compressed pixels are cut or damaged|it is damaged)/);
  for (const [header, message] of [
    [{ width: 0, height: 8 }, /0 × 8 pixels/],
    [{ width: 8, height: 8, depth: 3 }, /colour type 2 of 3 bits/],
    [{ width: 8, height: 8, colour: 5 }, /colour type 5/],
    [{ width: 8, height: 8, interlace: 2 }, /interlacing 2/],
  ] as const)
    expect(refusal(png(header, zeros(200)))).toMatch(message);
});

it("a JPEG that is cut or claims more pixels than it holds is refused without the decoder's words", () => {
  const data = Buffer.from(Array.from({ length: 64 * 64 * 4 }, (_, i) => (i * 7919 + ((i * i) % 251)) % 256));
  const whole = jpeg.encode({ width: 64, height: 64, data }, 80).data;
  const frame = whole.indexOf(Buffer.from([0xff, 0xc0]));
  const claims = Buffer.from(whole);
  claims.writeUInt16BE(4000, frame + 5);
  expect(refusal(whole)).toBe("64 × 64");
  expect(refusal(claims)).toBe(
    "x.png: the picture can't be read: it holds fewer pixels than its header says.",
  );
  claims.writeUInt16BE(60_000, frame + 5);
  claims.writeUInt16BE(60_000, frame + 7);
  expect(refusal(claims)).toMatch(/larger than the 67108864 pixels allowed\.$/);
  for (const length of [4, 30, 300, whole.length >> 1, whole.length - 2])
    expect(refusal(whole.subarray(0, length))).toMatch(
      /can't be read: (the file is cut|it is damaged, or .*)\.$/,
    );
});

it.each([
  ["restarts-grey.jpg", "20 × 20"],
  ["restarts-420.jpg", "24 × 40"],
  ["restarts-444.jpg", "24 × 40"],
])("%s is read whole, and refused where it ends with any of its restart intervals", async (name, size) => {
  const whole = await readFile(new URL(`../golden/${name}`, import.meta.url));
  expect(refusal(whole)).toBe(size);
  const restarts = [...whole.keys()].filter((i) => whole[i] === 0xff && (whole[i + 1]! & 0xf8) === 0xd0);
  expect(restarts.length).toBeGreaterThan(1);
  for (const at of restarts)
    expect(refusal(Buffer.concat([whole.subarray(0, at), Buffer.of(0xff, 0xd9)]))).toMatch(
      /holds fewer pixels/,
    );
});
