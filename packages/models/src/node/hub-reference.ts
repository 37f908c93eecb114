/** A repository on the hub, at a revision, and perhaps one file in it. */
export interface HubReference {
  kind: "model" | "dataset";
  /** `owner/name`, or `name` alone for the hub's oldest. */
  repo: string;
  revision: string;
  path?: string;
}

const name = /^[A-Za-z0-9][\w.-]{0,95}$/;

/**
 * Reads `hf:owner/name`, `hf:owner/name@revision`, `hf:owner/name/file` or both, and `hf:datasets/owner/name` alike.
 *
 * @throws Error showing the form, where the text has another.
 */
export function parseHubReference(text: string): HubReference {
  const fail = (why: string): never => {
    throw new Error(`"${text}" is no reference to the hub (${why}); write hf:owner/name[@revision][/file]`);
  };
  if (!text.startsWith("hf:")) fail("it does not start with hf:");
  const body = text.slice(3);
  const dataset = body.startsWith("datasets/");
  const rest = dataset ? body.slice("datasets/".length) : body;
  const [, repoPart = "", after] = /^([^@]*)(?:@(.*))?$/s.exec(rest) ?? [];
  const segments = repoPart.split("/");
  const repoSegments = segments.slice(0, 2);
  if (!repoSegments.every((segment) => name.test(segment) && !segment.includes("..")))
    fail("owner and name are letters, digits, ., _ and -");
  const path = segments.slice(2);
  let revision = "main";
  if (after !== undefined) {
    if (path.length > 0) fail("the revision goes before the file");
    const [, found = "", file] = /^(refs\/[^/]+\/[^/]+|[^/]+)(?:\/(.*))?$/s.exec(after) ?? [];
    if (!/^[\w./-]+$/.test(found) || found.includes("..")) fail("the revision is a branch, tag or commit");
    revision = found;
    if (file) path.push(...file.split("/"));
  }
  const file = path.join("/");
  if (path.length > 0 && !isSafePath(file)) fail("the file's path leaves the repository");
  return {
    kind: dataset ? "dataset" : "model",
    repo: repoSegments.join("/"),
    revision,
    ...(file && { path: file }),
  };
}

/** Whether a file name from the hub stays inside the folder it is put in, on every system. */
export function isSafePath(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  if (path.length === 0 || path.length > 1024 || /[\\:\u0000-\u001f]/.test(path)) return false;
  return path.split("/").every((segment) => segment !== "" && segment !== "." && segment !== "..");
}
