const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text made harmless inside HTML, in elements and in quoted attributes. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character]!);

/** A figure of few digits; – for what is none. */
export const number = (value: unknown, digits = 3): string =>
  typeof value === "number" && Number.isFinite(value) ? Number(value.toPrecision(digits)).toString() : "–";

/** With more columns than these a table takes a smaller hand, to fit the page. */
const mostColumns = 8;

/** A table; cells are text. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  className = header.length > mostColumns ? "many" : "",
): string {
  const cells = (row: readonly string[], tag: "th" | "td"): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  return `<div class="wide"><table class="${className}"><thead>${cells(header, "th")}</thead><tbody>${rows.map((row) => cells(row, "td")).join("")}</tbody></table></div>`;
}

/** A table without the columns, but the first, that say nothing in any row. */
export function tableOfKnown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const known = header.map((_, i) => i === 0 || rows.some((row) => row[i] !== "–"));
  const pick = (row: readonly string[]): string[] => row.filter((_, i) => known[i]);
  return table(pick(header), rows.map(pick));
}

/** What is said of what follows. */
export const remark = (text: string): string => `<p class="remark">${escapeHtml(text)}</p>`;

/** A heading within a section. */
export const heading = (text: string): string => `<h3>${escapeHtml(text)}</h3>`;

/** A section with a heading; nothing when it has no content. */
export const section = (title: string, content: string, told = ""): string =>
  content === ""
    ? ""
    : `<section><h2>${escapeHtml(title)}</h2>${told ? remark(told) : ""}${content}</section>`;

/** A whole page of sections: no script, no font, no picture from elsewhere. `notes` is HTML. */
export const page = (title: string, notes: string, sections: readonly string[]): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><style>${style}</style></head><body><h1>${escapeHtml(title)}</h1><p class="notes">${notes}</p>${sections.join("")}</body></html>\n`;

const style = `
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #666; --line: #ddd; --page: #fff; --card: #fafafa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #9a9a9a; --line: #3a3a3a; --page: #161616; --card: #1e1e1e; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 1120px; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; } h3 { font-size: .98rem; margin: 1.4rem 0 .3rem; }
.remark, .notes { color: var(--soft); margin: 0 0 .8rem; font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .3rem .5rem; white-space: nowrap; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums; vertical-align: top; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 9rem; } th { font-weight: 600; white-space: normal; vertical-align: bottom; }
table.many { font-size: .78rem; } table.many th, table.many td { padding: .3rem .35rem; }
table.small { font-size: .74rem; } table.small th, table.small td { padding: .15rem .45rem; } table.small td:nth-child(2) { white-space: normal; }
table.text td { text-align: left; white-space: pre-wrap; min-width: 11rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1rem; }
.plots.broad { grid-template-columns: repeat(auto-fill, minmax(460px, 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
figcaption { font-size: .85rem; font-weight: 600; margin-bottom: .3rem; } svg { width: 100%; height: auto; color: var(--ink); font-family: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; font-size: .88rem; margin: .5rem 0 1rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em; }
.strip { display: grid; grid-template-columns: repeat(6, 1fr); gap: .5rem; } .strip figure { padding: .3rem; } .strip figcaption { font-weight: 400; }
img.pixels { width: 100%; image-rendering: pixelated; display: block; }
.wide + .plots { margin-top: 1rem; } .wide + .remark { margin-top: .6rem; }
@page { margin: 12mm; }
@media print {
  html { font-size: 10.4px; } body { font-size: 1rem; max-width: none; margin: 0; padding: 0; } .wide { overflow: visible; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .plots { grid-template-columns: repeat(3, 1fr); } .plots.broad { grid-template-columns: repeat(2, 1fr); }
}
pre { white-space: pre-wrap; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; overflow-x: auto; font-size: .8rem; }
`;
