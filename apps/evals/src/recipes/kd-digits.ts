import { parseArgs } from "node:util";
import { number, numbers } from "../arguments.ts";
import { digits } from "../distill/images.ts";
import { digitStudents } from "../kd/digit-students.ts";

export const usage =
  "[--teacher-images 20000] [--student-images 2000] [--teacher-hidden 256] [--student-hidden 8] [--batch 64] [--seeds 1,2,…,10] [--output FOLDER]";

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      "teacher-images": { type: "string", default: "20000" },
      "student-images": { type: "string", default: "2000" },
      "teacher-hidden": { type: "string", default: "256" },
      "student-hidden": { type: "string", default: "8" },
      batch: { type: "string", default: "64" },
      seeds: { type: "string", default: "1,2,3,4,5,6,7,8,9,10" },
      output: { type: "string", default: "runs/kd-digits" },
    },
  });
  console.log(
    await digitStudents({
      train: digits(),
      test: digits("t10k"),
      teacherImages: number("teacher-images", values["teacher-images"]),
      studentImages: number("student-images", values["student-images"]),
      teacherHidden: number("teacher-hidden", values["teacher-hidden"]),
      studentHidden: number("student-hidden", values["student-hidden"]),
      batchSize: number("batch", values.batch),
      seeds: numbers("seeds", values.seeds),
      output: values.output,
    }),
  );
}
