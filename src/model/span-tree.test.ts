import { expect, test } from 'vitest'
import { treeOrder } from './span-tree.ts'

const span = (spanId: string, parentSpanId: string, startAt: number) => ({ spanId, parentSpanId, startAt })
const order = (...spans: ReturnType<typeof span>[]): string[] =>
  treeOrder(spans).map(({ span: s, depth }) => `${'-'.repeat(depth)}${s.spanId}`)

test('parents stand before children, siblings by their start', () => {
  expect(order(span('c', 'a', 3), span('b', 'a', 2), span('d', 'b', 4), span('a', '', 1))).toEqual([
    'a',
    '-b',
    '--d',
    '-c',
  ])
})

test('spans whose parent is not here are roots of their own', () => {
  expect(order(span('b', 'gone', 2), span('a', '', 1))).toEqual(['a', 'b'])
})

test('circles end, and every span stands once', () => {
  expect(order(span('a', 'b', 1), span('b', 'a', 2), span('c', 'c', 3), span('d', 'b', 4))).toEqual([
    'c',
    'a',
    '-b',
    '--d',
  ])
})

test('a chain of thousands does not end the stack', () => {
  const chain = Array.from({ length: 20_000 }, (_, i) => span(`s${i}`, i === 0 ? '' : `s${i - 1}`, i))
  expect(treeOrder(chain).at(-1)!.depth).toBe(19_999)
})
