// A pass over alerting rules: its duration as each tells it, and the CPU it takes beyond doing nothing.
import { median, type Pair, type Row } from './measure.ts'
import { type Peer, sleep } from './peers.ts'

const interval = 4

/** Half thresholds on the last value, half on a sum of rates; each over the 500 series of one shard. */
const ruleText = (count: number): string => {
  const rules: string[] = []
  for (let n = 0; n < count; n++) {
    const shard = `s${(n >> 1) % 20}`
    const expr =
      n % 2 === 0
        ? `m{shard="${shard}"} > ${1_016_000 + (n % 7) * 10}`
        : `sum by (x) (rate(m{shard="${shard}"}[5m])) > ${4 + (n % 5)}`
    rules.push(
      `      - alert: Rule${n}\n        expr: '${expr}'\n        for: 10m\n        labels: { n: '${n}' }`,
    )
  }
  return `groups:\n  - name: bench\n    interval: ${interval}s\n    rules:\n${rules.join('\n')}\n`
}

interface Group {
  readonly evaluationTime: number
  readonly lastEvaluation: string
  readonly rules: readonly { readonly health: string; readonly lastError?: string }[]
}

const groupOf = async (peer: Peer): Promise<Group> =>
  (
    (await (await fetch(`${peer.url}/api/v1/rules?exclude_alerts=true`)).json()) as {
      data: { groups: Group[] }
    }
  ).data.groups[0]!

/** Waits for the next pass to end. */
const nextPass = async (peer: Peer, last: string): Promise<Group> => {
  for (let tries = 0; tries < 600; tries++) {
    const group = await groupOf(peer)
    if (group.lastEvaluation !== last && group.rules.every((r) => r.health !== 'unknown')) return group
    await sleep(50)
  }
  throw new Error(`${peer.name}: no rule pass within 30 s`)
}

const active = async (peer: Peer): Promise<string[]> => {
  const answer = (await (await fetch(`${peer.url}/api/v1/alerts`)).json()) as {
    data: { alerts: { labels: Record<string, string> }[] }
  }
  return answer.data.alerts.map((a) => JSON.stringify(Object.entries(a.labels).sort())).sort()
}

export const rules = async (peers: Pair, count: number, passes: number): Promise<Row[]> => {
  const text = ruleText(count)
  const wall = { airboss: 0, prometheus: 0 }
  const cpu = { airboss: 0, prometheus: 0 }
  const alerts = { airboss: [] as string[], prometheus: [] as string[] }
  for (const peer of peers) {
    const idleFrom = peer.cpu()
    await sleep(4000)
    const idle = (peer.cpu() - idleFrom) / 4
    await peer.rules(text)
    let group = await nextPass(peer, '')
    // The first passes meet every alert for the first time.
    group = await nextPass(peer, group.lastEvaluation)
    const begunAt = performance.now()
    const before = peer.cpu()
    const times: number[] = []
    for (let n = 0; n < passes; n++) {
      group = await nextPass(peer, group.lastEvaluation)
      times.push(group.evaluationTime * 1000)
    }
    const seconds = (performance.now() - begunAt) / 1000
    cpu[peer.name] = ((peer.cpu() - before - idle * seconds) / passes) * 1000
    wall[peer.name] = median(times)
    alerts[peer.name] = await active(peer)
    const bad = group.rules.find((r) => r.health !== 'ok')
    if (bad) throw new Error(`${peer.name}: a rule failed: ${bad.lastError}`)
    await peer.rules(null)
  }
  compare(alerts.airboss, alerts.prometheus)
  return [
    { what: `rule pass, ${count} rules over 500 series each`, unit: 'ms', ...wall },
    { what: `rule pass, ${count} rules over 500 series each: CPU`, unit: 'CPU ms', ...cpu },
  ]
}

/** Both judged a few seconds apart, so a series at a threshold may be on either side of it. */
const compare = (ours: readonly string[], theirs: readonly string[]): void => {
  const other = new Set(theirs)
  const shared = ours.filter((a) => other.has(a)).length
  if (ours.length === 0 || shared < 0.9 * Math.max(ours.length, theirs.length))
    throw new Error(`rules: ${ours.length} alerts, Prometheus has ${theirs.length}, ${shared} are the same`)
}
