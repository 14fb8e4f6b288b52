// Rows that travel as bytes from the decoder to the store: what is wide and never computed with costs nothing on the way.

/**
 * Rows of one table, each a run of `bytes` in RowBinary (lib/row-binary.ts), fields in the order their noun's file gives. Row `i` ends
 * before `ends[i]` and begins where the one before it ends.
 */
export interface PackedRows {
  readonly bytes: Uint8Array
  readonly ends: Uint32Array
}

/** Packed rows that belong to series: row `i` is of series `ref[i]` at `at[i]` milliseconds. */
export interface SeriesRows extends PackedRows {
  readonly ref: Uint32Array
  readonly at: Float64Array
}

export const countRows = (rows: PackedRows | undefined): number => rows?.ends.length ?? 0

/** Several as one; undefined when there are none. */
export const joinRows = (parts: readonly (PackedRows | undefined)[]): PackedRows | undefined => {
  const full = parts.filter((p): p is PackedRows => countRows(p) > 0)
  if (full.length <= 1) return full[0]
  const bytes = new Uint8Array(full.reduce((sum, p) => sum + p.bytes.length, 0))
  const ends = new Uint32Array(full.reduce((sum, p) => sum + p.ends.length, 0))
  let at = 0
  let row = 0
  for (const part of full) {
    bytes.set(part.bytes, at)
    for (const end of part.ends) ends[row++] = at + end
    at += part.bytes.length
  }
  return { bytes, ends }
}

/** Rows `from … to - 1`; undefined when there are none. */
export const sliceRows = (rows: PackedRows | undefined, from: number, to: number): PackedRows | undefined => {
  if (!rows || from >= to) return undefined
  if (from === 0 && to === rows.ends.length) return rows
  const start = from === 0 ? 0 : rows.ends[from - 1]!
  return {
    bytes: rows.bytes.subarray(start, rows.ends[to - 1]!),
    ends: rows.ends.subarray(from, to).map((end) => end - start),
  }
}

export const joinSeriesRows = (parts: readonly (SeriesRows | undefined)[]): SeriesRows | undefined => {
  const full = parts.filter((p): p is SeriesRows => countRows(p) > 0)
  if (full.length <= 1) return full[0]
  const rows = joinRows(full)!
  const ref = new Uint32Array(rows.ends.length)
  const at = new Float64Array(rows.ends.length)
  let row = 0
  for (const part of full) {
    ref.set(part.ref, row)
    at.set(part.at, row)
    row += part.ends.length
  }
  return { ...rows, ref, at }
}

export const sliceSeriesRows = (
  rows: SeriesRows | undefined,
  from: number,
  to: number,
): SeriesRows | undefined => {
  const cut = sliceRows(rows, from, to)
  return cut && rows
    ? { ...cut, ref: rows.ref.subarray(from, to), at: rows.at.subarray(from, to) }
    : undefined
}

/** The bytes of row `i`. */
export const rowBytes = (rows: PackedRows, i: number): Uint8Array =>
  rows.bytes.subarray(i === 0 ? 0 : rows.ends[i - 1]!, rows.ends[i]!)
