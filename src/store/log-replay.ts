// What a log finds in its journal when it starts: ranges not yet stored, the rows after the last seal, the last checkpoint.
import { breathe } from '../lib/clock.ts'
import type { Journal } from '../lib/journal.ts'
import type { Batch } from '../model/batch.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { SeriesTable } from '../model/series.ts'
import { bytesOf, rowsOf, spanOf } from './batch-rows.ts'
import { BatchDecoder, newestBefore, noteBody, recordKinds } from './log-codec.ts'

/** Batches in the journal's positions `from … to` that are stored as one. `nonce` keeps tokens apart should positions ever repeat. */
export interface SealNote {
  readonly from: number
  readonly to: number
  readonly rows: number
  readonly nonce: string
}
export interface CheckpointNote {
  /** Batches from here on are given to `replay`. */
  readonly replayFrom: number
  readonly states: Readonly<Record<string, unknown>>
}
export interface DoneNote {
  readonly from: number
}

export interface Held {
  readonly position: number
  readonly batch: Batch
}

interface FoundRange {
  readonly seal: SealNote
  readonly batches: Batch[] | null
  /** Oldest and newest sample time. */
  readonly fromAt: number
  readonly toAt: number
}

export interface Found {
  /** Sealed and not known to be stored, in order; those past the memory limit without their batches. */
  readonly ranges: readonly FoundRange[]
  /** Accepted after the last seal. */
  readonly tail: readonly Held[]
  readonly replayFrom: number
  /** Newest sample time of all that was ever logged. */
  readonly maxAt: number
  /** Every accepted sample newer than this was given to `replayed`. */
  readonly heldFromAt: number
}

interface Notes {
  readonly seals: SealNote[]
  readonly checkpoint: CheckpointNote | null
  readonly sealedTo: number
}

const readNotes = async (journal: Journal): Promise<Notes> => {
  const seals = new Map<number, SealNote>()
  let checkpoint: CheckpointNote | null = null
  let sealedTo = 0
  for await (const { bytes } of journal.read(journal.start)) {
    const kind = bytes[0]
    if (kind === recordKinds.seal) {
      const seal = noteBody(bytes) as SealNote
      seals.set(seal.from, seal)
      sealedTo = Math.max(sealedTo, seal.to)
    } else if (kind === recordKinds.done) seals.delete((noteBody(bytes) as DoneNote).from)
    else if (kind === recordKinds.checkpoint) checkpoint = noteBody(bytes) as CheckpointNote
  }
  // A range whose segments are gone was stored: segments go only after that.
  const living = [...seals.values()].filter((s) => s.to >= journal.start)
  return { seals: living.sort((a, b) => a.from - b.from), checkpoint, sealedTo }
}

const breatheEvery = 256

/** Reads the journal through, restores the producers, hands every batch that is still there to `replayed`, in order. */
export const replayJournal = async (options: {
  journal: Journal
  table: SeriesTable
  producers: readonly Producer[]
  replayed: (batch: Batch) => void
  memoryBytes: number
  /** Newest time known when the journal is empty. */
  emptyAt: number
}): Promise<Found> => {
  const { journal, table, producers, replayed, memoryBytes } = options
  const { seals, checkpoint, sealedTo } = await readNotes(journal)
  for (const producer of producers) {
    const state = checkpoint?.states[producer.name]
    if (state !== undefined) producer.restore(state)
  }
  const replayFrom = checkpoint?.replayFrom ?? journal.start
  const ranges = seals.map((seal) => ({ seal, batches: [] as Batch[] | null, ...spanOf([]) }))
  const tail: Held[] = []
  const decoder = new BatchDecoder(table)
  let maxAt = options.emptyAt
  let heldFromAt: number | null = null
  let held = 0
  let r = 0
  let n = 0
  for await (const { position, bytes, segment } of journal.read(journal.start)) {
    if (bytes[0] !== recordKinds.batch) continue
    const batch = decoder.decode(bytes, segment)
    heldFromAt ??= newestBefore(bytes)
    const { fromAt, toAt } = spanOf([batch])
    maxAt = Math.max(maxAt, newestBefore(bytes), toAt)
    while (r < ranges.length && ranges[r]!.seal.to < position) r++
    const range = ranges[r]
    if (position > sealedTo) tail.push({ position, batch })
    else if (range && position >= range.seal.from) {
      range.fromAt = Math.min(range.fromAt, fromAt)
      range.toAt = Math.max(range.toAt, toAt)
      held += bytesOf(batch)
      if (held > memoryBytes) range.batches = null
      else range.batches?.push(batch)
    }
    replayed(batch)
    if (position >= replayFrom) for (const producer of producers) producer.replay(batch, position)
    if (++n % breatheEvery === 0) await breathe()
  }
  // Damage in the journal: from the hole on nobody can say what is missing.
  if (journal.damage.length > 0) heldFromAt = maxAt
  return { ranges, tail, replayFrom, maxAt, heldFromAt: heldFromAt ?? maxAt }
}

/** The batches of one range, read from the journal. */
export const readRange = async (journal: Journal, table: SeriesTable, seal: SealNote): Promise<Batch[]> => {
  const decoder = new BatchDecoder(table)
  const first = journal.segments.filter((s) => s.first <= seal.from).at(-1)?.first ?? journal.start
  const batches: Batch[] = []
  for await (const { position, bytes, segment } of journal.read(first)) {
    if (position > seal.to) break
    if (bytes[0] !== recordKinds.batch) continue
    if (position < seal.from) decoder.learn(bytes, segment)
    else batches.push(decoder.decode(bytes, segment))
  }
  return batches
}

export const rowsIn = (held: readonly Held[]): number => held.reduce((sum, h) => sum + rowsOf(h.batch), 0)
