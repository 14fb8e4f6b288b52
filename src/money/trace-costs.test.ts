import { expect, test } from 'vitest'
import { instant } from '../lib/time.ts'
import type { CostBranch, CostNode } from '../model/ports/cost-reports.ts'
import { costTrees } from './trace-costs.ts'

const node = (spanId: string, parentSpanId: string, more: Partial<CostNode> = {}): CostNode => ({
  spanId,
  parentSpanId,
  agent: '',
  invokes: '',
  model: true,
  usd: 1,
  failed: false,
  startAt: instant(Number.parseInt(spanId, 10)),
  ...more,
})
const depthOf = (roots: readonly CostBranch<CostNode>[]): number => {
  let depth = 0
  for (let level = roots; level.length > 0; level = level.flatMap((b) => b.children)) depth++
  return depth
}

test('sums with everything beneath, tries that were made again, circles cut', () => {
  const trees = costTrees([
    node('1', ''),
    node('3', '1'),
    node('2', '1', { failed: true }),
    node('4', '3', { usd: 5 }),
    node('8', '9'),
    node('9', '8'),
  ])
  expect(trees).toMatchObject([
    { inclusive: 8, retried: 1, failed: 1, children: [{ inclusive: 1 }, { inclusive: 6 }] },
    { inclusive: 2, children: [{ node: { spanId: '9' }, children: [] }] },
  ])
})

test('a chain of calls however long can be made, and said in JSON', () => {
  const n = 20_000
  const trees = costTrees(Array.from({ length: n }, (_, i) => node(String(i + 1), i === 0 ? '' : String(i))))
  expect(trees).toHaveLength(1)
  expect(trees[0]).toMatchObject({ inclusive: n })
  expect(depthOf(trees)).toBeLessThan(1000)
  expect(JSON.stringify(trees)).toContain(`"spanId":"${n}"`)
})
