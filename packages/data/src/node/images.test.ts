import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import jpeg from "jpeg-js";
import { PNG } from "pngjs";
import { beforeAll, describe, expect, it } from "vitest";
import {
  classCount,
  imageSet,
  imagesOfArray,
  parseIdx,
  parseNpy,
  resizeImages,
  scaledPixels,
  selectImages,
} from "../index.ts";
import { readImages } from "./index.ts";

let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "fdiv-images-"));
});

/** An IDX file, written from its description. */
function idx(shape: number[], values: number[], type = 8): Uint8Array {
  const bytes = { 8: 1, 13: 4 }[type]!;
  const file = Buffer.alloc(4 + 4 * shape.length + bytes * values.length);
  file.set([0, 0, type, shape.length]);
  shape.forEach((length, axis) => {
    file.writeUInt32BE(length, 4 + 4 * axis);
  });
  values.forEach((value, i) => {
    const at = 4 + 4 * shape.length + bytes * i;
    if (type === 8) file[at] = value;
    else file.writeFloatBE(value, at);
  });
  return file;
}

function npy(header: string, body: Uint8Array): Uint8Array {
  const text = Buffer.from(`${header.padEnd(117)}\n`, "latin1");
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  return Buffer.concat([start, text, body]);
}
const described = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;

const saved = async (name: string, bytes: Uint8Array): Promise<string> => {
  await writeFile(join(place, name), bytes);
  return join(place, name);
};

function png(height: number, width: number, colour: (y: number, x: number) => number[]): Buffer {
  const picture = new PNG({ height, width });
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) picture.data.set([...colour(y, x), 255], 4 * (y * width + x));
  return PNG.sync.write(picture);
}

describe("IDX", () => {
  it("gives images and labels, gzipped or not, scaled to [−1, 1]", async () => {
    const images = await saved("i.gz", gzipSync(idx([2, 1, 2], [0, 255, 51, 102])));
    const labels = await saved("l", idx([2], [3, 0]));
    const set = await readImages(images, { labels });
    expect([set.count, set.height, set.width, set.channels, classCount(set)]).toEqual([2, 1, 2, 1, 4]);
    const scaled = [...scaledPixels(set, [1, 0])];
    [-0.6, -0.2, -1, 1].forEach((x, i) => {
      expect(scaled[i]!).toBeCloseTo(x, 6);
    });
    expect([...selectImages(set, [1]).labels!]).toEqual([0]);
    expect((await readImages(images, { labels, limit: 1 })).count).toBe(1);
  });

  it("reads big-endian floats", () => {
    expect([...parseIdx(idx([2], [0.5, -2], 13), "f").values]).toEqual([0.5, -2]);
  });
});

describe(".npy", () => {
  it("reads bytes, floats of either order and int64 labels", async () => {
    const bytes = await saved("b.npy", npy(described("|u1", "1, 2, 2"), Uint8Array.of(0, 85, 170, 255)));
    expect([...scaledPixels(await readImages(bytes), [0])].map((x) => Math.round(3 * x))).toEqual([
      -3, -1, 1, 3,
    ]);
    const swapped = Buffer.alloc(8);
    swapped.writeFloatBE(0.25, 0);
    swapped.writeFloatBE(-0.5, 4);
    expect([...parseNpy(npy(described(">f4", "2,"), swapped), "f").values]).toEqual([0.25, -0.5]);
    const wide = new Uint8Array(new BigInt64Array([7n]).buffer);
    expect([...parseNpy(npy(described("<i8", "1,"), wide), "l").values]).toEqual([7]);
    const floats = new Uint8Array(new Float32Array([0, 0.5, 1, 1]).buffer);
    const file = await saved("f.npy", npy(described("<f4", "1, 2, 2"), floats));
    expect([...(await readImages(file, { range: [0, 1] })).pixels]).toEqual([-1, 0, 1, 1]);
    await expect(readImages(file, { range: [0, 0.7] })).rejects.toThrow(
      /value 2 is 1, outside of \[0, 0.7\]/,
    );
  });
});

describe("a folder of pictures", () => {
  it("takes subfolders as classes, cuts the middle square and averages it down", async () => {
    const folder = join(place, "pictures");
    for (const name of ["b", "a"]) await mkdir(join(folder, name), { recursive: true });
    const half = (_: number, x: number) => (x < 4 ? [0, 0, 0] : [255, 255, 255]);
    await writeFile(join(folder, "a", "1.png"), png(4, 8, half));
    const data = Buffer.alloc(6 * 6 * 4, 200);
    await writeFile(join(folder, "b", "2.jpg"), jpeg.encode({ height: 6, width: 6, data }, 95).data);
    const set = await readImages(folder, { size: 2 });
    expect([set.count, set.height, set.channels, set.classes]).toEqual([2, 2, 1, ["a", "b"]]);
    expect([...set.labels!]).toEqual([0, 1]);
    expect([...set.pixels.slice(0, 4)]).toEqual([0, 255, 0, 255]);
    for (const level of set.pixels.slice(4)) expect(Math.abs(level - 200)).toBeLessThan(3);
    expect((await readImages(folder, { size: 2, channels: 3 })).channels).toBe(3);
    await expect(readImages(folder)).rejects.toThrow(
      /2.jpg: 6 × 6 pixels, the first picture 4 × 8; set size/,
    );
    await writeFile(
      join(folder, "stray.png"),
      png(2, 2, () => [0, 0, 0]),
    );
    await expect(readImages(folder, { size: 2 })).rejects.toThrow(/stray.png lies beside subfolders/);
  });
});

describe("resizing", () => {
  it("keeps the mean, and what is constant", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 12 }),
        fc.infiniteStream(fc.float({ min: -1, max: 1, noNaN: true })),
        (height, width, to, stream) => {
          const values = Float32Array.from(
            { length: height * width * 2 },
            () => stream.next().value as number,
          );
          const set = imageSet({ count: 1, height, width, channels: 2, pixels: values });
          const small = resizeImages(set, to, to + 1);
          const mean = (x: ArrayLike<number>) => Array.from(x).reduce((sum, v) => sum + v, 0) / x.length;
          expect(mean(small.pixels)).toBeCloseTo(mean(values), 4);
          const even = resizeImages({ ...set, pixels: new Float32Array(values.length).fill(0.25) }, to, to);
          for (const v of even.pixels) expect(v).toBeCloseTo(0.25, 5);
        },
      ),
    );
  });
});

describe("hostile files are refused with a message", () => {
  it.each([
    [
      "a cut IDX",
      () => parseIdx(idx([3, 2, 2], [1, 2, 3]), "f"),
      /f: the header says \[3,2,2\], 12 bytes, and 3 follow/,
    ],
    [
      "a huge IDX",
      () => parseIdx(Uint8Array.of(0, 0, 8, 1, 255, 255, 255, 255), "f"),
      /4294967295 bytes, and 0 follow/,
    ],
    ["a header only", () => parseIdx(Uint8Array.of(0, 0, 8, 4, 0), "f"), /header is cut/],
    [
      "an object array",
      () => parseNpy(npy(described("|O", "1,"), new Uint8Array(8)), "f"),
      /not of booleans, integers or floats/,
    ],
    [
      "Fortran order",
      () => parseNpy(npy(described("|u1", "1,", "True"), new Uint8Array(1)), "f"),
      /Fortran order/,
    ],
    [
      "a header that runs code",
      () => parseNpy(npy("__import__('os')", new Uint8Array(1)), "f"),
      /not of booleans/,
    ],
    [
      "not images",
      () => imagesOfArray({ shape: [4], kind: "bytes", values: new Uint8Array(4) }, "f"),
      /expected \[count, height, width\]/,
    ],
    [
      "NaN",
      () => imagesOfArray({ shape: [1, 1, 1], kind: "floats", values: Float64Array.of(Number.NaN) }, "f"),
      /value 0 is NaN, outside/,
    ],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
  });

  it("a picture that claims to be enormous, a damaged one, a text, a bomb", async () => {
    const folder = join(place, "hostile");
    await mkdir(folder);
    const giant = png(2, 2, () => [1, 2, 3]);
    giant.writeUInt32BE(1_000_000, 16);
    giant.writeUInt32BE(1_000_000, 20);
    await writeFile(join(folder, "x.png"), giant);
    await expect(readImages(folder)).rejects.toThrow(/1000000 × 1000000 pixels are more than/);
    await writeFile(join(folder, "x.png"), png(8, 8, (y, x) => [y * 31, x * 31, 7]).subarray(0, 70));
    await expect(readImages(folder)).rejects.toThrow(/x.png: .*the file is cut/);
    await writeFile(join(folder, "x.png"), "hello");
    await expect(readImages(folder)).rejects.toThrow(/x.png: neither PNG nor JPEG/);
    const bomb = await saved("bomb.gz", gzipSync(Buffer.alloc(1 << 20)).subarray(0, 500));
    await expect(readImages(bomb)).rejects.toThrow(/bomb.gz: .*cut or damaged/);
    await expect(readImages(join(place, "nothing"))).rejects.toThrow(/no such file or folder/);
  });
});
