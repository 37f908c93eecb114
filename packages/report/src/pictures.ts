import { plots } from "./charts.ts";
import { type Generators, generatorsOf } from "./generator-runs.ts";
import { escapeHtml, remark } from "./html.ts";
import type { Picture, RunData } from "./run-data.ts";

/** A picture inside the page. */
const embedded = ({ name, png }: Picture, caption: string): string =>
  `<figure><figcaption>${escapeHtml(caption)}</figcaption><img class="pixels" alt="${escapeHtml(name)}" src="data:image/png;base64,${base64(png)}"></figure>`;

/** Base64 without a platform's own means, so that a page can be made anywhere. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x2000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x2000));
  return btoa(text);
}

/** In the order in which they are looked at: student, teacher by its steps, fake denoiser, real; then others. */
const places: [matches: RegExp, place: number][] = [
  [/^student/, 0],
  [/^teacher/, 1],
  [/^fake/, 2],
  [/^real/, 3],
];
const placeOf = ({ name }: Picture): number => places.find(([matches]) => matches.test(name))?.[1] ?? 4;
const stepsOf = ({ name }: Picture): number => Number(/\d+$/.exec(name)?.[0] ?? 0);

const inOrder = (pictures: readonly Picture[]): Picture[] =>
  [...pictures].sort((a, b) => placeOf(a) - placeOf(b) || stepsOf(a) - stepsOf(b));

function captionOf(picture: Picture, { evaluation }: RunData): string {
  const { name } = picture;
  const sigma = evaluation.generator?.fakeSigma;
  if (name === "student") return "student, 1 step";
  if (/^teacher-\d+$/.test(name)) return `teacher, ${stepsOf(picture)} Heun steps`;
  if (name !== "fake-denoiser") return name;
  return `what the fake denoiser makes of the student's samples${sigma === undefined ? " under noise" : ` at σ = ${sigma}`}`;
}

/** With more variants than these the fake denoisers' pictures would hide the students'. */
const mostWithFakes = 4;

/** The first run of each variant with its name, then the teachers' runs, of whose pictures the student's say nothing. */
function shownRuns({
  variants,
  teachers,
}: Generators): { name: string; run: RunData; pictures: Picture[] }[] {
  const named = (name: string): string => (variants.length > 1 ? `${name}: ` : "");
  return [
    ...variants.map(({ name, runs: [first] }) => ({
      name: named(name),
      run: first!,
      pictures: first!.pictures ?? [],
    })),
    ...teachers.slice(0, 1).map((run) => ({
      name: "",
      run,
      pictures: (run.pictures ?? []).filter(({ name }) => name.startsWith("teacher")),
    })),
  ];
}

/** Grids of samples, of several variants the first run each: students, teachers, fake denoisers, real. */
export function pictures(runs: readonly RunData[]): string {
  const generators = generatorsOf(runs);
  const hasFakes = generators.variants.length <= mostWithFakes;
  const seen = new Set<string>();
  const all = shownRuns(generators).flatMap(({ name, run, pictures: own }) =>
    inOrder(own)
      .filter((picture) => hasFakes || placeOf(picture) !== 2)
      .map((picture) => ({ name, run, picture })),
  );
  const drawn = [...all]
    .sort((a, b) => placeOf(a.picture) - placeOf(b.picture))
    .flatMap(({ name, run, picture }) => {
      const caption = `${placeOf(picture) === 3 ? "" : name}${captionOf(picture, run)}`;
      // Real examples are the same for all variants.
      const key = `${caption} ${base64(picture.png)}`;
      if (seen.has(key)) return [];
      seen.add(key);
      return [embedded(picture, caption)];
    });
  const some = generators.variants.some(({ runs: own }) => own.length > 1);
  return drawn.length > 0
    ? (some
        ? remark(
            `Of the first run of each.${hasFakes ? "" : " What the fake denoisers make of the samples is on each run's own page."}`,
          )
        : "") + plots(drawn)
    : "";
}

const mostStrips = 8;

/** The student's samples from the same noise as training went on, a row a variant, the last from its averaged weights. */
export function previews(runs: readonly RunData[]): string {
  const { variants } = generatorsOf(runs);
  const strips = variants.flatMap(({ name, runs: [first] }) => {
    const own = first?.previews ?? [];
    if (own.length === 0) return [];
    const grids = own.map((picture) => embedded(picture, `step ${stepsOf(picture)}`));
    const title = variants.length > 1 ? `<h3>${escapeHtml(name)}</h3>` : "";
    return [`${title}<div class="strip">${grids.join("")}</div>`];
  });
  return strips.slice(0, mostStrips).join("");
}
