import { it } from "vitest";

it.skip("runs in a browser: no Chromium was found; install one, or name it by FDIV_CHROMIUM", () =>
  undefined);
