// Asks a real Prometheus and our querier the same questions about the same samples.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import snappy from 'snappyjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { messageOf } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration, instant, minute } from '../../src/lib/time.ts'
import { type Labels, labelsKey, labelsOf, printLabels } from '../../src/model/labels.ts'
import type { Value } from '../../src/model/result.ts'
import { createQuerier } from '../../src/query/querier.ts'
import { createMemoryReader } from '../kit/memory-reader.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { queries } from './promql-queries.ts'

const found = (): string | null => {
  try {
    const out = execFileSync('prometheus', ['--version'], { stdio: ['ignore', 'pipe', 'pipe'] })
    return /version (\d+\.\d+)/.exec(String(out))?.[1] ?? 'unknown'
  } catch {
    return null
  }
}
const version = found()
if (version === null)
  console.log(
    '\n!!! SKIPPED: no prometheus on PATH, so PromQL is not compared with a real one (apt-get install prometheus)\n',
  )
/** 2.x knows fewer functions and adds up with less care. */
const old = version?.startsWith('2.') ?? false

interface Float {
  readonly at: number
  readonly value: number | 'stale'
}
interface Series {
  readonly labels: Labels
  readonly samples: Float[]
}

/** Reproducible numbers in [0, 1). */
const random = (seed: number) => {
  let state = seed
  return (): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return mixed(state)
  }
}
const mixed = (from: number): number => {
  let h = from
  h = Math.imul(h ^ (h >>> 13), 0x85ebca6b)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}

/**
 * Where 2.42 differs by design: it kept names under atan2, knew no histogram_fraction on classic buckets, closed windows on both sides (which
 * shows where subqueries' steps fall on edges), extrapolated counters near zero otherwise, and took the first infinite or NaN value of a
 * spread for 0.
 */
const changed = /atan2|histogram_fraction|\[2m:30s\]|^(rate|increase)\((gappy|temp)|^std.*odd/

const makeData = (endAt: number): Series[] => {
  const r = random(42)
  const out: Series[] = []
  const count = 120
  const startAt = endAt - count * 15_000
  // Never on a whole or half second, where windows begin and end.
  const times = (): number[] =>
    Array.from({ length: count }, (_, i) => {
      const at = startAt + i * 15_000 + Math.floor(r() * 14_000)
      return at % 500 === 0 ? at + 137 : at
    })
  const add = (record: Record<string, string>, value: (i: number) => number | 'stale' | null): void => {
    const samples = times().flatMap((at, i): Float[] => {
      const v = value(i)
      return v === null ? [] : [{ at, value: v }]
    })
    out.push({ labels: labelsOf(record), samples })
  }
  for (const job of ['web', 'db'])
    for (const instance of ['1', '2', '3']) {
      let v = 5000 + r() * 1000
      add({ __name__: 'req_total', job, instance }, () => {
        v += Math.floor(r() * 50)
        if (r() < 0.03) v = 5000
        return v
      })
    }
  for (const room of ['a', 'b', 'c'])
    for (const floor of ['1', '2']) {
      add({ __name__: 'temp', room, floor }, (i) => 20 + 8 * Math.sin(i / 9) + 6 * (r() - 0.5))
      add({ __name__: 'humidity', room, floor }, () => Math.round(40 + 30 * r()))
      add({ __name__: 'limits', kind: 'hard', room, floor }, () => 22)
    }
  for (const room of ['a', 'b', 'c']) add({ __name__: 'rooms', room, owner: `owner-${room}` }, () => 18 + r())
  for (const job of ['web', 'db']) add({ __name__: 'info', job, version: '1' }, () => 1)
  add({ __name__: 'gappy', room: 'a' }, (i) => (i % 40 > 25 ? null : i + r()))
  add({ __name__: 'gappy', room: 'b' }, () => (r() < 0.5 ? null : 100 * r()))
  add({ __name__: 'odd', room: 'a' }, (i) => (i % 5 === 0 ? Number.NaN : 10 * r()))
  add({ __name__: 'odd', room: 'b' }, () => 20 * r())
  add({ __name__: 'ended', room: 'a' }, (i) => (i === 100 ? 'stale' : i > 100 ? null : 3))
  for (const job of ['web', 'db']) {
    const counts = new Float64Array(5).fill(1000)
    const rows = Array.from(counts, (): Float[] => [])
    for (const at of times()) {
      let inBucket = 0
      counts.forEach((_, b) => {
        inBucket += Math.floor(r() * 10)
        counts[b]! += inBucket
        rows[b]!.push({ at, value: counts[b]! })
      })
    }
    rows.forEach((samples, b) => {
      const le = ['0.05', '0.1', '0.5', '1', '+Inf'][b]!
      out.push({ labels: labelsOf({ __name__: 'lat_bucket', job, le }), samples })
    })
  }
  return out
}

const varint = (n: number): number[] => {
  const out: number[] = []
  let rest = n
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128)
  out.push(rest)
  return out
}
const field = (n: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(n << 3) | 2, ...varint(bytes.length)]), bytes])

const encode = (all: readonly Series[]): Buffer =>
  Buffer.concat(
    all.map(({ labels, samples }) => {
      const parts: Buffer[] = []
      for (let i = 0; i < labels.length; i += 2)
        parts.push(
          field(1, Buffer.concat([field(1, Buffer.from(labels[i]!)), field(2, Buffer.from(labels[i + 1]!))])),
        )
      for (const s of samples) {
        const value = Buffer.alloc(9)
        value[0] = 9
        if (s.value === 'stale') value.writeBigUInt64LE(0x7ff0000000000002n, 1)
        else if (Number.isNaN(s.value)) value.writeBigUInt64LE(0x7ff8000000000001n, 1)
        else value.writeDoubleLE(s.value, 1)
        parts.push(field(2, Buffer.concat([value, Buffer.from([0x10, ...varint(s.at)])])))
      }
      return field(1, Buffer.concat(parts))
    }),
  )

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

interface Row {
  readonly labels: Labels
  readonly points: readonly (readonly [number, number])[]
}
type Outcome = { error: string } | { rows: Row[] }

const parseFloatText = (text: string): number =>
  text === '+Inf' ? Number.POSITIVE_INFINITY : text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text)

const rowsOf = (value: Value): Row[] => {
  if (value.kind === 'string') return []
  if (value.kind === 'scalar') return [{ labels: [], points: [[value.at, value.value]] }]
  if (value.kind === 'vector')
    return value.labels.map((labels, i) => ({ labels, points: [[value.at, value.values[i]!]] }))
  return value.labels.map((labels, i) => {
    const points: [number, number][] = []
    for (let k = value.start[i]!; k < value.end[i]!; k++) points.push([value.at[k]!, value.value[k]!])
    return { labels, points }
  })
}

const near = (a: number, b: number): boolean => {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b)
  if (a === b) return true
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b), 1e-3)
}

const difference = (theirs: Outcome, ours: Outcome, ordered: boolean): string | null => {
  if ('error' in theirs || 'error' in ours)
    return 'error' in theirs && 'error' in ours
      ? null
      : `theirs ${JSON.stringify(theirs).slice(0, 300)}, ours ${JSON.stringify(ours).slice(0, 300)}`
  if (theirs.rows.length !== ours.rows.length)
    return `theirs has ${theirs.rows.length} rows, ours ${ours.rows.length}`
  const mine = new Map(ours.rows.map((r) => [labelsKey(r.labels), r]))
  for (const [i, row] of theirs.rows.entries()) {
    const match = ordered ? ours.rows[i]! : mine.get(labelsKey(row.labels))
    if (!match || labelsKey(match.labels) !== labelsKey(row.labels))
      return `ours has no ${printLabels(row.labels)}${ordered ? ` at ${i}` : ''}`
    if (match.points.length !== row.points.length)
      return `${printLabels(row.labels)}: theirs has ${row.points.length} points, ours ${match.points.length}`
    for (const [k, [at, v]] of row.points.entries()) {
      const [ourAt, ourV] = match.points[k]!
      if (at !== ourAt || !near(v, ourV))
        return `${printLabels(row.labels)} at ${at}: theirs ${v}, ours ${ourV} at ${ourAt}`
    }
  }
  return null
}

describe.skipIf(version === null)(`PromQL beside Prometheus ${version}`, () => {
  const endAt = Math.floor(Date.now() / 60_000) * 60_000 - 60_000
  const data = makeData(endAt)
  const reader = createMemoryReader({ sliceRows: 7 })
  const querier = createQuerier({
    reader,
    clock: systemClock,
    limits: { timeout: duration(60_000), series: 1e5, samples: 1e8, concurrency: 4 },
    lookback: duration(5 * minute),
    metrics: fakeMetrics(),
    log: silentLogger(),
  })
  let prometheus: ChildProcess
  let base = ''
  const folder = mkdtempSync(join(tmpdir(), 'promql-peer-'))

  beforeAll(async () => {
    for (const { labels, samples } of data) reader.add(labels, samples)
    const port = await freePort()
    base = `http://127.0.0.1:${port}`
    const config = join(folder, 'prometheus.yml')
    writeFileSync(config, 'global: {}\n')
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--web.enable-remote-write-receiver',
        '--enable-feature=promql-experimental-functions,promql-negative-offset,promql-at-modifier',
      ],
      { stdio: 'ignore' },
    )
    for (let i = 0; i < 200; i++) {
      const up = await fetch(`${base}/-/ready`).then(
        (r) => r.ok,
        () => false,
      )
      if (up) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const answer = await fetch(`${base}/api/v1/write`, {
      method: 'POST',
      headers: {
        'content-encoding': 'snappy',
        'content-type': 'application/x-protobuf',
        'x-prometheus-remote-write-version': '0.1.0',
      },
      body: Buffer.from(snappy.compress(encode(data))),
    })
    expect(answer.status, await answer.text()).toBeLessThan(300)
  })
  afterAll(async () => {
    if (prometheus) {
      const gone = new Promise((resolve) => prometheus.once('exit', resolve))
      prometheus.kill()
      await gone
    }
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = async (path: string, params: Record<string, string>): Promise<Outcome> => {
    const response = await fetch(`${base}/api/v1/${path}`, {
      method: 'POST',
      body: new URLSearchParams(params),
    })
    const body = (await response.json()) as {
      error?: string
      data?: { resultType: string; result: unknown }
    }
    if (!body.data) return { error: body.error ?? 'no data' }
    const point = ([at, v]: [number, string]): [number, number] => [Math.round(at * 1000), parseFloatText(v)]
    if (body.data.resultType === 'string') return { rows: [] }
    if (body.data.resultType === 'scalar')
      return { rows: [{ labels: [], points: [point(body.data.result as [number, string])] }] }
    const result = body.data.result as {
      metric: Record<string, string>
      value?: [number, string]
      values?: [number, string][]
    }[]
    return {
      rows: result.map((r) => ({ labels: labelsOf(r.metric), points: (r.values ?? [r.value!]).map(point) })),
    }
  }
  const ours = async (work: Promise<{ value: Value }>): Promise<Outcome> =>
    work.then(
      ({ value }) => ({ rows: rowsOf(value) }),
      (error) => ({ error: messageOf(error) }),
    )

  const all = queries().filter((expr) => !old || !changed.test(expr))
  const unknown = (o: Outcome): boolean =>
    old && 'error' in o && /unknown function|unexpected|could not parse|parse error/.test(o.error)
  const { signal } = new AbortController()

  it(`gives the same for ${all.length} instant queries at three times`, { timeout: 300_000 }, async () => {
    const wrong: string[] = []
    let compared = 0
    for (const expr of all) {
      for (const back of [30_500, 400_500, 1_203_500]) {
        const at = endAt - back
        const theirs = await ask('query', { query: expr, time: String(at / 1000) })
        if (unknown(theirs)) continue
        compared++
        const problem = difference(
          theirs,
          await ours(querier.instant(expr, instant(at), signal)),
          /^sort/.test(expr),
        )
        if (problem) wrong.push(`${expr} @ -${back}: ${problem}`)
      }
    }
    console.log(`compared ${compared} instant answers with Prometheus ${version}: ${wrong.length} differ`)
    expect(wrong).toEqual([])
    expect(compared).toBeGreaterThan(1000)
  })

  it('gives the same for the same queries over a range', { timeout: 300_000 }, async () => {
    const wrong: string[] = []
    let compared = 0
    for (const expr of all) {
      const [fromAt, toAt, step] = [endAt - 1_500_500, endAt + 240_500, 37_000]
      const theirs = await ask('query_range', {
        query: expr,
        start: String(fromAt / 1000),
        end: String(toAt / 1000),
        step: String(step / 1000),
      })
      if (unknown(theirs)) continue
      compared++
      const span = { fromAt: instant(fromAt), toAt: instant(toAt), step: duration(step) }
      const problem = difference(theirs, await ours(querier.range(expr, span, signal)), false)
      if (problem) wrong.push(`${expr}: ${problem}`)
    }
    console.log(`compared ${compared} range answers with Prometheus ${version}: ${wrong.length} differ`)
    expect(wrong).toEqual([])
    expect(compared).toBeGreaterThan(300)
  })
})
