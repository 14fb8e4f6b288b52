// Queries over the same two hours of 10k series: time and CPU of each, answers compared first.
import { ask, askText, type Expression, sameAnswers } from './answers.ts'
import { Load, send } from './load.ts'
import { alternating, median, type Pair, type Row, rest } from './measure.ts'

const step = 15_000

/** Loads `hours` of every series, up to the last whole step before now; returns that step in seconds. */
export const loadHistory = async (
  peers: Pair,
  hours: number,
): Promise<{ at: number; more: (steps: number) => Promise<void> }> => {
  const shape = { series: 500, samples: 40 }
  const count = Math.floor((hours * 3_600_000) / step / shape.samples) * shape.samples
  const endAt = Math.floor(Date.now() / step) * step
  const load = new Load('m', shape, endAt - count * step, step)
  const sendBoth = async (steps: number): Promise<void> => {
    const lanes = load.next(steps, 4)
    for (const peer of peers) {
      await send(peer.url, lanes)
      await rest(peer, 20)
    }
  }
  await sendBoth(count)
  return { at: endAt / 1000, more: sendBoth }
}

interface Timed {
  readonly name: string
  readonly ask: Expression
  /** Times it is asked in a round, so that CPU is counted in enough hundredths of a second. */
  readonly times: number
  readonly aim?: string
}

const questions = (at: number): Timed[] => [
  {
    name: 'instant sum by (x) (rate(m[5m])), 10k series',
    ask: { expr: 'sum by (x) (rate(m[5m]))', at },
    times: 10,
    aim: '<= 0.2',
  },
  { name: 'instant m > c, 10k series, a few answered', ask: { expr: 'm > 1025500', at }, times: 10 },
  { name: 'instant m, 10k series answered', ask: { expr: 'm', at }, times: 5 },
  { name: 'instant one series', ask: { expr: 'm{i="4711"}', at }, times: 100 },
  {
    name: 'range 1 h step 15 s sum by (x) (rate(m[5m])), 10k series',
    ask: { expr: 'sum by (x) (rate(m[5m]))', at, range: { from: at - 3600, step: 15 } },
    times: 1,
  },
  {
    name: 'range 1 h step 15 s rate(m{shard="s3"}[5m]), 500 series answered',
    ask: { expr: 'rate(m{shard="s3"}[5m])', at, range: { from: at - 3600, step: 15 } },
    times: 3,
  },
  {
    name: 'range 30 min older than 1 h, step 15 s, 40 series',
    ask: {
      expr: 'rate(m{shard="s3",x=~"group-1."}[5m])',
      at: at - 3900,
      range: { from: at - 5700, step: 15 },
    },
    times: 10,
  },
  {
    name: 'range 30 min older than 1 h, step 15 s, one series',
    ask: { expr: 'rate(m{i="4711"}[5m])', at: at - 3900, range: { from: at - 5700, step: 15 } },
    times: 30,
  },
]

export const queries = async (peers: Pair, at: number, rounds: number): Promise<Row[]> => {
  const rows: Row[] = []
  for (const { name, ask: one, times, aim } of questions(at)) {
    sameAnswers(name, await ask(peers[0].url, one), await ask(peers[1].url, one))
    const wall = { airboss: [] as number[], prometheus: [] as number[] }
    const cpu = { airboss: [] as number[], prometheus: [] as number[] }
    await alternating(peers, rounds, async (peer) => {
      // Warm: a dashboard asks the same every few seconds.
      await askText(peer.url, one)
      const before = peer.cpu()
      for (let n = 0; n < times; n++) {
        const begunAt = performance.now()
        await askText(peer.url, one)
        wall[peer.name].push(performance.now() - begunAt)
      }
      cpu[peer.name].push(((peer.cpu() - before) / times) * 1000)
    })
    const average = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length
    rows.push(
      {
        what: name,
        unit: 'ms',
        airboss: median(wall.airboss),
        prometheus: median(wall.prometheus),
        ...(aim ? { aim } : {}),
      },
      {
        what: `${name}: CPU`,
        unit: 'CPU ms',
        airboss: average(cpu.airboss),
        prometheus: average(cpu.prometheus),
      },
    )
  }
  return rows
}
