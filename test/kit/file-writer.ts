// A store for tests: one file a token, written whole; the same token with other rows is an error.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Batch } from '../../src/model/batch.ts'
import { printLabels } from '../../src/model/labels.ts'
import type { BatchWriter } from '../../src/model/ports/batch-writer.ts'
import type { SeriesTable } from '../../src/model/series.ts'

/** Rows as text, by series and not by reference: references differ between processes. */
export const rowTexts = (table: SeriesTable, batch: Batch): string[] => [
  ...Array.from(batch.ref, (ref, i) => `${printLabels(table.labels(ref))} ${batch.at[i]} ${batch.value[i]}`),
  ...batch.metadata.map((m) => JSON.stringify(m)),
  ...batch.events.map((e) => JSON.stringify(e)),
  ...batch.costs.map((c) => JSON.stringify(c)),
]

export const fileWriter = (dir: string, table: SeriesTable): BatchWriter => {
  mkdirSync(dir, { recursive: true })
  return {
    write: async (batch, token) => {
      const path = join(dir, token)
      const rows = rowTexts(table, batch).join('\n')
      if (existsSync(path)) {
        if (readFileSync(path, 'utf8') !== rows) throw new Error(`token ${token} came again with other rows`)
        return
      }
      writeFileSync(`${path}.part`, rows)
      renameSync(`${path}.part`, path)
    },
  }
}

export const storedRows = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => !name.endsWith('.part'))
    .flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n'))
