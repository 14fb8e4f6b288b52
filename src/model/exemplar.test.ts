import { expect, test } from 'vitest'
import { instant } from '../lib/time.ts'
import { BatchBuilder, defaultAdmission } from './batch-builder.ts'
import { exemplarLabelsFit, readExemplar } from './exemplar.ts'
import { labelsOf } from './labels.ts'
import { rowBytes } from './packed-rows.ts'
import { SeriesTable } from './series.ts'

const now = instant(1_800_000_000_000)
const builder = (): BatchBuilder => new BatchBuilder(new SeriesTable(10), defaultAdmission, now)

test('exemplars travel packed and come back as they were sent', () => {
  const b = builder()
  expect(b.empty).toBe(true)
  const full = labelsOf({ trace_id: 'ab12', span_id: 'cd34', gen_ai_conversation_id: 'c-1' })
  expect(b.exemplar(3, now - 5, 0.25, full)).toBe(true)
  expect(b.exemplar(4, now + 0.5, Number.NaN, labelsOf({ traceID: 'x' }))).toBe(true)
  expect(b.exemplar(5, now, -1, [])).toBe(true)
  expect(b.empty).toBe(false)
  const rows = b.build().exemplars!
  expect([...rows.ref]).toEqual([3, 4, 5])
  const back = [0, 1, 2].map((i) => readExemplar(rowBytes(rows, i), rows.at[i]!))
  expect(back).toEqual([
    { at: now - 5, value: 0.25, labels: full },
    { at: now + 0.5, value: Number.NaN, labels: ['traceID', 'x'] },
    { at: now, value: -1, labels: [] },
  ])
  expect(() => readExemplar(rowBytes(rows, 0).subarray(0, 9), now)).toThrow('cut off')
})

test('an exemplar that may not pass is counted and refuses nothing else', () => {
  const b = builder()
  expect(b.exemplar(1, now - 2 * 3_600_000, 1, [])).toBe(false)
  expect(b.exemplar(1, now + 3_600_000, 1, [])).toBe(false)
  expect(b.exemplar(1, now, 1, ['a', 'x'.repeat(128)])).toBe(false)
  expect(b.exemplar(1, now, 1, ['a', 'x'.repeat(127)])).toBe(true)
  expect(b.exemplarsDropped).toBe(3)
  expect(b.rejected).toBe(0)
})

test('the length of labels is counted in characters', () => {
  expect(exemplarLabelsFit(['a', '😀'.repeat(127)])).toBe(true)
  expect(exemplarLabelsFit(['a', '😀'.repeat(128)])).toBe(false)
})
