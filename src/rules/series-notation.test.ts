import { expect, it } from 'vitest'
import { printLabels } from '../model/labels.ts'
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
  ['{{schema:1}}', 'histograms'],
  ['1x99999999', 'more than'],
])('refuses values %s', (text, why) => {
  expect(() => parseValues(text)).toThrow(why)
})

it.each(['up{a}', 'up{a=b}', 'up{a="b"', 'a b'])('refuses series %s', (text) => {
  expect(() => parseSeries(text)).toThrow()
})
