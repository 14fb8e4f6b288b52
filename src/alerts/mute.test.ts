import { describe, expect, test } from 'vitest'
import { fromIso } from '../lib/time.ts'
import { intervalHolds, mutedBy, namedIntervalSchema } from './mute.ts'

const named = (interval: object) => namedIntervalSchema.parse({ name: 'n', time_intervals: [interval] })
const holds = (interval: object, at: string) => intervalHolds(named(interval), fromIso(at))

describe('an interval', () => {
  const office = { times: [{ start_time: '09:00', end_time: '17:00' }], weekdays: ['monday:friday'] }
  test.each([
    // 2026-01-01 is a Thursday.
    [office, '2026-01-01T09:00:00Z', true],
    [office, '2026-01-01T08:59:59Z', false],
    [office, '2026-01-01T17:00:00Z', false],
    [office, '2026-01-03T10:00:00Z', false],
    [{ times: [{ start_time: '20:00', end_time: '24:00' }] }, '2026-01-01T23:59:59Z', true],
    [{ weekdays: ['sunday'] }, '2026-01-04T00:00:00Z', true],
    [{ weekdays: ['Saturday:saturday'] }, '2026-01-03T00:00:00Z', true],
    [{ days_of_month: ['1:5'] }, '2026-01-05T23:00:00Z', true],
    [{ days_of_month: ['-3:-1'] }, '2026-02-26T00:00:00Z', true],
    [{ days_of_month: ['-3:-1'] }, '2026-02-25T00:00:00Z', false],
    [{ days_of_month: ['28:31'] }, '2026-02-28T00:00:00Z', true],
    [{ days_of_month: ['30:31'] }, '2026-02-28T00:00:00Z', false],
    [{ days_of_month: ['-1'] }, '2028-02-29T00:00:00Z', true],
    [{ months: ['january:march', '12'] }, '2026-12-01T00:00:00Z', true],
    [{ months: ['january:march'] }, '2026-04-01T00:00:00Z', false],
    [{ years: ['2025:2026', 2030] }, '2030-06-01T00:00:00Z', true],
    [{ years: ['2025:2026'] }, '2027-01-01T00:00:00Z', false],
    [{}, '2027-01-01T00:00:00Z', true],
  ])('%o at %s: %s', (interval, at, wanted) => expect(holds(interval, at)).toBe(wanted))

  const night = { times: [{ start_time: '01:00', end_time: '03:00' }], location: 'Europe/Berlin' }
  test.each([
    ['in winter', '2026-01-15T00:00:00Z', true],
    ['in winter it is over at two in UTC', '2026-01-15T02:00:00Z', false],
    ['in summer', '2026-07-14T23:00:00Z', true],
    ['before the clocks go forward', '2026-03-29T00:59:00Z', true],
    ['01:00 UTC is 03:00 the moment they do: the hour does not exist', '2026-03-29T01:00:00Z', false],
    ['the doubled hour, the first time', '2026-10-25T00:30:00Z', true],
    ['the doubled hour, the second time', '2026-10-25T01:30:00Z', true],
    ['03:00 after the clocks went back', '2026-10-25T02:00:00Z', false],
  ])('on a wall clock %s', (_, at, wanted) => expect(holds(night, at)).toBe(wanted))

  test.each([
    [{ times: [{ start_time: '22:00', end_time: '06:00' }] }, 'two ranges'],
    [{ times: [{ start_time: '9:00', end_time: '10:00' }] }, 'not a time of day'],
    [{ weekdays: ['mon'] }, 'not a weekday'],
    [{ weekdays: ['friday:monday'] }, 'the start is after the end'],
    [{ days_of_month: ['0'] }, 'no day 0'],
    [{ days_of_month: ['-5:5'] }, 'must end from the end'],
    [{ days_of_month: ['32'] }, 'day of the month'],
    [{ months: ['13'] }, 'month'],
    [{ location: 'Mars/Olympus' }, 'not a time zone'],
    [{ tiems: [] }, 'Unrecognized key'],
  ])('%o is refused', (interval, why) => expect(() => named(interval)).toThrow(why))
})

test('a route is muted by its mute intervals, and outside its active ones', () => {
  const intervals = new Map([
    [
      'weekend',
      namedIntervalSchema.parse({ name: 'weekend', time_intervals: [{ weekdays: ['saturday', 'sunday'] }] }),
    ],
    [
      'day',
      namedIntervalSchema.parse({
        name: 'day',
        time_intervals: [{ times: [{ start_time: '08:00', end_time: '20:00' }] }],
      }),
    ],
  ])
  const by = (mute: string[], active: string[], at: string) =>
    mutedBy({ muteIntervals: mute, activeIntervals: active }, intervals, fromIso(at))
  expect(by(['weekend'], [], '2026-01-03T10:00:00Z')).toEqual(['weekend'])
  expect(by(['weekend'], [], '2026-01-02T10:00:00Z')).toEqual([])
  expect(by([], ['day'], '2026-01-02T10:00:00Z')).toEqual([])
  expect(by([], ['day'], '2026-01-02T21:00:00Z')).toEqual(['day'])
  expect(by(['weekend'], ['day'], '2026-01-03T10:00:00Z')).toEqual(['weekend'])
})
