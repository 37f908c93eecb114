import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PNG } from "pngjs";
import { beforeAll, describe, expect, it } from "vitest";
import { DataError } from "../index.ts";
import { pictureOf, readCaptions } from "./index.ts";

let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "fdiv-captions-"));
});

const saved = async (name: string, text: string | Uint8Array): Promise<string> => {
  await writeFile(join(place, name), text);
  return join(place, name);
};
const lines = (...rows: object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");

describe("captions", () => {
  it("of rows, with pictures and without, one or several each", async () => {
    const file = await saved(
      "rows.jsonl",
      lines(
        { caption: " a cat ", image: "cats/1.png" },
        { captions: ["a dog", "two dogs"], file_name: "2.jpg" },
        { text: "nothing", image: null },
      ),
    );
    expect(await readCaptions(file)).toEqual([
      { captions: ["a cat"], image: join(place, "cats", "1.png") },
      { captions: ["a dog", "two dogs"], image: join(place, "2.jpg") },
      { captions: ["nothing"] },
    ]);
    expect(await readCaptions(file, { images: "/pictures", limit: 1 })).toEqual([
      { captions: ["a cat"], image: "/pictures/cats/1.png" },
    ]);
    expect(await readCaptions(await saved("plain.txt", "a cat\na dog\n"))).toEqual([
      { captions: ["a cat"] },
      { captions: ["a dog"] },
    ]);
  });

  it("of MS-COCO's annotations, all of a picture's together", async () => {
    const file = await saved(
      "captions_val2014.json",
      JSON.stringify({
        info: {},
        images: [
          { id: 7, file_name: "a.jpg" },
          { id: 9, file_name: "b.jpg" },
          { id: 8, file_name: "none.jpg" },
        ],
        annotations: [
          { image_id: 9, id: 1, caption: "b one" },
          { image_id: 7, id: 2, caption: "a one." },
          { image_id: 9, id: 3, caption: "b two" },
        ],
      }),
    );
    expect(await readCaptions(file, { images: "/val2014" })).toEqual([
      { captions: ["a one."], image: "/val2014/a.jpg" },
      { captions: ["b one", "b two"], image: "/val2014/b.jpg" },
    ]);
  });

  it("of a folder of pictures with a text each", async () => {
    const folder = join(place, "pairs");
    await mkdir(folder);
    const picture = new PNG({ height: 2, width: 4 });
    picture.data.fill(200);
    await writeFile(join(folder, "b.png"), PNG.sync.write(picture));
    await expect(readCaptions(folder)).rejects.toThrow(/there is no b\.txt with its caption/);
    await writeFile(join(folder, "b.txt"), "grey\n");
    expect(await readCaptions(folder)).toEqual([{ captions: ["grey"], image: join(folder, "b.png") }]);
    const { height, width, channels, pixels } = pictureOf(PNG.sync.write(picture), "b.png", 2);
    expect([height, width, channels]).toEqual([2, 2, 3]);
    expect(new Set(pixels)).toEqual(new Set([200]));
    await expect(readCaptions(folder, { images: place })).rejects.toThrow(/pictures are its own/);
  });

  it.each([
    ["no caption", lines({ image: "x.png" }), /caption is missing; the row has image/],
    ["a caption that is no text", lines({ caption: 3 }), /:1: caption is no text/],
    ["a caption beyond reason", lines({ caption: "x".repeat(70_000) }), /70000 characters/],
    ["an image outside", lines({ caption: "a", image: "../x.png" }), /is not inside/],
    ["an absolute image", lines({ caption: "a", image: "/etc/x.png" }), /is not inside/],
    ["an image that is no name", lines({ caption: "a", image: 4 }), /image is no file's name/],
    ["no captions", lines({ captions: [] }), /captions is empty/],
  ])("%s is refused with its place", async (_, text, message) => {
    const file = await saved("wrong.jsonl", text);
    const attempt = readCaptions(file);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(DataError);
  });

  it("what is not there, or holds nothing", async () => {
    await expect(readCaptions(join(place, "nowhere"))).rejects.toThrow(/no such file or folder/);
    await expect(readCaptions(await saved("bad.json", "{"))).rejects.toThrow(/not valid JSON/);
    await mkdir(join(place, "empty"));
    await expect(readCaptions(join(place, "empty"))).rejects.toThrow(/there is no caption in it/);
  });
});
