// Business events as JSON into rows: one object, a list, or `{ events: […] }`, each item judged by itself.
import type { Instant } from '../../lib/time.ts'
import type { EventRow } from '../../model/batch.ts'
import { type ItemProblem, ItemReader, itemsOf } from '../item.ts'

export interface EventLimits {
  /** Oldest and furthest ahead an event may be, in milliseconds. */
  readonly maxAge: number
  readonly maxAhead: number
  readonly items: number
  readonly textLength: number
  readonly attributes: number
}
export const defaultEventLimits: EventLimits = {
  maxAge: 7 * 86_400_000,
  maxAhead: 600_000,
  items: 10_000,
  textLength: 1024,
  attributes: 64,
}

/** A row, and whether it came with a value (only then the histogram counts it). */
export interface Event {
  readonly index: number
  readonly row: EventRow
  readonly hasValue: boolean
}

const known = ['id', 'name', 'value', 'time', 'agent', 'version', 'outcome', 'attributes']

const event = (item: unknown, index: number, now: Instant, limits: EventLimits): Event | ItemProblem => {
  const read = new ItemReader(item, index, limits)
  const row: EventRow = {
    id: read.text('id', true),
    at: read.time('time', now),
    name: read.text('name', true),
    value: read.number('value') ?? 0,
    agent: read.text('agent', false),
    version: read.text('version', false),
    outcome: read.text('outcome', false),
    attributes: read.attributes('attributes', limits.attributes),
  }
  read.only(known)
  return read.problem ?? { index, row, hasValue: read.has('value') }
}

/**
 * Events of a request's body, and the items that are none with the reason and the mend. Throws `bad_data` when the body as a whole is no
 * JSON or holds no list of events.
 */
export const decodeEvents = (
  body: Buffer,
  now: Instant,
  limits: EventLimits,
): { readonly events: Event[]; readonly problems: ItemProblem[] } => {
  const events: Event[] = []
  const problems: ItemProblem[] = []
  itemsOf(body, 'events', limits.items).forEach((item, i) => {
    const read = event(item, i, now, limits)
    if ('row' in read) events.push(read)
    else problems.push(read)
  })
  return { events, problems }
}
