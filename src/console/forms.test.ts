import { describe, expect, it } from 'vitest'
import { readMatchers } from './forms.ts'
import { limitOf } from './picture.ts'
import { readQuestion } from './question.ts'

describe('matchers as a person types them', () => {
  it('reads all four kinds, with or without braces, and quoted names', () => {
    expect(readMatchers(' {a="x, \\"y\\"",b!="",c=~"1|2" , "d.e"!~"z"} ')).toEqual([
      { name: 'a', op: '=', value: 'x, "y"' },
      { name: 'b', op: '!=', value: '' },
      { name: 'c', op: '=~', value: '1|2' },
      { name: 'd.e', op: '!~', value: 'z' },
    ])
  })
  it.each([
    ['', 'name at least one'],
    ['{}', 'name at least one'],
    ['a', 'cannot read "a"'],
    ['a=b', 'cannot read "a=b"'],
    ['a="b" c="d"', 'cannot read'],
    ['a="b", c', 'cannot read " c"'],
  ])('refuses %s', (text, why) => expect(() => readMatchers(text)).toThrow(why))
})

describe('the limit an alerting expression ends with', () => {
  it.each([
    ['rate(x_ratio[5m]) > 0.05', '> 5 %', true],
    ['up == 0', '= 0', false],
    ['x_seconds >= 2.5', '≥ 2.5 s', true],
    ['agent:slo_errors:ratio_rate5m < 0.01', '< 1 %', false],
    ['queue > 50', '> 50', true],
  ])('%s: %s', (expr, text, above) => {
    const limit = limitOf(expr)
    expect(limit?.text.replaceAll('\u202f', ' ')).toBe(text)
    expect(limit?.above).toBe(above)
  })
  it.each(['up', 'a > 1 and b < 2', 'x > y'])('%s has none', (expr) => expect(limitOf(expr)).toBeNull())
})

describe('the address of a question', () => {
  const read = (text: string) => readQuestion(new URLSearchParams(text))
  it('has an hour up to now where nothing is said, in at most 241 points', () => {
    expect(read('expr=up')).toMatchObject({ expr: 'up', range: 3_600_000, step: 15_000, endAt: null })
    for (const range of ['1s', '15m', '7d', '1y']) {
      const q = read(`range=${range}`)
      expect(q.range / q.step).toBeLessThanOrEqual(366)
    }
  })
  it('takes an end as seconds or RFC 3339', () => {
    expect(read('end=1700000000').endAt).toBe(1_700_000_000_000)
    expect(read('end=2023-11-14T22:13:20Z').endAt).toBe(1_700_000_000_000)
  })
  it.each([
    ['range=-1h', 'range: "-1h" is not a length of time'],
    ['range=7d&step=1s', 'points are asked for'],
    ['end=yesterday', 'end: "yesterday" is no time'],
    ['step=fast', 'step: "fast"'],
  ])('refuses %s', (text, why) => expect(() => read(text)).toThrow(why))
})
