import { describe, expect, it } from 'vitest'
import { printLabels } from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import { writeHistogram } from './histogram-notation.ts'
import { parseSeries, parseValues } from './series-notation.ts'

it.each([
  ['up', 'up'],
  ['up{}', 'up'],
  ['up{job="a", instance="b:9100",}', 'up{instance="b:9100", job="a"}'],
  ['{__name__="up", a="x\\"y,}{"}', 'up{a="x\\"y,}{"}'],
  ['{"up", "b.c"=`d`}', 'up{b.c="d"}'],
  ["agent:rate5m{a='1'}", 'agent:rate5m{a="1"}'],
])('%s', (text, printed) => {
  expect(printLabels(parseSeries(text))).toBe(printed)
})

it.each([
  ['1 2 3', [1, 2, 3]],
  ['0+10x3', [0, 10, 20, 30]],
  ['1-2x2', [1, -1, -3]],
  ['-2+4x1', [-2, 2]],
  ['0x3 stale', [0, 0, 0, 0, 'stale']],
  ['_ _x2 5', ['none', 'none', 'none', 5]],
  ['NaN 1e3 -Inf .5', [Number.NaN, 1000, Number.NEGATIVE_INFINITY, 0.5]],
  ['1.5+0.25x1', [1.5, 1.75]],
])('values %s', (text, steps) => {
  expect(parseValues(text)).toEqual(steps)
})

it.each([
  ['1+x', 'neither a value'],
  ['{{schema:1 what:2}}', 'unknown field what'],
  ['{{schema:1 count:1', 'no histogram'],
  ['{{buckets:1}}', 'unknown field buckets'],
  ['{{sum:x}}', 'x is no number'],
  ['{{counter_reset_hint:maybe}}', 'counter_reset_hint is one of'],
  ['{{schema:-53 custom_values:[1]}}+{{schema:1}}x2', 'cannot be added'],
  ['1x99999999', 'more than'],
])('refuses values %s', (text, why) => {
  expect(() => parseValues(text)).toThrow(why)
})

it.each(['up{a}', 'up{a=b}', 'up{a="b"', 'a b'])('refuses series %s', (text) => {
  expect(() => parseSeries(text)).toThrow()
})

describe('native histograms', () => {
  const text =
    '{{schema:1 count:7 sum:-2.5 z_bucket:1 z_bucket_w:0.01 counter_reset_hint:gauge offset:-2 buckets:[1 0 2] n_offset:3 n_buckets:[3]}}'
  const made: NativeHistogram = {
    schema: 1,
    hint: 'gauge',
    count: 7,
    sum: -2.5,
    zeroThreshold: 0.01,
    zeroCount: 1,
    positive: { index: [-2, 0], count: [1, 2] },
    negative: { index: [3], count: [3] },
    bounds: [],
  }

  it('are read and written', () => {
    expect(parseValues(text)).toEqual([made])
    expect(writeHistogram(made)).toBe(text)
    const custom = '{{schema:-53 count:3 sum:4 custom_values:[0.5 10] buckets:[1 0 2]}}'
    expect(writeHistogram(parseValues(custom)[0] as NativeHistogram)).toBe(custom)
  })

  it('repeat, grow and shrink among other values', () => {
    const steps = parseValues(
      '1 {{count:1 buckets:[1]}}+{{count:2 buckets:[1 1]}}x2 _ {{count:4}}-{{count:1}}x1 {{sum:1}}x1 stale',
    )
    expect(steps.map((s) => (typeof s === 'object' ? [s.count, s.sum, s.positive.count] : s))).toEqual([
      1,
      [1, 0, [1]],
      [3, 0, [2, 1]],
      [5, 0, [3, 2]],
      'none',
      [4, 0, []],
      [3, 0, []],
      [0, 1, []],
      [0, 1, []],
      'stale',
    ])
  })
})
