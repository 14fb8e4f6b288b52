// What every reader of series must do, whatever it reads from.
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Instant, instant } from '../../src/lib/time.ts'
import { type Batch, sampleBatch, staleMarker, wordsOf } from '../../src/model/batch.ts'
import { labelsOf, printLabels } from '../../src/model/labels.ts'
import { labelsTest, type Matcher, type MatchOp } from '../../src/model/matcher.ts'
import type { Scan } from '../../src/model/plan.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'
import type { SeriesTable } from '../../src/model/series.ts'

export interface ReaderFixture {
  readonly reader: SeriesReader
  /** Series are interned here before they are written. */
  readonly table: SeriesTable
  /** Now; samples are written in the half hour before it. */
  readonly now: Instant
  /** Resolves when the batch can be read. Called in order of acceptance. */
  write(batch: Batch): Promise<void>
  close(): Promise<void>
}

const signal = new AbortController().signal
const noLimits = { series: 1e9, samples: 1e9 }

/** Series as text → `[time, low word, high word]` of each sample; throws when a series stands in two slices. */
export const readAll = async (
  reader: SeriesReader,
  plan: Scan,
): Promise<Map<string, [at: number, low: number, high: number][]>> => {
  const out = new Map<string, [number, number, number][]>()
  for await (const columns of reader.read(plan, signal)) {
    const words = wordsOf(columns.value)
    columns.labels.forEach((labels, s) => {
      const key = printLabels(labels)
      if (out.has(key)) throw new Error(`${key} stands twice`)
      const samples: [number, number, number][] = []
      for (let i = columns.start[s]!; i < columns.end[s]!; i++)
        samples.push([columns.at[i]!, words[i * 2]!, words[i * 2 + 1]!])
      if (samples.length === 0) throw new Error(`${key} stands there without samples`)
      out.set(key, samples)
    })
  }
  return out
}

const bits = new Float64Array(1)
const wordsOfNumber = (value: number): [number, number] => {
  bits[0] = value
  const words = wordsOf(bits)
  return [words[0]!, words[1]!]
}

/** Runs the suite against the reader that `make` gives. */
export const seriesReaderContract = (name: string, make: () => Promise<ReaderFixture>): void => {
  describe(`${name} as a series reader`, () => {
    let f: ReaderFixture
    beforeEach(async () => {
      f = await make()
    })
    afterEach(() => f.close())

    const scan = (
      matchers: readonly Matcher[],
      back = 1_800_000,
      ahead = 0,
      more: Partial<Scan> = {},
    ): Scan => ({
      kind: 'scan',
      matchers,
      fromAt: instant(f.now - back),
      toAt: instant(f.now + ahead),
      pick: 'all',
      limits: noLimits,
      ...more,
    })
    const m = (labelName: string, op: MatchOp, value: string): Matcher => ({ name: labelName, op, value })
    const named = (value: string): Matcher => m('__name__', '=', value)
    /** Samples as `[labels, seconds before now, value]`. */
    const batchOf = (...rows: [Record<string, string>, number, number][]): Batch =>
      sampleBatch(
        rows.map(([labels]) => f.table.intern(labelsOf(labels))),
        rows.map(([, ago]) => f.now - ago * 1000),
        rows.map(([, , value]) => value),
      )
    const values = async (plan: Scan): Promise<Record<string, [number, number][]>> => {
      const words = new Uint32Array(2)
      const number = new Float64Array(words.buffer)
      const out: Record<string, [number, number][]> = {}
      for (const [key, samples] of await readAll(f.reader, plan))
        out[key] = samples.map(([at, low, high]) => {
          words[0] = low
          words[1] = high
          return [(f.now - at) / 1000, number[0]!]
        })
      return out
    }

    it('answers nothing when nothing matches', async () => {
      await f.write(batchOf([{ __name__: 'a' }, 10, 1]))
      expect(await values(scan([named('b')]))).toEqual({})
      expect(await values(scan([named('a'), m('x', '=', 'y')]))).toEqual({})
    })

    it('takes the window open at its start and closed at its end', async () => {
      const a = { __name__: 'a' }
      await f.write(batchOf([a, 30, 1], [a, 20, 2], [a, 10, 3], [a, 0, 4]))
      expect(await values(scan([named('a')], 30_000, -10_000))).toEqual({
        a: [
          [20, 2],
          [10, 3],
        ],
      })
      expect(await values(scan([named('a')], 20_000, -20_000))).toEqual({})
      expect(await values(scan([named('a')], 20_001, -20_000))).toEqual({ a: [[20, 2]] })
    })

    it('matches as Prometheus does: whole values, and a missing label is empty', async () => {
      const series = [
        { __name__: 'a' },
        { __name__: 'a', job: 'api' },
        { __name__: 'a', job: 'api-2' },
        { __name__: 'a', job: 'web', host: 'h1' },
        { __name__: 'b', job: 'api' },
      ]
      await f.write(batchOf(...series.map((s, i): [Record<string, string>, number, number] => [s, 5, i])))
      for (const matchers of [
        [named('a')],
        [named('a'), m('job', '=', 'api')],
        [named('a'), m('job', '!=', 'api')],
        [named('a'), m('job', '=', '')],
        [named('a'), m('job', '!=', '')],
        [named('a'), m('job', '=~', 'api')],
        [named('a'), m('job', '=~', 'api.*')],
        [named('a'), m('job', '=~', 'api.+|web')],
        [named('a'), m('job', '!~', 'a.*')],
        [named('a'), m('job', '=~', '|web')],
        [named('a'), m('job', '!~', '.+')],
        [named('a'), m('job', '=~', '.*'), m('host', '=', '')],
        [m('job', '=', 'api')],
        [m('__name__', '=~', 'a|b'), m('job', '=~', '(?i:API)')],
        [m('__name__', '!=', 'a'), m('job', '!=', '')],
      ]) {
        const test = labelsTest(matchers)
        const want = series.filter((s) => test(labelsOf(s))).map((s) => printLabels(labelsOf(s)))
        expect(Object.keys(await values(scan(matchers))).sort()).toEqual(want.sort())
      }
    })

    it('refuses a bad regular expression', async () => {
      await f.write(batchOf([{ __name__: 'a', x: 'y' }, 5, 1]))
      await expect(values(scan([named('a'), m('x', '=~', '(')]))).rejects.toMatchObject({ code: 'bad_data' })
    })

    it('gives samples in order of time however they came', async () => {
      const a = { __name__: 'a' }
      await f.write(batchOf([a, 10, 1], [a, 30, 2]))
      await f.write(batchOf([a, 20, 3]))
      await f.write(batchOf([a, 40, 4], [a, 5, 5], [a, 25, 6]))
      expect(await values(scan([named('a')]))).toEqual({
        a: [
          [40, 4],
          [30, 2],
          [25, 6],
          [20, 3],
          [10, 1],
          [5, 5],
        ],
      })
    })

    it('gives one sample a time, the first accepted', async () => {
      const a = { __name__: 'a' }
      await f.write(batchOf([a, 10, 1], [a, 10, 2]))
      await f.write(batchOf([a, 10, 3], [a, 20, 4]))
      await f.write(batchOf([a, 20, 5], [a, 5, 6]))
      expect(await values(scan([named('a')]))).toEqual({
        a: [
          [20, 4],
          [10, 1],
          [5, 6],
        ],
      })
    })

    it('keeps the bits of every value, stale markers too', async () => {
      const special = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 0.1]
      const batch = batchOf(
        ...special.map((v, i): [Record<string, string>, number, number] => [{ __name__: 'a' }, 100 - i, v]),
        [{ __name__: 'a' }, 5, 0],
      )
      staleMarker(batch.value, special.length)
      await f.write(batch)
      const got = (await readAll(f.reader, scan([named('a')]))).get('a')!
      expect(got.map(([, low, high]) => [low, high])).toEqual([
        ...special.map(wordsOfNumber),
        [2, 0x7ff00000],
      ])
    })

    it('gives at least the last sample in the window when only that is asked for', async () => {
      const a = { __name__: 'a' }
      const b = { __name__: 'a', x: 'y' }
      await f.write(batchOf([a, 60, 1], [a, 40, 2], [a, 10, 3], [b, 50, 4]))
      const got = await values(scan([named('a')], 45_000, -20_000, { pick: 'last' }))
      expect(Object.keys(got)).toEqual(['a'])
      expect(Object.values(got)[0]!.at(-1)).toEqual([40, 2])
    })

    it('holds the limits', async () => {
      await f.write(
        batchOf(
          ...Array.from({ length: 10 }, (_, i): [Record<string, string>, number, number] => [
            { __name__: 'a', i: String(i >> 1) },
            10 + i,
            i,
          ]),
        ),
      )
      const exactly = scan([named('a')], 60_000, 0, { limits: { series: 5, samples: 10 } })
      expect(Object.keys(await values(exactly))).toHaveLength(5)
      for (const limits of [
        { series: 4, samples: 10 },
        { series: 5, samples: 9 },
      ])
        await expect(values({ ...exactly, limits })).rejects.toMatchObject({ code: 'limit_exceeded' })
    })

    it('stops when it is told to', async () => {
      await f.write(batchOf([{ __name__: 'a' }, 10, 1]))
      const stopped = AbortSignal.abort(new Error('enough'))
      const read = async (): Promise<void> => {
        for await (const _ of f.reader.read(scan([named('a')]), stopped)) throw new Error('went on')
      }
      await expect(read()).rejects.toThrow()
      await expect(read()).rejects.not.toThrow('went on')
    })

    it('answers as a plain model does, whatever comes in whatever order', async () => {
      const sample = fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 1700 }), fc.integer())
      let run = 0
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(sample, { maxLength: 30 }), { maxLength: 6 }),
          fc.integer({ min: 0, max: 1800 }),
          fc.integer({ min: 0, max: 1800 }),
          async (batches, a, b) => {
            // Each run in series of its own.
            const metric = `random_${run++}`
            const model = new Map<string, Map<number, number>>()
            for (const rows of batches) {
              await f.write(
                batchOf(
                  ...rows.map(([s, ago, v]): [Record<string, string>, number, number] => [
                    { __name__: metric, s: String(s) },
                    ago,
                    v,
                  ]),
                ),
              )
              for (const [s, ago, v] of rows) {
                const key = `${metric}{s="${s}"}`
                const times = model.get(key) ?? new Map()
                if (!times.has(ago)) times.set(ago, v)
                model.set(key, times)
              }
            }
            const [back, until] = [Math.max(a, b), Math.min(a, b)]
            const want: Record<string, [number, number][]> = {}
            for (const [key, times] of model) {
              const rows = [...times]
                .filter(([ago]) => ago < back && ago >= until)
                .sort((x, y) => y[0] - x[0])
              if (rows.length > 0) want[key] = rows
            }
            expect(await values(scan([named(metric)], back * 1000, -until * 1000))).toEqual(want)
          },
        ),
        { numRuns: 60 },
      )
    })
  })
}
