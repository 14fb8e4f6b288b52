// Stores one sealed range: tries again while the store is away, cuts the range down to the rows that can never be stored.
import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Backoff, backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { duration } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import { printLabels } from '../model/labels.ts'
import { countRows, type PackedRows, rowBytes } from '../model/packed-rows.ts'
import type { BatchWriter } from '../model/ports/batch-writer.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { SeriesTable } from '../model/series.ts'
import { createMerger, rowsOf, sliceBatch } from './batch-rows.ts'

export interface RangeStoreOptions {
  readonly writer: BatchWriter
  readonly table: SeriesTable
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Where bad rows are set aside, one JSON line each. */
  readonly quarantine: string
}

const waits: Backoff = { first: duration(100), most: duration(10_000) }
// A range that is bad through and through would cost two writes a row: past this, refused parts are set aside whole.
const mostCuts = 400

export class RangeStore {
  readonly #options: RangeStoreOptions
  readonly #merge = createMerger()
  readonly #failures
  readonly #quarantined
  /** The error that the store gives now, null while it takes what it is given. */
  failing: string | null = null
  /** Called whenever the store does not take rows. */
  failed: () => void = () => undefined

  constructor(options: RangeStoreOptions) {
    this.#options = options
    const { metrics } = options
    this.#failures = metrics.counter(
      'airboss_log_store_failures_total',
      'Writes of logged rows to the store that failed',
      ['code'],
    )
    this.#quarantined = metrics.counter(
      'airboss_log_quarantined_rows_total',
      'Rows that the store can never take, set aside',
    )
  }

  /**
   * Stores the batches of one range; one range at a time. Resolves when every row is stored or set aside; rejects only when `signal` aborts
   * or the quarantine cannot be written.
   */
  async store(batches: readonly Batch[], token: string, signal: AbortSignal): Promise<void> {
    const batch = this.#merge(batches)
    let cuts = 0
    // Halves are named by their path, so that a replay cuts the same way and writes under the same tokens.
    const parts: { from: number; to: number; token: string }[] = [{ from: 0, to: rowsOf(batch), token }]
    while (parts.length > 0) {
      const part = parts.pop()!
      const rows = sliceBatch(batch, part.from, part.to)
      const refusal = await this.#write(rows, part.token, signal)
      if (refusal === null) continue
      if (part.to - part.from <= 1 || cuts >= mostCuts) {
        await this.#setAside(rows, token, refusal)
        continue
      }
      cuts++
      const middle = (part.from + part.to) >>> 1
      parts.push({ from: middle, to: part.to, token: `${part.token}b` })
      parts.push({ from: part.from, to: middle, token: `${part.token}a` })
    }
  }

  /** Null when stored, the reason when refused for good; waits and tries again on everything else. */
  async #write(rows: Batch, token: string, signal: AbortSignal): Promise<string | null> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted()
      try {
        await this.#options.writer.write(rows, token, signal)
        if (this.failing !== null) this.#options.log.info({ attempt }, 'store takes rows again')
        this.failing = null
        return null
      } catch (error) {
        signal.throwIfAborted()
        const code = error instanceof AppError ? error.code : 'internal'
        this.#failures.add(1, { code })
        if (code === 'bad_data') return messageOf(error)
        if (this.failing === null)
          this.#options.log.warn(
            { err: error, token },
            'store does not take rows; the log keeps them and tries again',
          )
        this.failing = messageOf(error)
        this.failed()
        await this.#options.clock.sleep(backoff(waits, attempt), signal)
      }
    }
  }

  async #setAside(rows: Batch, token: string, why: string): Promise<void> {
    const { quarantine, table, log } = this.#options
    const lines: string[] = []
    const line = (kind: string, row: unknown): void =>
      void lines.push(JSON.stringify({ token, why, kind, row }))
    for (let i = 0; i < rows.ref.length; i++)
      line('sample', {
        series: printLabels(table.labels(rows.ref[i]!)),
        at: rows.at[i]!,
        value: String(rows.value[i]!),
      })
    for (const row of rows.metadata) line('metadata', row)
    for (const row of rows.events) line('event', row)
    for (const row of rows.costs) line('cost', row)
    const packed = (kind: string, of: PackedRows | undefined): void => {
      for (let i = 0; i < countRows(of); i++) line(kind, Buffer.from(rowBytes(of!, i)).toString('base64'))
    }
    packed('histogram', rows.histograms)
    packed('exemplar', rows.exemplars)
    packed('span', rows.spans)
    packed('log', rows.logs)
    await mkdir(quarantine, { recursive: true })
    const file = join(quarantine, `${token}.jsonl`)
    await appendFile(file, `${lines.join('\n')}\n`, { mode: 0o640 })
    this.#quarantined.add(lines.length)
    log.error({ file, rows: lines.length, why }, 'rows that can never be stored are set aside')
  }
}
