import fc from 'fast-check'
import { expect, it } from 'vitest'
import { instant } from '../lib/time.ts'
import { labelsOf } from '../model/labels.ts'
import { labelsTest, type Matcher } from '../model/matcher.ts'
import { SeriesTable } from '../model/series.ts'
import { LabelIndex } from './index.ts'

const span = (fromAt: number, toAt: number): { fromAt: never; toAt: never } => ({
  fromAt: instant(fromAt) as never,
  toAt: instant(toAt) as never,
})
const labelSet = fc.record({
  __name__: fc.constantFrom('a', 'b', 'ab'),
  x: fc.constantFrom('', '1', '2', '12'),
  y: fc.constantFrom('', 'p', 'q'),
})
const matcher: fc.Arbitrary<Matcher> = fc.record({
  name: fc.constantFrom('__name__', 'x', 'y', 'missing'),
  op: fc.constantFrom('=', '!=', '=~', '!~'),
  value: fc.constantFrom('', 'a', 'b', 'a|b', '1', '1.*', '.+', '.*', 'p|', '[12]', 'q'),
})

it('selects what a test of every series selects, in whatever order series come and queries are repeated', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.tuple(labelSet, fc.nat(100), fc.nat(100)), fc.array(matcher, { maxLength: 3 })), {
        maxLength: 60,
      }),
      fc.nat(100),
      fc.nat(100),
      (steps, a, b) => {
        const table = new SeriesTable(1000)
        // Interned beforehand and backwards, so that references do not come in order.
        const added = steps.filter((s) => typeof s[1] === 'number') as [
          Record<string, string>,
          number,
          number,
        ][]
        for (const [labels] of [...added].reverse()) table.intern(labelsOf(labels))
        const index = new LabelIndex(table)
        const seen = new Map<number, [number, number]>()
        const asked: Matcher[][] = []
        const when = span(Math.min(a, b), Math.max(a, b))
        const check = (matchers: Matcher[]): void => {
          const test = labelsTest(matchers)
          const want = [...seen]
            .filter(
              ([ref, [first, last]]) => first <= when.toAt && last >= when.fromAt && test(table.labels(ref)),
            )
            .map(([ref]) => ref)
          expect(index.select(matchers, when).sort((p, q) => p - q)).toEqual(want.sort((p, q) => p - q))
          const names = new Set(want.flatMap((ref) => table.labels(ref).filter((_, i) => i % 2 === 0)))
          expect(index.names(matchers, when)).toEqual([...names].sort())
          const values = want.flatMap((ref) => {
            const at = table.labels(ref).indexOf('x')
            return at < 0 || at % 2 === 1 ? [] : [table.labels(ref)[at + 1]!]
          })
          expect(index.values('x', matchers, when)).toEqual([...new Set(values)].sort())
        }
        for (const step of steps) {
          if (typeof step[1] === 'number') {
            const [labels, p, q] = step as [Record<string, string>, number, number]
            const ref = table.intern(labelsOf(labels))
            const [first, last] = seen.get(ref) ?? [Infinity, -Infinity]
            seen.set(ref, [Math.min(first, p, q), Math.max(last, p, q)])
            index.add(ref, Math.min(p, q), Math.max(p, q))
          } else asked.push(step as Matcher[])
          for (const matchers of asked.slice(-3)) check(matchers)
        }
      },
    ),
    { numRuns: 300 },
  )
})

it('refuses a bad expression also where no series has the metric', () => {
  const index = new LabelIndex(new SeriesTable(10))
  expect(() =>
    index.select(
      [
        { name: '__name__', op: '=', value: 'none' },
        { name: 'x', op: '=~', value: '(' },
      ],
      span(0, 1),
    ),
  ).toThrow(/regular expression/)
})
