// The store over a real engine: what is written is read back, once, in the right order, within its limits.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LabelIndex } from '../../src/head/index.ts'
import { type Batch, isStaleAt, sampleBatch, staleMarker, wordsOf } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import type { Scan } from '../../src/model/plan.ts'
import { SeriesTable } from '../../src/model/series.ts'
import type { Store } from '../../src/store/store.ts'
import { spanBatch, spanRows } from '../kit/span-rows.ts'
import { at, never, testEngine, testStore } from '../kit/store.ts'

const hour = 3_600_000
const start = Math.floor(Date.now() / hour) * hour - 5 * hour

let engine: Awaited<ReturnType<typeof testEngine>>
beforeAll(async () => {
  engine = await testEngine()
})
afterAll(async () => {
  await engine?.remove()
})

const fresh = async (
  table = new SeriesTable(100_000),
): Promise<{ store: Store; table: SeriesTable; database: string }> => await testStore(engine, { table })

const scan = (more: Partial<Scan> = {}): Scan => ({
  kind: 'scan',
  matchers: [{ name: '__name__', op: '=', value: 'm' }],
  fromAt: at(start - 1),
  toAt: at(start + 24 * hour),
  pick: 'all',
  limits: { series: 100_000, samples: 10_000_000 },
  ...more,
})

/** `label i` → `time offset:value` pairs of everything a scan yields. */
const read = async (store: Store, plan: Scan): Promise<Record<string, string[]>> => {
  const out: Record<string, string[]> = {}
  for await (const c of store.reader.read(plan, never)) {
    c.labels.forEach((labels, i) => {
      const name = labels[labels.indexOf('i') + 1]!
      expect(out[name]).toBeUndefined()
      out[name] = []
      for (let j = c.start[i]!; j < c.end[i]!; j++) {
        const stale = isStaleAt(wordsOf(c.value), j)
        out[name].push(`${c.at[j]! - start}:${stale ? 'stale' : c.value[j]}`)
      }
    })
  }
  return out
}

const series = (table: SeriesTable, i: number | string, name = 'm'): number =>
  table.intern(labelsOf({ __name__: name, i: String(i) }))

it('gives back what was written, within (from, to], once per token', async () => {
  const { store, table } = await fresh()
  const [a, b, other] = [series(table, 'a'), series(table, 'b'), series(table, 'x', 'other')]
  const batch = sampleBatch(
    [a, b, a, other, b],
    [start, start, start + 1000, start, start + 3 * hour],
    [1, 2, -0.5, 9, Number.POSITIVE_INFINITY],
  )
  await store.writer.write(batch, 't1', never)
  await store.writer.write(batch, 't1', never)
  expect(await read(store, scan())).toEqual({ a: ['0:1', '1000:-0.5'], b: ['0:2', '10800000:Infinity'] })
  expect(await read(store, scan({ fromAt: at(start) }))).toEqual({
    a: ['1000:-0.5'],
    b: ['10800000:Infinity'],
  })
  expect(await read(store, scan({ toAt: at(start) }))).toEqual({ a: ['0:1'], b: ['0:2'] })
  expect(await read(store, scan({ toAt: at(start - 1) }))).toEqual({})
  expect((await store.stats(never)).tables.find((t) => t.name === 'samples')?.rows).toBe(5)
})

it('keeps the bits of stale markers and tells them from other NaNs', async () => {
  const { store, table } = await fresh()
  const a = series(table, 'a')
  const batch = sampleBatch([a, a, a], [start, start + 1, start + 2], [Number.NaN, 0, 1])
  staleMarker(batch.value, 1)
  await store.writer.write(batch, 't', never)
  expect(await read(store, scan())).toEqual({ a: ['0:NaN', '1:stale', '2:1'] })
  expect(await read(store, scan({ pick: 'last', toAt: at(start + 1) }))).toMatchObject({
    a: expect.arrayContaining(['1:stale']),
  })
})

it('lets the first accepted sample win, within a batch and between batches', async () => {
  const { store, table } = await fresh()
  const [a, b] = [series(table, 'a'), series(table, 'b')]
  await store.writer.write(
    sampleBatch([a, a, b, a], [start, start + 5, start, start], [1, 5, 7, 99]),
    't1',
    never,
  )
  await store.writer.write(sampleBatch([a, b, a], [start, start, start + 2], [50, 7, 2]), 't2', never)
  await store.writer.write(sampleBatch([a, a], [start, start + 5], [60, 70]), 't3', never)
  const expected = { a: ['0:1', '2:2', '5:5'], b: ['0:7'] }
  expect(await read(store, scan())).toEqual(expected)
  expect(await read(store, scan({ pick: 'last' }))).toEqual({ a: ['5:5'], b: ['0:7'] })
})

it('reads many series over many hours in slices, each series whole in one', async () => {
  const { store, table } = await fresh()
  const n = 300
  const steps = 400
  const ref = new Uint32Array(n * steps)
  const time = new Float64Array(n * steps)
  const value = new Float64Array(n * steps)
  for (let i = 0; i < ref.length; i++) {
    ref[i] = series(table, i % n)
    time[i] = start + Math.floor(i / n) * 45_000
    value[i] = i
  }
  const batch: Batch = { ref, at: time, value, metadata: [], events: [], costs: [] }
  await store.writer.write(batch, 't', never)
  const all = await read(store, scan())
  expect(Object.keys(all)).toHaveLength(n)
  for (let s = 0; s < n; s++) {
    expect(all[s]).toHaveLength(steps)
    expect(all[s]![399]).toBe(`${399 * 45_000}:${399 * n + s}`)
  }
  const last = await read(store, scan({ pick: 'last' }))
  expect(last['17']).toEqual([`${399 * 45_000}:${399 * n + 17}`])
  const some = await read(store, scan({ matchers: [{ name: 'i', op: '=~', value: '1|2' }] }))
  expect(Object.keys(some).sort()).toEqual(['1', '2'])
})

it('holds the limits of series and samples', async () => {
  const { store, table } = await fresh()
  const refs = [0, 1, 2].map((i) => series(table, i))
  await store.writer.write(
    sampleBatch(
      [...refs, ...refs],
      [start, start, start, start + 1, start + 1, start + 1],
      [1, 2, 3, 4, 5, 6],
    ),
    't',
    never,
  )
  await expect(read(store, scan({ limits: { series: 2, samples: 100 } }))).rejects.toMatchObject({
    code: 'limit_exceeded',
  })
  await expect(read(store, scan({ limits: { series: 3, samples: 5 } }))).rejects.toMatchObject({
    code: 'limit_exceeded',
  })
  expect(Object.keys(await read(store, scan({ limits: { series: 3, samples: 6 } })))).toHaveLength(3)
})

it('splits a batch that spans more than 100 days', async () => {
  const { store, table } = await fresh()
  const a = series(table, 'a')
  const days = 230
  const times = Array.from({ length: days }, (_, d) => start - d * 24 * hour)
  const batch = sampleBatch(
    times.map(() => a),
    times,
    times.map((_, d) => d),
  )
  await store.writer.write(batch, 't', never)
  await store.writer.write(batch, 't', never)
  const all = await read(store, scan({ fromAt: at(start - 300 * 24 * hour) }))
  expect(Object.values(all).map((samples) => samples.length)).toEqual([days])
  expect((await store.stats(never)).tables.find((t) => t.name === 'samples')?.rows).toBe(days)
})

it('refuses a time that no column can hold as bad data', async () => {
  const { store, table } = await fresh()
  const write = store.writer.write(sampleBatch([series(table, 'a')], [Number.NaN], [1]), 't', never)
  await expect(write).rejects.toMatchObject({
    code: 'bad_data',
    message: expect.stringContaining('(m) has the time NaN'),
  })
})

it('restores series, metadata and samples for another process', async () => {
  const { store, table, database } = await fresh()
  const odd = table.intern(labelsOf({ __name__: 'm', i: 'ü "quoted" \n\0', job: 'j' }))
  const a = series(table, 'a')
  const batch = {
    ...sampleBatch([a, odd, a], [start, start + 10, start + 20], [1, 2, 3]),
    metadata: [{ metric: 'm', type: 'counter', help: "what's it", unit: 's' }],
  } as const
  await store.writer.write(batch, 't1', never)
  const { store: second, table: other } = await testStore(engine, { database, table: new SeriesTable(10) })
  const seen: [string, number, number][] = []
  const count = await second.loadSeries((ref, first, last) => {
    seen.push([other.labels(ref).join(), first - start, last - start])
  }, never)
  expect(count).toBe(2)
  expect(seen.sort()).toEqual([
    [table.labels(a).join(), 0, 20],
    [table.labels(odd).join(), 10, 10],
  ])
  expect(other.id(other.intern(table.labels(odd)))).toBe(table.id(odd))
  expect(await second.loadMetadata(never)).toEqual(batch.metadata)
  const since: string[] = []
  for await (const c of second.samplesSince(at(start + 10), never))
    for (let i = 0; i < c.ref.length; i++)
      since.push(`${other.labels(c.ref[i]!)[3]}@${c.at[i]! - start}=${c.value[i]}`)
  expect(since.sort()).toEqual(['a@20=3', 'ü "quoted" \n\0@10=2'])
})

it('keeps events and costs once by their ids, and the ledger as it is', async () => {
  const { store } = await fresh()
  const event = {
    id: 'e1',
    at: at(start),
    name: 'order',
    value: 1.5,
    agent: 'a',
    version: '1',
    outcome: 'ok',
    attributes: { k: "v'" },
  }
  const cost = {
    id: 'c1',
    at: at(start),
    agent: 'a',
    version: '1',
    model: 'm',
    provider: 'p',
    service: 's',
    owner: 'o',
    usd: 0.25,
    quantity: 10,
    unit: 'tokens',
    priceVersion: 'v1',
  }
  const empty = sampleBatch([], [], [])
  await store.writer.write({ ...empty, events: [event], costs: [cost] }, 't1', never)
  await store.writer.write(
    { ...empty, events: [event, { ...event, id: 'e2', at: at(start + 5) }], costs: [cost] },
    't2',
    never,
  )
  const span = { fromAt: at(start - 1), toAt: at(start + hour), limit: 10 }
  expect((await store.events(span, never)).map((e) => e.id)).toEqual(['e2', 'e1'])
  expect((await store.events({ ...span, name: 'order', agent: 'a', limit: 1 }, never))[0]).toEqual({
    ...event,
    id: 'e2',
    at: start + 5,
  })
  expect(await store.events({ ...span, agent: "b' OR 1" }, never)).toEqual([])
  expect(await store.costs(span, never)).toEqual([cost])
  const version = {
    kind: 'silence',
    id: 's1',
    version: 1,
    value: { a: 1 },
    by: 'user:x',
    why: 'because',
    at: at(start),
    sequence: 7,
    hash: 'h',
  }
  await store.copyLedger([version], never)
  await store.copyLedger([version], never)
  expect(await store.ledgerCopiedTo(never)).toBe(7)
})

it('aborts a read with the reason of its signal', async () => {
  const { store, table } = await fresh()
  await store.writer.write(sampleBatch([series(table, 'a')], [start], [1]), 't', never)
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  const work = async (): Promise<void> => {
    for await (const _ of store.reader.read(scan(), stop.signal)) throw new Error('not reached')
  }
  await expect(work()).rejects.toThrow('enough')
})

it('migrates once, and alters what is kept when the retention changes', async () => {
  const { store, table, database } = await fresh()
  expect(await store.migrate(never)).toEqual([])
  const old = sampleBatch([series(table, 'a'), series(table, 'a')], [start - 90 * 24 * hour, start], [1, 2])
  await store.writer.write(old, 't', never)
  const ttl = async (): Promise<string> => {
    const answer = await fetch(`${engine.url()}/?query=SHOW CREATE TABLE ${database}.samples FORMAT TSVRaw`, {
      headers: {
        'x-clickhouse-user': engine.credentials.user,
        'x-clickhouse-key': engine.credentials.password,
      },
    })
    return /TTL (.*)/.exec(await answer.text())?.[1] ?? ''
  }
  expect(await ttl()).toBe('toDateTime(timestamp) + toIntervalSecond(315360000)')
  await testStore(engine, { database, metricsFor: '30d' })
  expect(await ttl()).toBe('toDateTime(timestamp) + toIntervalSecond(2592000)')
  expect(await read(store, scan())).toEqual({ a: ['0:2'] })
})

it('keeps no connection of a read that was left', async () => {
  const { store, table } = await fresh()
  const rows = 200_000
  const refs = Array.from({ length: 1000 }, (_, i) => series(table, i))
  const ref = Uint32Array.from({ length: rows }, (_, i) => refs[i % 1000]!)
  const time = Float64Array.from({ length: rows }, (_, i) => start + Math.floor(i / 1000) * 1000)
  await store.writer.write(
    { ref, at: time, value: new Float64Array(rows), metadata: [], events: [], costs: [] },
    't',
    never,
  )
  for (let i = 0; i < 12; i++) {
    for await (const columns of store.reader.read(scan(), never)) {
      expect(columns.labels.length).toBeGreaterThan(0)
      break
    }
  }
  // Were a connection kept by each read that was left, none would be free any more.
  expect(Object.keys(await read(store, scan()))).toHaveLength(1000)
})

it('finds samples that came later and are older than all that a restart knows of their series', async () => {
  const { store, table, database } = await fresh()
  const a = series(table, 'a')
  await store.writer.write(sampleBatch([a], [start], [1]), 't1', never)
  await store.writer.write(sampleBatch([a], [start - 50 * 60_000], [2]), 't2', never)

  const again = new SeriesTable(1000)
  const index = new LabelIndex(again)
  const restarted = await testStore(engine, { table: again, database, index })
  await restarted.store.loadSeries((ref, first, last) => index.add(ref, first, last), never)
  const early = { fromAt: at(start - 2 * hour), toAt: at(start - 1000) }
  expect(await read(restarted.store, scan(early))).toEqual({ a: ['-3000000:2'] })
})

it('finds a trace that lies within one second', async () => {
  const { store } = await fresh()
  const start = BigInt(Math.floor(Date.now() / 1000) - 60) * 1_000_000_000n
  const traceId = '0123456789abcdef0123456789abcdef'
  const spans = [400_000_000n, 900_000_000n].map((later, i) => ({
    traceId,
    spanId: `000000000000000${i + 1}`,
    start: start + later,
  }))
  await store.writer.write(spanBatch(spanRows(spans)), 't', never)
  expect((await store.traces.trace(traceId, never)).spans.map((s) => s.spanId)).toEqual(
    spans.map((s) => s.spanId),
  )
})
