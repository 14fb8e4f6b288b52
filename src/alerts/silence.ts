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

export const createSilences = (ledger: Ledger): Silences => {
  const tests = new Map<string, { version: number; test: (labels: LabelSet) => boolean }>()
  const testOf = (id: string, version: number, matchers: readonly Matcher[]): ((l: LabelSet) => boolean) => {
    const known = tests.get(id)
    if (known?.version === version) return known.test
    const test = matcherTest(matchers)
    tests.set(id, { version, test })
    return test
  }
  const shown = (id: string, value: SilenceDocument, now: Instant): Silence => ({
    ...value,
    id,
    state: silenceState(value, now),
  })
  const all = () =>
    ledger.list<SilenceDocument>(kind).flatMap((v) => (v.value ? [{ id: v.id, version: v.version, value: v.value }] : []))
  const get = (id: string, now: Instant): Silence | null => {
    const found = ledger.get<SilenceDocument>(kind, id)
    return found?.value ? shown(id, found.value, now) : null
  }
  const put = async (id: string, value: SilenceDocument, by: Actor, why: string, expect: number): Promise<void> => {
    await ledger.put<SilenceDocument>(kind, id, value, { by, why, expect })
  }
  const expire = async (id: string, by: Actor, now: Instant): Promise<void> => {
    const found = ledger.get<SilenceDocument>(kind, id)
    if (!found?.value) throw new AppError('not_found', `silence ${id} not found`)
    const state = silenceState(found.value, now)
    if (state === 'expired') return
    const startsAt = state === 'pending' ? now : found.value.startsAt
    await put(id, { ...found.value, startsAt, endsAt: now, updatedAt: now }, by, 'silence expired', found.version)
  }
  const set = async (wanted: WantedSilence, by: Actor, now: Instant): Promise<string> => {
    const { id, ...rest } = wanted
    const found = id === '' ? null : ledger.get<SilenceDocument>(kind, id)
    if (id !== '' && !found?.value) throw new AppError('not_found', `silence ${id} not found`)
    check(wanted, now)
    const old = found?.value
    // Only the times of a living silence may change under its id; anything else ends it and begins another.
    const inPlace =
      old &&
      sameMatchers(old.matchers, wanted.matchers) &&
      (silenceState(old, now) === 'active' ? wanted.startsAt === old.startsAt : silenceState(old, now) === 'pending')
    if (found && old && inPlace) {
      await put(id, { ...rest, updatedAt: now }, by, wanted.comment, found.version)
      return id
    }
    if (old) await expire(id, by, now)
    const fresh = randomUUID()
    const startsAt = wanted.startsAt < now ? now : wanted.startsAt
    await put(fresh, { ...rest, startsAt, updatedAt: now }, by, wanted.comment, 0)
    return fresh
  }
  return {
    silencedBy: (labels, now) =>
      all()
        .filter((s) => silenceState(s.value, now) === 'active' && testOf(s.id, s.version, s.value.matchers)(labels))
        .map((s) => s.id)
        .sort(),
    list: (filter, now) => {
      const test = matcherTest(filter.flatMap((text) => parseMatchers(text)))
      return all()
        .filter((s) => test(Object.fromEntries(s.value.matchers.map((m) => [m.name, m.value]))))
        .map((s) => shown(s.id, s.value, now))
        .sort(inOrder)
    },
    get,
    set,
    expire,
    sweep: async (now) => {
      const old = all().filter((s) => s.value.endsAt + retention < now)
      for (const s of old) {
        await ledger.put(kind, s.id, null, { by: system('alerts'), why: 'expired silence swept', expect: s.version })
        tests.delete(s.id)
      }
      return old.length
    },
  }
}
