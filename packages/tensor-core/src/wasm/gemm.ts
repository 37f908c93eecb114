import { blocking } from "./kernel-ids.ts";
import type { KernelModule } from "./module.ts";

/** A matrix as it lies in memory: where, and how many numbers apart rows and columns are. */
export interface MatrixView {
  pointer: number;
  rowStride: number;
  columnStride: number;
  /** Whether its numbers are bfloat16, which only a right operand may be. */
  half?: boolean;
  /** Whether it lies in panels already, as `packPanels` leaves a right operand. */
  packed?: boolean;
}

export interface GemmOptions {
  accumulate?: boolean;
  /** Pointer to N numbers, or 0. */
  bias?: number;
  /** As in kernels/activation.as.ts. */
  activation?: number;
  /** Pointer to M × N numbers, or 0. */
  preactivation?: number;
}

/** Rows up to which packing B costs more than it gains. */
const fewRows = 16;
/** Most bytes of B that are packed at a time. */
const packedBytes = 8 << 20;

/** Tasks a thread should find, so that the last ones end together. */
const tasksPerThread = 4;
/** Fewest columns of a task: below, packing its rows anew costs too much. */
const fewestColumns = 128;

/** Rows and columns of a task: whole blocks where there are many, smaller ones where threads would wait. */
function taskShape(m: number, columns: number, threads: number): [rows: number, columns: number] {
  if (threads === 1) return [blocking.rowBlock, columns];
  const wanted = threads * tasksPerThread;
  const rows = Math.min(blocking.rowBlock, Math.max(24, 6 * Math.ceil(m / wanted / 6)));
  const runs = Math.max(1, Math.ceil(wanted / Math.ceil(m / rows)));
  return [rows, Math.min(columns, Math.max(fewestColumns, 8 * Math.ceil(columns / runs / 8)))];
}

/** A row-major matrix, or its transpose. */
export function view(
  pointer: number,
  rows: number,
  columns: number,
  transposed: boolean,
  half = false,
): MatrixView {
  return transposed
    ? { pointer, rowStride: 1, columnStride: rows, half }
    : { pointer, rowStride: columns, columnStride: 1, half };
}

/** Columns of a panel of B. */
export const panelColumns = 8;

/** A right operand in panels, [panels, rows, panelColumns]. */
export const panelView = (pointer: number): MatrixView => ({
  pointer,
  rowStride: 1,
  columnStride: 1,
  packed: true,
});

/** Copies columns [first, first + columns) of B, K deep, to panels, the last filled up with zeros; `packed` has room for them. */
export function packPanels(
  module: KernelModule,
  b: MatrixView,
  k: number,
  packed: number,
  columns: number,
  first = 0,
): void {
  const bytes = b.half ? 2 : 4;
  const operands = [0, b.pointer, 0, 0, 0, k, 0, 0, bytes * b.rowStride, bytes * b.columnStride];
  const args = [...operands, packed, 0, 0, first, columns, 0, 0, 0, 0, 0, 0, b.half ? 1 : 0];
  module.run("packPanel", args, Math.ceil(columns / panelColumns));
}

/** C [M, N], row-major at `c`, = (C +) op(A) [M, K] · op(B) [K, N], then bias and activation. */
export function gemm(
  module: KernelModule,
  a: MatrixView,
  b: MatrixView,
  c: number,
  [m, n, k]: readonly [number, number, number],
  options: GemmOptions = {},
): void {
  if (m === 0 || n === 0) return;
  const { accumulate = false, bias = 0, activation = 0, preactivation = 0 } = options;
  const workerBytes = (blocking.rowBlock * blocking.depth + 64) * 4;
  const worker = module.scratch("worker", workerBytes * module.threads);
  const bytes = b.half ? 2 : 4;
  const common = (packed: number, first: number, columns: number) => [
    a.pointer,
    b.pointer,
    c,
    m,
    n,
    k,
    4 * a.rowStride,
    4 * a.columnStride,
    bytes * b.rowStride,
    bytes * b.columnStride,
    packed,
    worker,
    workerBytes,
    first,
    columns,
    accumulate ? 1 : 0,
    bias,
    activation,
    preactivation,
  ];
  if (b.packed) {
    const [rows, split] = taskShape(m, n, module.threads);
    const args = [...common(b.pointer, 0, n), rows, split, 0];
    module.run("gemmRows", args, Math.ceil(m / rows) * Math.ceil(n / split));
    return;
  }
  const columnTasks = Math.ceil(n / blocking.columnBlock);
  if (m <= fewRows && !b.half && a.columnStride === 1 && b.rowStride === 1) {
    module.run("gemmDots", common(0, 0, n), columnTasks);
    return;
  }
  if (m <= fewRows && !b.half && b.columnStride === 1 && n % 8 === 0) {
    module.run("gemmColumns", common(0, 0, n), columnTasks);
    return;
  }
  const perPanel = 4 * panelColumns * Math.max(1, k);
  const panels = Math.ceil(n / panelColumns);
  const step = Math.max(1, Math.min(panels, Math.floor(packedBytes / perPanel)));
  const packed = module.scratch("packed", step * perPanel);
  for (let panel = 0; panel < panels; panel += step) {
    const first = panel * panelColumns;
    const columns = Math.min(n - first, step * panelColumns);
    const [rows, split] = taskShape(m, columns, module.threads);
    packPanels(module, b, k, packed, columns, first);
    const args = [...common(packed, first, columns), rows, split, b.half ? 1 : 0];
    module.run("gemmRows", args, Math.ceil(m / rows) * Math.ceil(columns / split));
  }
}
