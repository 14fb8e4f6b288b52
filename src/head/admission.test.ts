import { expect, it } from 'vitest'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { duration } from '../lib/time.ts'
import { type Batch, sampleBatch } from '../model/batch.ts'
import { labelsOf } from '../model/labels.ts'
import { SeriesTable } from '../model/series.ts'
import { createAdmission } from './admission.ts'
import { createHead } from './head.ts'

const signal = new AbortController().signal
const make = () => {
  const clock = new FakeClock(1_000_000)
  const table = new SeriesTable(10)
  const metrics = fakeMetrics()
  const head = createHead({ table, window: duration(10_000), maxBytes: 2 << 20, clock, metrics })
  const pushed: { batch: Batch; done: () => void; fail: () => void }[] = []
  const sink = createAdmission({
    known: head,
    metrics,
    sink: {
      push: (batch) =>
        new Promise((resolve, reject) => {
          const done = (): void => {
            head.append(batch)
            resolve()
          }
          pushed.push({ batch, done, fail: () => reject(new Error('disk')) })
        }),
    },
  })
  const ref = table.intern(labelsOf({ __name__: 'm' }))
  const batch = (...rows: [at: number, value: number][]): Batch =>
    sampleBatch(
      rows.map(() => ref),
      rows.map(([at]) => 1_000_000 + at),
      rows.map(([, value]) => value),
    )
  const values = (i: number): number[] => [...pushed[i]!.batch.value]
  return { sink, batch, pushed, values, metrics, head }
}

it('passes new samples on as they are and drops repeated ones, in a batch and between batches', async () => {
  const { sink, batch, pushed, values, metrics } = make()
  const first = batch([1, 1], [2, 2], [3, 3])
  const one = sink.push(first, signal)
  expect(pushed[0]!.batch).toBe(first)
  pushed[0]!.done()
  await one
  const two = sink.push(batch([2, 9], [4, 4], [4, 8], [-5, 5], [-5, 6]), signal)
  expect(values(1)).toEqual([4, 5])
  pushed[1]!.done()
  await two
  expect(metrics.values.get('airboss_duplicate_samples_total{}')).toBe(3)
})

it('answers a repeat of a batch on its way only when that one is safe', async () => {
  const { sink, batch, pushed, values } = make()
  const one = sink.push(batch([1, 1], [2, 2]), signal)
  let answered = false
  const two = sink.push(batch([1, 1], [2, 2], [3, 3]), signal).then(() => {
    answered = true
  })
  expect(values(1)).toEqual([3])
  pushed[1]!.done()
  await settle()
  expect(answered).toBe(false)
  pushed[0]!.done()
  await Promise.all([one, two])
})

it('refuses the repeat when the first one failed, and takes it when it is sent again', async () => {
  const { sink, batch, pushed, values } = make()
  const one = sink.push(batch([1, 1], [2, 2]), signal)
  const two = sink.push(batch([1, 1]), signal)
  pushed[1]!.done()
  pushed[0]!.fail()
  await expect(one).rejects.toThrow('disk')
  await expect(two).rejects.toMatchObject({ code: 'unavailable' })
  const three = sink.push(batch([1, 1], [2, 2]), signal)
  expect(values(2)).toEqual([1, 2])
  pushed[2]!.done()
  await three
})
