// Kill -9 at any moment, of everything, of the main process alone, of the engine alone: nothing acknowledged is lost, nothing is doubled.
import { afterEach, expect, it } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { seededRandom } from '../kit/random.ts'
import { until } from '../kit/until.ts'

const config = 'rule_files: []\nhost: { enabled: false }\n'
let product: Product | undefined
let first: Product | undefined
afterEach(async () => {
  await product?.dispose()
  await first?.dispose()
})

/** Writes one sample after another in several streams, until told to stop; keeps which were acknowledged. */
const writeAll = (target: () => Product, from: number, streams: number, acked: Map<string, Set<number>>) => {
  let going = true
  let next = from
  const run = async (stream: number): Promise<void> => {
    while (going) {
      const at = next++
      const labels = { __name__: 'seq', stream: String(stream) }
      try {
        await target().remoteWrite([{ labels, samples: [[at, at]] }])
        const known = acked.get(labels.stream) ?? new Set<number>()
        acked.set(labels.stream, known.add(at))
      } catch {
        // Not acknowledged: it may be there or not, once.
        if (going) await new Promise((done) => setTimeout(done, 5))
      }
    }
  }
  const all = Promise.all(Array.from({ length: streams }, (_, i) => run(i)))
  return {
    next: () => next,
    stop: async () => {
      going = false
      await all
    },
  }
}

const select = async (target: Product, sql: string): Promise<string> => {
  const at = target.clickhouse.startsWith('http') ? target.clickhouse : `http://${target.clickhouse}`
  const answer = await fetch(at, { method: 'POST', body: sql })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text.trim()
}

it('keeps what it acknowledged, once, whatever is killed', async () => {
  const dice = seededRandom('kills')
  const { seed } = dice
  const acked = new Map<string, Set<number>>()
  // Distinct milliseconds within the accepted age.
  let from = Date.now() - 1_800_000
  first = await startProduct({ files: { 'airboss.yaml': config } })
  product = first
  for (const whom of ['all', 'main', 'engine', 'all', 'engine', 'main'] as const) {
    const writer = writeAll(() => product!, from, 4, acked)
    await new Promise((done) => setTimeout(done, 200 + dice.below(1500)))
    if (whom === 'engine') {
      const engine = product.enginePid()
      if (engine !== null) process.kill(engine, 'SIGKILL')
      await new Promise((done) => setTimeout(done, 500))
      await writer.stop()
    } else {
      const dying = product
      dying.signal('SIGKILL', whom)
      await writer.stop()
      await until('the end of all processes', () => dying.pids().length === 0, 15_000)
      product = await startProduct({ dir: first.dir })
    }
    from = writer.next()
  }

  const living = product
  for (const [stream, times] of acked) {
    const answer = await living.fetch(
      `/api/v1/query?${new URLSearchParams({ query: `seq{stream="${stream}"}[40m]`, time: String(from / 1000) })}`,
    )
    const { data } = (await answer.json()) as { data: { result: { values: [number, string][] }[] } }
    const values = data.result[0]?.values ?? []
    const got = values.map(([, v]) => Number(v))
    expect(new Set(got).size, `seed ${seed}: doubled`).toBe(got.length)
    const there = new Set(got)
    const lost = [...times].filter((t) => !there.has(t))
    expect(lost, `seed ${seed}: lost of stream ${stream}`).toEqual([])
    expect(values.every(([t, v]) => Math.round(t * 1000) === Number(v))).toBe(true)
  }
  const total = [...acked.values()].reduce((n, times) => n + times.size, 0)
  expect(total).toBeGreaterThan(200)

  // And in the tables themselves, once the log has gone in.
  await until(
    'the log to be stored',
    async () => {
      const status = await (await living.fetch('/api/ops/v1/status')).json()
      return (status as { log: { pending_rows: number } }).log.pending_rows === 0
    },
    20_000,
  )
  const tables = await select(
    living,
    "SELECT count() = uniqExact(id, timestamp), count() FROM samples WHERE id IN (SELECT id FROM series WHERE metric = 'seq')",
  )
  const [single, rows] = tables.split('\t')
  expect(single, `seed ${seed}: rows doubled`).toBe('1')
  expect(Number(rows)).toBeGreaterThanOrEqual(total)
}, 120_000)
