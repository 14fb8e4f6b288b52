// Records: versioned documents, kept in memory, appended to a file with fsync, each chained to the one before.
import { mkdir, type open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { Instant } from '../lib/time.ts'
import type { Ledger, LedgerVersion, PutOptions } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Service } from '../model/ports/service.ts'
import {
  breakMessage,
  brokenAt,
  decodeLink,
  digestOf,
  encodeLink,
  genesis,
  hashOf,
  type Link,
} from './chain.ts'
import { openRecordFile, type RecordFile, readRecords } from './record-file.ts'

/** Longest value of one version, in bytes of JSON. */
const longestValue = 4 << 20

type Verified =
  | { readonly ok: true; readonly versions: number; readonly hash: string }
  | { readonly ok: false; readonly sequence: number; readonly why: string }

export interface OpenLedger extends Ledger, Service {
  /** Reads the file again from its first byte and checks every link, and that its end is the one in memory. */
  verify(): Promise<Verified>
  /** Calls back with each version once it is on disk; the answer ends that. */
  subscribe(run: (version: LedgerVersion) => void): () => void
  /** Versions after a sequence, oldest first, at most `limit`. */
  since(sequence: number, limit?: number): readonly LedgerVersion[]
  /** Erases the values of replaced and deleted versions older than `before`; heads, digests and the chain stay. Resolves to how many. */
  erase(before: Instant): Promise<number>
}

interface Deps {
  /** Made when it is not there. */
  readonly dir: string
  /** How its file is opened; left out: as Node does. */
  readonly openFile?: typeof open
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

const keyOf = (kind: string, id: string): string => `${kind}\u0000${id}`

class FileLedger implements OpenLedger {
  readonly #deps: Deps
  readonly #path: string
  #file: RecordFile | null = null
  readonly #links: Link[] = []
  /** Newest version of each document by kind and id, in the order of their last change. */
  readonly #kinds = new Map<string, Map<string, Link>>()
  /** What has been asked for and is not on disk yet: compare-and-set and the chain look here first. */
  #pending = new Map<string, Link>()
  #tail = { hash: genesis, sequence: 0 }
  readonly #subscribers = new Set<(version: LedgerVersion) => void>()
  readonly #written
  readonly #failed
  readonly #size

  constructor(deps: Deps) {
    this.#deps = deps
    this.#path = join(deps.dir, 'ledger.log')
    const { metrics } = deps
    this.#written = metrics.counter('airboss_ledger_versions_total', 'Versions written to the ledger.', [
      'kind',
    ])
    this.#failed = metrics.counter(
      'airboss_ledger_write_failures_total',
      'Ledger writes that did not reach the disk.',
    )
    this.#size = metrics.gauge('airboss_ledger_versions', 'Versions the ledger holds.')
  }

  async start(): Promise<void> {
    if (this.#file) return
    await mkdir(this.#deps.dir, { recursive: true })
    const { file, records, torn } = await openRecordFile(
      this.#path,
      () => this.#forget(),
      this.#deps.openFile,
    )
    try {
      for (const record of records) this.#load(record)
    } catch (error) {
      await file.close()
      throw error
    }
    if (torn > 0)
      this.#deps.log.warn({ bytes: torn, path: this.#path }, 'cut an unfinished write off the ledger')
    this.#file = file
    this.#size.set(this.#links.length)
  }

  #load(record: Buffer): void {
    const place = this.#tail.sequence + 1
    let link: Link
    try {
      link = decodeLink(record)
    } catch (error) {
      throw new AppError(
        'bad_data',
        `${this.#path}: the chain breaks at sequence ${place}: ${messageOf(error)}`,
      )
    }
    const why = brokenAt(link, this.#tail.hash, place)
    if (why)
      throw new AppError('bad_data', `${breakMessage(this.#path, link, why)}; restore the file from a backup`)
    this.#tail = { hash: link.hash, sequence: link.sequence }
    this.#show(link)
  }

  #show(link: Link): void {
    this.#links.push(link)
    const kind = this.#kinds.get(link.kind) ?? new Map<string, Link>()
    this.#kinds.set(link.kind, kind)
    kind.delete(link.id)
    kind.set(link.id, link)
  }

  async drain(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  get<T>(kind: string, id: string): LedgerVersion<T> | null {
    const link = this.#kinds.get(kind)?.get(id)
    return link && !link.deleted ? (link as LedgerVersion as LedgerVersion<T>) : null
  }

  list<T>(kind: string): readonly LedgerVersion<T>[] {
    const living: LedgerVersion<T>[] = []
    for (const link of this.#kinds.get(kind)?.values() ?? [])
      if (!link.deleted) living.push(link as LedgerVersion as LedgerVersion<T>)
    return living.reverse()
  }

  history(filter: { kind?: string; id?: string; limit: number; before?: number }): readonly LedgerVersion[] {
    const { kind, id, limit } = filter
    const found: LedgerVersion[] = []
    const from = Math.min(this.#links.length, (filter.before ?? Number.POSITIVE_INFINITY) - 1)
    for (let i = from - 1; i >= 0 && found.length < limit; i--) {
      const link = this.#links[i]!
      if ((kind === undefined || link.kind === kind) && (id === undefined || link.id === id)) found.push(link)
    }
    return found
  }

  since(sequence: number, limit = 10_000): readonly LedgerVersion[] {
    return this.#links.slice(Math.max(sequence, 0), Math.max(sequence, 0) + limit)
  }

  subscribe(run: (version: LedgerVersion) => void): () => void {
    this.#subscribers.add(run)
    return () => void this.#subscribers.delete(run)
  }

  async put<T>(kind: string, id: string, value: T | null, options: PutOptions): Promise<LedgerVersion<T>> {
    const file = this.#file
    if (!file) throw new AppError('unavailable', 'the ledger is not open')
    const link = this.#next(kind, id, value, options)
    const key = keyOf(kind, id)
    this.#pending.set(key, link)
    this.#tail = { hash: link.hash, sequence: link.sequence }
    try {
      await file.append(encodeLink(link))
    } catch (error) {
      this.#failed.add()
      throw error
    }
    if (this.#pending.get(key) === link) this.#pending.delete(key)
    this.#show(link)
    this.#written.add(1, { kind })
    this.#size.set(this.#links.length)
    this.#tell(link)
    return link as LedgerVersion as LedgerVersion<T>
  }

  /** A failed write takes everything asked after it along: the chain goes on from what is on disk. */
  #forget(): void {
    this.#pending = new Map()
    const last = this.#links.at(-1)
    this.#tail = { hash: last?.hash ?? genesis, sequence: last?.sequence ?? 0 }
  }

  #next(kind: string, id: string, value: unknown, { by, why, expect }: PutOptions): Link {
    if (kind === '' || id === '') throw new AppError('bad_data', 'a ledger document needs a kind and an id')
    const text = JSON.stringify(value ?? null)
    if (text.length > longestValue)
      throw new AppError('too_large', `${kind} ${id}: ${text.length} bytes, at most ${longestValue} are kept`)
    const last = this.#pending.get(keyOf(kind, id)) ?? this.#kinds.get(kind)?.get(id)
    const current = last && !last.deleted ? last.version : 0
    if (expect !== undefined && expect !== current)
      throw new AppError(
        'conflict',
        `${kind} ${id} is at version ${current}${last ? `, changed by ${last.by}` : ''}, not at ${expect}; read it again and repeat the change`,
      )
    // A copy: what the caller does to its object afterwards is no part of the record.
    const kept: unknown = JSON.parse(text)
    const link = {
      kind,
      id,
      version: (last?.version ?? 0) + 1,
      by: by.id,
      why,
      at: this.#deps.clock.now(),
      sequence: this.#tail.sequence + 1,
      deleted: kept === null,
      digest: digestOf(kept),
    }
    return { ...link, value: kept, erased: false, hash: hashOf(this.#tail.hash, link) }
  }

  #tell(link: Link): void {
    for (const run of this.#subscribers) {
      try {
        run(link)
      } catch (error) {
        this.#deps.log.error({ err: error }, 'a subscriber of the ledger failed')
      }
    }
  }

  async verify(): Promise<Verified> {
    // What is written while the file is read is not yet expected in it.
    const expected = { sequence: this.#links.length, hash: this.#links.at(-1)?.hash ?? genesis }
    let hash = genesis
    let sequence = 0
    try {
      const { records } = await readRecords(this.#path)
      for (const record of records.slice(0, expected.sequence)) {
        const link = decodeLink(record)
        const why = brokenAt(link, hash, ++sequence)
        if (why) return { ok: false, sequence, why: breakMessage(this.#path, link, why) }
        hash = link.hash
      }
    } catch (error) {
      return { ok: false, sequence: sequence + 1, why: messageOf(error) }
    }
    if (sequence === expected.sequence && hash === expected.hash)
      return { ok: true, versions: sequence, hash }
    const why = `${this.#path} holds ${sequence} versions that end in ${hash.slice(0, 12)}…, memory ${expected.sequence} that end in ${expected.hash.slice(0, 12)}…`
    return { ok: false, sequence: sequence + 1, why }
  }

  async erase(before: Instant): Promise<number> {
    const file = this.#file
    if (!file) throw new AppError('unavailable', 'the ledger is not open')
    let erased = 0
    const next = this.#links.map((link) => {
      const newest = this.#kinds.get(link.kind)?.get(link.id) === link
      if (link.erased || link.at >= before || newest || link.value === null) return link
      erased++
      return { ...link, value: null, erased: true }
    })
    if (erased === 0) return 0
    if (this.#pending.size > 0)
      throw new AppError('unavailable', 'the ledger is being written; try again', { retryable: true })
    await file.replace(next.map(encodeLink))
    for (let i = 0; i < next.length; i++) this.#links[i] = next[i]!
    return erased
  }
}

/** A ledger in a folder of its own; `start` loads it and throws `bad_data` naming the version where its chain breaks. */
export const openLedger = (deps: Deps): OpenLedger => new FileLedger(deps)
