// Remote write: samples a second, and CPU a million samples until everything is queryable and in the store.
import { ask, type Expression, sameAnswers } from './answers.ts'
import { Load, type Shape, send, totalSeries } from './load.ts'
import { alternating, median, type Pair, peakRss, type Row, rest, stored } from './measure.ts'

export interface IngestOptions {
  readonly rounds: number
  readonly connections: number
  /** Samples of a series in each round, for shapes of one sample and for long ones. */
  readonly each: { readonly short: number; readonly long: number }
}

export const shapes: readonly (Shape & { readonly name: string })[] = [
  { name: '500 x 1', series: 500, samples: 1 },
  { name: '2000 x 1', series: 2000, samples: 1 },
  { name: '500 x 40', series: 500, samples: 40 },
]

/** Everything lies within the last nine and a half minutes, as what senders send does. */
const withinMs = 570_000

const figures = (): Record<'airboss' | 'prometheus', number[]> => ({ airboss: [], prometheus: [] })

/** Measures one shape on two fresh peers; adds the most memory they held to `peaks`. */
export const ingest = async (
  peers: Pair,
  shape: (typeof shapes)[number],
  options: IngestOptions,
  peaks: Record<'airboss' | 'prometheus', number>,
): Promise<Row[]> => {
  const each = shape.samples === 1 ? options.each.short : options.each.long
  const warm = shape.samples === 1 ? 20 : shape.samples
  const all = warm + each * options.rounds
  const step = Math.floor(withinMs / all)
  const endAt = Date.now()
  const load = new Load('m', shape, endAt - withinMs, step)
  const cpu = figures()
  const after = figures()
  const speed = figures()
  const first = load.next(warm, options.connections)
  for (const peer of peers) {
    await send(peer.url, first)
    await rest(peer)
  }
  // Both get the same bytes; they are made once a round, before any clock runs.
  let lanes = first
  let made = -1
  const samples = each * totalSeries
  await alternating(peers, options.rounds, async (peer, round) => {
    if (round !== made) lanes = load.next(each, options.connections)
    made = round
    const before = peer.cpu()
    const begunAt = performance.now()
    const { value: seconds, peak } = await peakRss(peer, async () => {
      await send(peer.url, lanes)
      return (performance.now() - begunAt) / 1000
    })
    await stored(peer)
    cpu[peer.name].push((peer.cpu() - before) / (samples / 1e6))
    await rest(peer)
    after[peer.name].push((peer.cpu() - before) / (samples / 1e6))
    speed[peer.name].push(samples / seconds)
    peaks[peer.name] = Math.max(peaks[peer.name], peak)
  })
  const at = (endAt + 1) / 1000
  const checks: Expression[] = [
    { expr: 'sum(count_over_time(m[20m]))', at },
    { expr: 'sum by (x) (m)', at },
  ]
  for (const one of checks) sameAnswers(one.expr, await ask(peers[0].url, one), await ask(peers[1].url, one))
  const row = (what: string, unit: string, of: ReturnType<typeof figures>, aim?: string): Row => ({
    what: `remote write ${shape.name}: ${what}`,
    unit,
    airboss: median(of.airboss),
    prometheus: median(of.prometheus),
    ...(aim ? { aim } : {}),
  })
  return [
    row('CPU', 'CPU s/1M', cpu, '<= 0.5'),
    row('CPU until at rest', 'CPU s/1M', after),
    row('speed', 'samples/s', speed, '>= 1'),
  ]
}
