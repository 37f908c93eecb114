import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Bars in two directions, by class: 120 images of 4 × 4 as IDX, `bars` with their `labels`. */
export async function saveBars(place: string): Promise<void> {
  const count = 120;
  const header = (shape: number[]) => {
    const bytes = Buffer.alloc(4 + 4 * shape.length);
    bytes.set([0, 0, 8, shape.length]);
    shape.forEach((n, axis) => {
      bytes.writeUInt32BE(n, 4 + 4 * axis);
    });
    return bytes;
  };
  const pixels = Buffer.alloc(count * 16);
  for (let i = 0; i < count; i++)
    for (let k = 0; k < 16; k++) {
      const along = i % 2 === 0 ? k % 4 : Math.floor(k / 4);
      pixels[i * 16 + k] = along === Math.floor(i / 2) % 4 ? 230 : 20;
    }
  await writeFile(join(place, "bars"), Buffer.concat([header([count, 4, 4]), pixels]));
  const labels = Buffer.from(Array.from({ length: count }, (_, i) => i % 2));
  await writeFile(join(place, "labels"), Buffer.concat([header([count]), labels]));
}

/** A distillation of bars in seconds, as settings of the command line. */
export const barSettings = (place: string): string[] => [
  `data.images=${join(place, "bars")}`,
  `data.labels=${join(place, "labels")}`,
  "teacher.train={ net: { blockChannels: [8], normGroups: 4, headSize: 8 }, steps: 12, batchSize: 8 }",
  "discriminator.hidden=8",
  "steps=14",
  "batchSize=6",
  "schedule.generatorEvery=3",
  "checkpointEvery=4",
  "previewEvery=5",
  "evaluation={ samples: 24, teacherSteps: [3], classifier: { steps: 8, batchSize: 16, blockChannels: [8], features: 4 } }",
];
