import { expect, test } from 'vitest'
import { isTimeZone, periodAround } from './calendar.ts'
import { fromIso, hour, iso } from './time.ts'

const around = (kind: 'daily' | 'monthly' | 'annual', at: string, zone: string) => {
  const p = periodAround(kind, fromIso(at), zone)
  return [p.label, iso(p.startAt), iso(p.endAt)]
}

test('days, months and years begin at local midnight', () => {
  expect(around('daily', '2026-11-23T23:30:00Z', 'Europe/Berlin')).toEqual([
    '2026-11-24',
    '2026-11-23T23:00:00.000Z',
    '2026-11-24T23:00:00.000Z',
  ])
  expect(around('monthly', '2026-03-01T04:00:00Z', 'America/New_York')).toEqual([
    '2026-02',
    '2026-02-01T05:00:00.000Z',
    '2026-03-01T05:00:00.000Z',
  ])
  expect(around('annual', '2028-02-29T12:00:00Z', 'UTC')).toEqual([
    '2028',
    '2028-01-01T00:00:00.000Z',
    '2029-01-01T00:00:00.000Z',
  ])
})

test('a day when the clocks change has 23 or 25 hours', () => {
  const length = (at: string): number => {
    const { startAt, endAt } = periodAround('daily', fromIso(at), 'Europe/Berlin')
    return (endAt - startAt) / hour
  }
  expect(length('2026-03-29T12:00:00Z')).toBe(23)
  expect(length('2026-10-25T12:00:00Z')).toBe(25)
  expect(length('2026-10-26T12:00:00Z')).toBe(24)
})

test('zones', () => {
  expect(isTimeZone('Asia/Kathmandu')).toBe(true)
  expect(isTimeZone('Mars/Olympus')).toBe(false)
})
