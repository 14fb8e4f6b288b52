import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration, type Instant, instant } from '../lib/time.ts'
import { labelsKey, labelsOf, printLabels } from '../model/labels.ts'
import {
  type AlertEntry,
  type AlertTable,
  type AlertTiming,
  alertSeries,
  due,
  type Match,
  markSent,
  restoredActiveAt,
  resumed,
  step,
  validUntil,
  worstState,
} from './alerting.ts'

const minute = 60_000
const at = (m: number): Instant => instant(1_700_000_000_000 + m * minute)
const match = (name: string, value = 1): Match => {
  const labels = labelsOf({ alertname: 'A', name })
  return { key: labelsKey(labels), labels, annotations: { summary: `${name} ${value}` }, value }
}
const timing = (hold: number, keep = 0): AlertTiming => ({
  for: duration(hold * minute),
  keepFiringFor: duration(keep * minute),
})
const one = (table: AlertTable): AlertEntry | undefined => [...table.values()][0]
/** Runs minutes 0, 1, 2 …: `x` matches, `.` does not; gives the state's letter after each. */
const run = (pattern: string, t: AlertTiming): string => {
  let table: AlertTable = new Map()
  return [...pattern]
    .map((c, m) => {
      table = step(table, c === 'x' ? [match('a')] : [], t, at(m))
      return one(table)?.state[0] ?? '-'
    })
    .join('')
}

describe('states by the minute (p pending, f firing, i inactive, - forgotten)', () => {
  it.each([
    ['xxx...', timing(0), 'fffiii'],
    ['xxxx..', timing(2), 'ppffii'],
    ['xx.xxx', timing(2), 'pp-ppf'],
    ['xxx....', timing(0, 2), 'fffffii'],
    ['x.x..x...', timing(0, 2), 'ffffffffi'],
    ['x.x', timing(0), 'fif'],
    ['x..x', timing(5, 2), 'p--p'],
    [`x${'.'.repeat(18)}`, timing(0), `f${'i'.repeat(16)}--`],
  ])('%s', (pattern, t, states) => {
    expect(run(pattern, t)).toBe(states)
  })
})

describe('a clock set back by three hours', () => {
  const back = (m: number): Instant => at(m - 180)
  it('makes a pending alert wait no longer than its time anew', () => {
    let table = step(new Map(), [match('a')], timing(5), at(0))
    table = step(table, [match('a')], timing(5), back(1))
    table = step(table, [match('a')], timing(5), back(6))
    expect(one(table)?.state).toBe('firing')
  })
  it('keeps nothing firing for longer than it was told to', () => {
    let table = step(new Map(), [match('a')], timing(0, 2), at(0))
    table = step(table, [], timing(0, 2), at(1))
    table = step(table, [], timing(0, 2), back(1))
    table = step(table, [], timing(0, 2), back(3))
    expect(one(table)?.state).toBe('inactive')
  })
})

it('keeps activeAt and labels, refreshes value and annotations', () => {
  let table = step(new Map(), [match('a', 1)], timing(1), at(0))
  table = step(table, [match('a', 7)], timing(1), at(1))
  expect(one(table)).toMatchObject({
    state: 'firing',
    activeAt: at(0),
    firedAt: at(1),
    value: 7,
    annotations: { summary: 'a 7' },
  })
})

it('drops back to pending when for is raised above its age, and fires again later', () => {
  let table = step(new Map(), [match('a')], timing(0), at(0))
  table = step(table, [match('a')], timing(5), at(1))
  expect(one(table)).toMatchObject({ state: 'pending', firedAt: null, activeAt: at(0) })
  table = step(table, [match('a')], timing(5), at(5))
  expect(one(table)).toMatchObject({ state: 'firing', firedAt: at(5) })
})

it('stays firing and goes on being sent when the clock is set back', () => {
  let table = step(new Map(), [match('a')], timing(2), at(0))
  table = markSent(step(table, [match('a')], timing(2), at(2)), [match('a').key], at(2))
  table = step(table, [match('a')], timing(2), at(-60))
  expect(one(table)?.state).toBe('firing')
  expect(due(table, at(-60))).toHaveLength(1)
})

it('starts a new alert when a resolved one comes back', () => {
  let table = step(new Map(), [match('a')], timing(0), at(0))
  table = step(table, [], timing(0), at(1))
  expect(one(table)).toMatchObject({ state: 'inactive', resolvedAt: at(1) })
  table = step(table, [match('a')], timing(0), at(2))
  expect(one(table)).toMatchObject({ state: 'firing', activeAt: at(2), resolvedAt: null, lastSentAt: null })
})

it('sends: never pending, at once when firing or resolved, again after the delay', () => {
  const key = match('a').key
  let table = step(new Map(), [match('a')], timing(1), at(0))
  expect(due(table, at(0))).toEqual([])
  table = step(table, [match('a')], timing(1), at(1))
  expect(due(table, at(1))).toEqual([key])
  table = markSent(table, [key], at(1))
  expect(due(table, at(2))).toEqual([])
  expect(due(table, instant(at(2) + 1))).toEqual([key])
  table = step(table, [], timing(1), instant(at(1) + 1000))
  expect(due(table, instant(at(1) + 1000))).toEqual([key])
  table = markSent(table, [key], instant(at(1) + 1000))
  expect(due(table, instant(at(1) + 2000))).toEqual([])
  expect(due(table, at(3))).toEqual([key])
})

it('counts as firing for four intervals, of a minute at least', () => {
  expect(validUntil(at(0), duration(15_000))).toBe(at(4))
  expect(validUntil(at(0), duration(5 * minute))).toBe(at(20))
})

it('writes ALERTS and ALERTS_FOR_STATE of what is not resolved', () => {
  let table = step(new Map(), [match('a'), match('b')], timing(1), at(0))
  table = step(table, [match('a')], timing(1), at(1))
  expect(alertSeries(table).map((s) => `${printLabels(s.labels)} ${s.value}`)).toEqual([
    'ALERTS{alertname="A", alertstate="firing", name="a"} 1',
    `ALERTS_FOR_STATE{alertname="A", name="a"} ${at(0) / 1000}`,
  ])
  expect(worstState(table)).toBe('firing')
})

describe('after a pause', () => {
  const interval = duration(minute)
  const hour = duration(60 * minute)
  const pending = step(new Map(), [match('a')], timing(30), at(0))
  const firing = step(new Map(), [match('a')], timing(0), at(0))
  it('changes nothing after a short one', () => {
    expect(resumed(pending, at(10), at(12), interval, hour)).toBe(pending)
  })
  it('does not count the time nobody watched', () => {
    expect(one(resumed(pending, at(10), at(30), interval, hour))?.activeAt).toBe(at(19))
  })
  it('forgets pending alerts after a long one, and keeps firing ones', () => {
    expect(resumed(pending, at(10), at(80), interval, hour).size).toBe(0)
    expect(resumed(firing, at(10), at(80), interval, hour).size).toBe(1)
  })
})

it('restores activeAt from ALERTS_FOR_STATE as Prometheus does', () => {
  const hold = duration(30 * minute)
  const grace = duration(10 * minute)
  // Had fired: as it was. Nearly: fires after the grace. Else: the pause does not count.
  expect(restoredActiveAt(hold, at(0), at(31), at(50), grace)).toBe(at(0))
  expect(restoredActiveAt(hold, at(0), at(25), at(50), grace)).toBe(at(50 + 10 - 30))
  expect(restoredActiveAt(hold, at(0), at(5), at(50), grace)).toBe(at(45))
})

/** The same story told naively, over the history of matches alone. */
const naive = (history: readonly boolean[], hold: number, keep: number): string => {
  let state = '-'
  let active = 0
  let kept = -1
  let resolved = 0
  for (const [m, matches] of history.entries()) {
    if (matches) {
      if (state === '-' || state === 'i') active = m
      state = state === 'f' || m - active >= hold ? 'f' : 'p'
      kept = -1
    } else if (state === 'p') state = '-'
    else if (state === 'f') {
      if (kept < 0) kept = m
      if (keep === 0 || m - kept >= keep) {
        state = 'i'
        resolved = m
        kept = -1
      }
    } else if (state === 'i' && m - resolved > 15) state = '-'
  }
  return state
}

it('agrees with a naive telling of the story', () => {
  const story = fc.record({
    history: fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }),
    hold: fc.nat(6),
    keep: fc.nat(6),
  })
  fc.assert(
    fc.property(story, ({ history, hold, keep }) => {
      const states = run(history.map((b) => (b ? 'x' : '.')).join(''), timing(hold, keep))
      expect(states.at(-1)).toBe(naive(history, hold, keep))
    }),
    { numRuns: 500 },
  )
})

it('keeps alerts apart: many together do as each alone', () => {
  const histories = fc.array(fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }), {
    minLength: 2,
    maxLength: 5,
  })
  fc.assert(
    fc.property(histories, fc.nat(4), fc.nat(4), (all, hold, keep) => {
      let table: AlertTable = new Map()
      for (let m = 0; m < 20; m++) {
        const matches = all.flatMap((h, i) => (h[m] ? [match(String(i))] : []))
        table = step(table, matches, timing(hold, keep), at(m))
      }
      for (const [i, history] of all.entries())
        expect(table.get(match(String(i)).key)?.state[0] ?? '-').toBe(naive(history, hold, keep))
    }),
    { numRuns: 100 },
  )
})
