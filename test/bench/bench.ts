// Airboss as it is run beside Debian's Prometheus: the same requests over HTTP to both in one run, answers compared before times.
// node test/bench/bench.ts [--quick] [--write] [--only ingest|otlp|queries|rules|start]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ingest, shapes } from './beside/ingest.ts'
import { items } from './beside/items.ts'
import { median, type Pair, type Row } from './beside/measure.ts'
import { type Peer, prometheusVersion, startAirboss, startPrometheus } from './beside/peers.ts'
import { loadHistory, queries } from './beside/queries.ts'
import { page, print } from './beside/report.ts'
import { rules } from './beside/rules.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, write: { type: 'boolean' }, only: { type: 'string' } },
})
const quick = options.quick ?? false
const wanted = (part: string): boolean => options.only === undefined || options.only === part

const version = prometheusVersion()
if (version === null) {
  console.error(
    'BENCH SKIPPED: there is no `prometheus` to measure beside (Debian: apt-get install prometheus)',
  )
  process.exit(0)
}

const dir = mkdtempSync(join(tmpdir(), 'airboss-bench-'))
const running = new Set<Peer>()
const both = async (name: string): Promise<Pair> => {
  const airboss = await startAirboss(join(dir, name, 'airboss'))
  running.add(airboss)
  const prometheus = await startPrometheus(join(dir, name, 'prometheus'))
  running.add(prometheus)
  return [airboss, prometheus]
}
const stop = async (peers: Iterable<Peer>): Promise<void> => {
  for (const peer of peers) {
    await peer.stop()
    running.delete(peer)
  }
}
const say = (text: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)
const rows: Row[] = []
const add = (list: readonly Row[]): void => {
  rows.push(...list)
  print(list)
}

const pairRow = (what: string, unit: string, list: readonly Pair[], of: (peer: Peer) => number): Row => ({
  what,
  unit,
  airboss: median(list.map(([a]) => of(a))),
  prometheus: median(list.map(([, p]) => of(p))),
})

/** Starts both on the same directories a few times; figures are taken when they are up. */
const starts = async (what: string, nameOf: (round: number) => string, rounds: number): Promise<Row[]> => {
  const figures: { time: [number, number]; cpu: [number, number]; rss: [number, number] }[] = []
  for (let round = 0; round < rounds; round++) {
    const peers = await both(nameOf(round))
    const [a, p] = peers
    figures.push({ time: [a.startedIn, p.startedIn], cpu: [a.cpu(), p.cpu()], rss: [a.rss(), p.rss()] })
    await stop(peers)
  }
  const row = (name: string, unit: string, key: 'time' | 'cpu' | 'rss', by: number): Row => ({
    what: `start, ${what}: ${name}`,
    unit,
    airboss: median(figures.map((f) => f[key][0])) * by,
    prometheus: median(figures.map((f) => f[key][1])) * by,
  })
  return [
    row('until it answers', 'ms', 'time', 1),
    row('CPU', 'CPU ms', 'cpu', 1000),
    row('memory', 'MB', 'rss', 1),
  ]
}

const run = async (): Promise<void> => {
  const rounds = quick ? 1 : 3
  if (wanted('start')) {
    say('starting empty')
    add(await starts('empty', (round) => `empty-${round}`, rounds))
  }
  if (wanted('ingest')) {
    const peaks = { airboss: 0, prometheus: 0 }
    for (const shape of shapes) {
      say(`remote write ${shape.name}`)
      const peers = await both(`ingest-${shape.name.replaceAll(' ', '')}`)
      const each = quick ? { short: 30, long: 120 } : { short: 100, long: 400 }
      add(await ingest(peers, shape, { rounds, connections: 5, each }, peaks))
      await stop(peers)
    }
    add([{ what: 'memory while ingesting, most', unit: 'MB', ...peaks }])
  }
  if (wanted('otlp')) {
    say('traces and logs')
    const airboss = await startAirboss(join(dir, 'items'))
    running.add(airboss)
    add(await items(airboss, rounds, quick ? 100 : 200))
    await stop([airboss])
  }
  if (wanted('queries') || wanted('rules')) {
    const peers = await both('history')
    say('loading two hours of 10k series')
    const { at, more } = await loadHistory(peers, 2)
    if (wanted('queries')) {
      say('queries')
      add(await queries(peers, at, quick ? 1 : 5))
      add([pairRow('memory after queries', 'MB', [peers], (peer) => peer.rss())])
    }
    if (wanted('rules')) {
      say('rules')
      const behind = Math.ceil((Date.now() / 1000 - at) / 15)
      await more(Math.ceil((behind + 6) / 40) * 40)
      add(await rules(peers, 200, quick ? 2 : 5))
    }
    await stop(peers)
    if (wanted('start')) {
      say('starting with data')
      add(await starts('with 4.8M samples', () => 'history', rounds))
    }
  }
}

// What was started runs in sessions of its own and would not hear a Ctrl-C.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void stop(running).finally(() => {
      rmSync(dir, { recursive: true, force: true })
      process.exit(130)
    })
  })

const begunAt = performance.now()
try {
  await run()
  say(`took ${((performance.now() - begunAt) / 1000).toFixed(0)} s`)
  const text = page(rows, version, quick)
  console.log(text)
  if (options.write) writeFileSync(fileURLToPath(new URL('../../docs/performance.md', import.meta.url)), text)
} finally {
  await stop(running)
  rmSync(dir, { recursive: true, force: true })
}
