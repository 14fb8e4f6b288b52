// Silences: documents of the ledger that hold alerts back for a time.
import { randomUUID } from 'node:crypto'
import { AppError } from '../lib/errors.ts'
import type { Instant } from '../lib/time.ts'
import { type Actor, system } from '../model/actor.ts'
import type { Matcher } from '../model/matcher.ts'
import { valueTest } from '../model/matcher.ts'
import type { Silence, WantedSilence } from '../model/ports/alert-manager.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import { checkMatcher, type LabelSet, matcherTest, parseMatchers, printMatcher } from './matchers.ts'

const kind = 'silence'
/** Expired silences stay visible this long, as Alertmanager keeps them by default. */
const retention = 120 * 3_600_000

/** A silence as the ledger keeps it. */
interface SilenceDocument {
  readonly matchers: readonly Matcher[]
  readonly startsAt: Instant
  readonly endsAt: Instant
  readonly createdBy: string
  readonly comment: string
  readonly annotations: Readonly<Record<string, string>>
  readonly updatedAt: Instant
}

export const silenceState = (s: { startsAt: Instant; endsAt: Instant }, now: Instant): Silence['state'] =>
  now < s.startsAt ? 'pending' : now < s.endsAt ? 'active' : 'expired'

const check = (wanted: WantedSilence, now: Instant): void => {
  const refuse = (why: string): never => {
    throw new AppError('bad_data', `silence: ${why}`)
  }
  if (wanted.matchers.length === 0) refuse('at least one matcher is needed')
  for (const m of wanted.matchers) checkMatcher(m)
  if (wanted.matchers.every((m) => valueTest(m)('')))
    refuse('at least one matcher must not match the empty string, or everything would be silenced')
  if (!(wanted.startsAt < wanted.endsAt)) refuse('endsAt must be after startsAt')
  if (wanted.endsAt <= now) refuse('endsAt must be in the future')
  if (wanted.createdBy === '') refuse('createdBy must say who')
  if (wanted.comment === '') refuse('comment must say why')
}

const sameMatchers = (a: readonly Matcher[], b: readonly Matcher[]): boolean =>
  a.map(printMatcher).sort().join() === b.map(printMatcher).sort().join()

const rank = { active: 0, pending: 1, expired: 2 } as const
const inOrder = (a: Silence, b: Silence): number => {
  if (a.state !== b.state) return rank[a.state] - rank[b.state]
  if (a.state === 'active') return a.endsAt - b.endsAt
  return a.state === 'pending' ? a.startsAt - b.startsAt : b.endsAt - a.endsAt
}

const shown = (id: string, value: SilenceDocument, now: Instant): Silence => ({
  ...value,
  id,
  state: silenceState(value, now),
})

/** Only the times of a living silence may change under its id; anything else ends it and begins another. */
const mayChangeInPlace = (old: SilenceDocument, wanted: WantedSilence, now: Instant): boolean => {
  const state = silenceState(old, now)
  if (state === 'expired' || !sameMatchers(old.matchers, wanted.matchers)) return false
  return state === 'pending' ? wanted.startsAt >= now : wanted.startsAt === old.startsAt
}

export interface Silences {
  /** Ids of the active silences that hold these labels. */
  silencedBy(labels: LabelSet, now: Instant): string[]
  list(matchers: readonly string[], now: Instant): Silence[]
  get(id: string, now: Instant): Silence | null
  set(wanted: WantedSilence, by: Actor, now: Instant): Promise<string>
  expire(id: string, by: Actor, now: Instant): Promise<void>
  /** Deletes what expired longer ago than the retention; gives how many. */
  sweep(now: Instant): Promise<number>
}

interface Kept {
  readonly id: string
  readonly version: number
  readonly value: SilenceDocument
}

class LedgerSilences implements Silences {
  readonly #ledger: Ledger
  readonly #tests = new Map<string, { version: number; test: (labels: LabelSet) => boolean }>()
  #active: { at: Instant; silences: readonly Kept[] } | null = null
  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  #all(): Kept[] {
    return this.#ledger
      .list<SilenceDocument>(kind)
      .flatMap((v) => (v.value ? [{ id: v.id, version: v.version, value: v.value }] : []))
  }

  #test(id: string, version: number, matchers: readonly Matcher[]): (labels: LabelSet) => boolean {
    const known = this.#tests.get(id)
    if (known?.version === version) return known.test
    const test = matcherTest(matchers)
    this.#tests.set(id, { version, test })
    return test
  }

  async #put(id: string, value: SilenceDocument, by: Actor, why: string, expect: number): Promise<void> {
    await this.#ledger.put<SilenceDocument>(kind, id, value, { by, why, expect })
    this.#active = null
  }

  silencedBy(labels: LabelSet, now: Instant): string[] {
    // Many alerts are asked about at one instant: the living silences are gathered once for all of them.
    if (this.#active?.at !== now) {
      const active = this.#all().filter((s) => silenceState(s.value, now) === 'active')
      this.#active = { at: now, silences: active }
    }
    return this.#active.silences
      .filter((s) => this.#test(s.id, s.version, s.value.matchers)(labels))
      .map((s) => s.id)
      .sort()
  }

  list(filter: readonly string[], now: Instant): Silence[] {
    const test = matcherTest(filter.flatMap((text) => parseMatchers(text)))
    return this.#all()
      .filter((s) => test(Object.fromEntries(s.value.matchers.map((m) => [m.name, m.value]))))
      .map((s) => shown(s.id, s.value, now))
      .sort(inOrder)
  }

  get(id: string, now: Instant): Silence | null {
    const found = this.#ledger.get<SilenceDocument>(kind, id)
    return found?.value ? shown(id, found.value, now) : null
  }

  async set(wanted: WantedSilence, by: Actor, now: Instant): Promise<string> {
    const { id, ...rest } = wanted
    const found = id === '' ? null : this.#ledger.get<SilenceDocument>(kind, id)
    if (id !== '' && !found?.value) throw new AppError('not_found', `silence ${id} not found`)
    check(wanted, now)
    const old = found?.value
    if (found && old && mayChangeInPlace(old, wanted, now)) {
      await this.#put(id, { ...rest, updatedAt: now }, by, wanted.comment, found.version)
      return id
    }
    // The new one first: there is no moment in which nothing is silenced.
    const fresh = randomUUID()
    const startsAt = wanted.startsAt < now ? now : wanted.startsAt
    await this.#put(fresh, { ...rest, startsAt, updatedAt: now }, by, wanted.comment, 0)
    if (old) await this.expire(id, by, now)
    return fresh
  }

  async expire(id: string, by: Actor, now: Instant): Promise<void> {
    const found = this.#ledger.get<SilenceDocument>(kind, id)
    if (!found?.value) throw new AppError('not_found', `silence ${id} not found`)
    const state = silenceState(found.value, now)
    if (state === 'expired') return
    const startsAt = state === 'pending' ? now : found.value.startsAt
    await this.#put(
      id,
      { ...found.value, startsAt, endsAt: now, updatedAt: now },
      by,
      'silence expired',
      found.version,
    )
  }

  async sweep(now: Instant): Promise<number> {
    const old = this.#all().filter((s) => s.value.endsAt + retention < now)
    for (const s of old) {
      const options = { by: system('alerts'), why: 'expired silence swept', expect: s.version }
      await this.#ledger.put(kind, s.id, null, options)
      this.#tests.delete(s.id)
    }
    return old.length
  }
}

export const createSilences = (ledger: Ledger): Silences => new LedgerSilences(ledger)
