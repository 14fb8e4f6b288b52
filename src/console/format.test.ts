import { describe, expect, it } from 'vitest'
import { instant } from '../lib/time.ts'
import { ago, bytes, count, length, percent, seconds, unitOf, usd } from './format.ts'

const s = (text: string): string => text.replaceAll('\u202f', ' ')

describe('numbers for people', () => {
  it.each([
    [0, '0'],
    [840, '840'],
    [1284, '1,284'],
    [12_400, '12.4 k'],
    [3_100_000, '3.10 M'],
    [18.372, '18.4'],
    [2.5, '2.5'],
    [0.0042, '0.0042'],
    [-1284, '-1,284'],
    [Number.NaN, '-'],
    [Number.POSITIVE_INFINITY, '+∞'],
  ])('count %d is %s', (n, text) => expect(s(count(n))).toBe(text))
  it('keeps two digits of percent near one', () => {
    expect(s(percent(0.062))).toBe('6.2 %')
    expect(s(percent(0.9996))).toBe('99.96 %')
    expect(s(percent(1))).toBe('100.0 %')
    expect(percent(Number.NaN)).toBe('-')
  })
  it('writes money by its size', () => {
    expect([usd(0.0412), usd(1.5), usd(939.4), usd(11_306), usd(-3)]).toEqual([
      '$0.0412',
      '$1.50',
      '$939',
      '$11,306',
      '−$3.00',
    ])
  })
  it('writes bytes in powers of two and seconds by their size', () => {
    expect([bytes(512), bytes(2048), bytes(4 * 2 ** 30)].map(s)).toEqual(['512 B', '2.00 KiB', '4.00 GiB'])
    expect([seconds(0.0004), seconds(0.31), seconds(8.44), seconds(90)].map(s)).toEqual([
      '400 µs',
      '310 ms',
      '8.4 s',
      '1 min 30 s',
    ])
  })
})

describe('times for people', () => {
  it('says two units at most', () => {
    expect([4e3, 365e3, 4_920e3, 273_600e3].map((ms) => s(length(ms)))).toEqual([
      '4 s',
      '6 min 5 s',
      '1 h 22 min',
      '3 d 4 h',
    ])
  })
  it('tells past from future', () => {
    const now = instant(1_000_000)
    expect([
      ago(instant(999_000), now),
      s(ago(instant(900_000), now)),
      s(ago(instant(1_060_000), now)),
    ]).toEqual(['just now', '1 min 40 s ago', 'in 1 min'])
  })
})

describe('the unit an expression speaks of', () => {
  it.each([
    ['plan_seconds', 'seconds'],
    ['rate(http_request_duration_seconds_sum[5m])', 'count'],
    ['histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[5m])))', 'seconds'],
    ['rate(process_cpu_seconds_total[5m])', 'count'],
    ['sum(rate(airboss_cost_usd_total[1h]))', 'usd'],
    ['node_memory_bytes', 'bytes'],
    ['system_memory_utilization_ratio', 'ratio'],
    ['up', 'count'],
  ])('%s: %s', (expr, unit) => expect(unitOf(expr)).toBe(unit))
})
