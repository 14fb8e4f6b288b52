import { describe, expect, it } from 'vitest'
import { duration, formatDuration, parseDuration } from './time.ts'

describe('durations in Prometheus form', () => {
  it.each([
    ['0', 0],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1500ms', 1500],
    ['1w', 604_800_000],
  ])('reads %s', (text, ms) => expect(parseDuration(text)).toBe(ms))
  it.each(['', '5', 'm5', '5m1h', '-5m', '1.5h', '5m5m'])('refuses %j', (text) =>
    expect(parseDuration(text)).toBeNull(),
  )
  it.each([
    [0, '0s'],
    [90_000, '1m30s'],
    [604_800_000, '1w'],
    [86_400_000, '1d'],
    [1500, '1s500ms'],
  ])('writes %d as %s', (ms, text) => expect(formatDuration(duration(ms))).toBe(text))
})
