// Copies of an operand in the order in which a tile reads it, which absorbs every transpose.

/** Four rows of four numbers become four columns. */
// @ts-ignore: decorator
@inline
export function transpose4(from: usize, fromRow: usize, to: usize, toRow: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + fromRow);
  transposeVectors(a, b, v128.load(from + 2 * fromRow), v128.load(from + 3 * fromRow), to, toRow);
}

// @ts-ignore: decorator
@inline
export function transposeVectors(a: v128, b: v128, c: v128, d: v128, to: usize, toRow: usize): void {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to + toRow, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
  v128.store(to + 2 * toRow, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5));
  v128.store(to + 3 * toRow, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7));
}

/** Packs rows of A into panels of six, short ones filled with zeros: element (r, k) at 6k + r. */
export function packRows(from: usize, row: usize, column: usize, rows: i32, k: i32, to: usize): void {
  for (let r = 0; r < rows; r += 6) {
    const height = min(6, rows - r);
    const base = from + <usize>r * row;
    if (height == 6 && column == 4) {
      let at = base;
      let i = 0;
      for (; i + 4 <= k; i += 4) {
        transpose4(at, row, to, 24);
        const e = v128.load(at + 4 * row);
        const f = v128.load(at + 5 * row);
        const low = v128.shuffle<f32>(e, f, 0, 4, 1, 5);
        const high = v128.shuffle<f32>(e, f, 2, 6, 3, 7);
        v128.store64_lane(to + 16, low, 0);
        v128.store64_lane(to + 40, low, 1);
        v128.store64_lane(to + 64, high, 0);
        v128.store64_lane(to + 88, high, 1);
        to += 96;
        at += 16;
      }
      for (; i < k; i++) {
        for (let h: usize = 0; h < 6; h++) store<f32>(to + (h << 2), load<f32>(at + h * row));
        to += 24;
        at += 4;
      }
      continue;
    }
    let at = base;
    for (let i = 0; i < k; i++) {
      for (let h: usize = 0; h < 6; h++)
        store<f32>(to + (h << 2), <i32>h < height ? load<f32>(at + h * row) : 0);
      to += 24;
      at += column;
    }
  }
}
