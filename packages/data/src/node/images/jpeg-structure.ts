/** A component of a JPEG's frame: its id and how often it is sampled. */
interface Component {
  id: number;
  across: number;
  down: number;
}

interface Frame {
  width: number;
  height: number;
  components: Component[];
}

/** A frame header (ITU-R T.81, B.2.2) whose parameters begin at `at`. */
function frameOf(view: DataView, at: number): Frame {
  const components = Array.from({ length: view.getUint8(at + 5) }, (_, i) => {
    const factors = view.getUint8(at + 7 + 3 * i);
    return { id: view.getUint8(at + 6 + 3 * i), across: factors >> 4, down: factors & 15 };
  });
  return { height: view.getUint16(at + 1), width: view.getUint16(at + 3), components };
}

/** Blocks that a scan of some components codes one after the other (A.2.2 and A.2.3). */
function codedUnits({ width, height, components }: Frame, scanned: readonly number[]): number {
  const [across, down] = (["across", "down"] as const).map((axis) =>
    Math.max(...components.map((component) => component[axis])),
  );
  const alone = scanned.length === 1 && components.find(({ id }) => id === scanned[0]);
  const blocks = (length: number, own: number, most: number) =>
    alone ? Math.ceil(Math.ceil((length * own) / most) / 8) : Math.ceil(length / (8 * most));
  const { across: x, down: y } = alone || { across: 1, down: 1 };
  return blocks(width, x, across!) * blocks(height, y, down!);
}

/**
 * Whether a scan has fewer restart intervals than its header's size takes: where one is missing, decoders stop and leave grey. Other damage is for the decoder to find.
 *
 * @param file begins with FF D8
 */
export function lacksIntervals(file: Uint8Array): boolean {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let frame: Frame | undefined;
  let interval = 0;
  let at = 2;
  while (at + 4 <= file.length && file[at] === 0xff) {
    const marker = file[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    const parameters = at + 4;
    at += 2 + length;
    if (marker === 0xd9 || at > file.length) return false;
    if (marker === 0xdd && length === 4) interval = view.getUint16(parameters);
    if (marker >= 0xc0 && marker <= 0xc2 && length >= 8 && length === 8 + 3 * file[parameters + 5]!)
      frame = frameOf(view, parameters);
    if (marker !== 0xda) continue;
    const scanned = Array.from({ length: file[parameters]! }, (_, i) => file[parameters + 1 + 2 * i]!);
    let intervals = 1;
    // Coded data has a 0 behind each FF.
    for (; at + 1 < file.length; at++) {
      if (file[at] !== 0xff || file[at + 1] === 0) continue;
      if (file[at + 1]! < 0xd0 || file[at + 1]! > 0xd7) break;
      intervals++;
    }
    if (frame && interval > 0 && intervals < Math.ceil(codedUnits(frame, scanned) / interval)) return true;
  }
  return false;
}
