// Small state that survives kill -9: JSON rows in a journal, which is begun anew from a snapshot when it grows long.
import type { Journal } from './journal.ts'

export interface RowLog {
  /** The rows of the last snapshot and those after it, in order. */
  replay(): Promise<unknown[]>
  /** Resolves when the rows are on disk; rejects `storage_full` or `unavailable` when none of them is. */
  append(rows: readonly unknown[]): Promise<void>
  /** Puts these rows in place of all that was appended before this call. Until it resolves, a kill finds either the old or the new. */
  rewrite(rows: readonly unknown[]): Promise<void>
  /** Bytes on disk. */
  size(): number
}

interface Snapshot {
  readonly snapshot: readonly unknown[]
}

const isSnapshot = (value: unknown): value is Snapshot =>
  typeof value === 'object' && value !== null && Array.isArray((value as Snapshot).snapshot)

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

/** A journal's records are arrays of rows, or one whole snapshot: so that no part of either is ever read without the rest. */
export const rowLog = (journal: Journal): RowLog => ({
  replay: async () => {
    let rows: unknown[] = []
    for await (const record of journal.read(journal.start)) {
      const value: unknown = JSON.parse(record.bytes.toString('utf8'))
      if (isSnapshot(value)) rows = [...value.snapshot]
      else for (const row of value as unknown[]) rows.push(row)
    }
    return rows
  },
  append: async (rows) => {
    if (rows.length > 0) await journal.append(bytes(rows))
  },
  rewrite: async (rows) => {
    journal.roll()
    const position = await journal.append(bytes({ snapshot: rows }))
    await journal.drop(position)
  },
  size: () => journal.bytes,
})

/** The same, kept in memory: for tests of what happens over a restart. */
export const memoryRowLog = (): RowLog => {
  let rows: unknown[] = []
  return {
    replay: async () => rows.map((row) => structuredClone(row)),
    append: async (more) => void rows.push(...more.map((row) => structuredClone(row))),
    rewrite: async (all) => {
      rows = all.map((row) => structuredClone(row))
    },
    size: () => rows.length * 200,
  }
}
