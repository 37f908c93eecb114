import { Interrupted } from "../failure.ts";
import type { Session } from "../session.ts";

/** Hears how much of something is done, from 0 to 1. @throws Interrupted when it is to stop */
export type Heard = (share: number) => Promise<void>;

const sayEvery = 5000;

/** Says now and then how far a measure is, and stops it where the session is aborted. */
export function measuring(what: string, { session, output }: { session: Session; output: string }): Heard {
  let said = performance.now();
  session.say(`measuring: ${what}`);
  return async (share) => {
    // One turn of the event loop, so that a signal is heard.
    await new Promise((resolve) => setImmediate(resolve));
    if (session.signal.aborted)
      throw new Interrupted(
        `Stopped while measuring ${what}; what was measured before is kept in ${output}. Add --resume to go on.`,
      );
    if (performance.now() - said < sayEvery) return;
    session.say(`  ${what}: ${Math.floor(100 * share)} %`);
    said = performance.now();
  };
}
