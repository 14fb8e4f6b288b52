// Stories of new versions: one breaks and is rolled back once, one does well and is promoted, one falls silent or says little and is left alone.
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLedger } from '../../src/ledger/ledger.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { instant } from '../../src/lib/time.ts'
import { system } from '../../src/model/actor.ts'
import { begin } from '../../src/rollout/strategy.ts'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { sendOtlp } from '../kit/otlp-json.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const secret = 'the deployer and Airboss know it'
const agents = ['pilot', 'copilot', 'glider', 'twin', 'balloon'] as const
type Agent = (typeof agents)[number]

const deployment = (agent: Agent, watch: string): string => `
  - { agent: ${agent}, version: 1.0.0, owner: flight, capabilities: [fly] }
  - agent: ${agent}
    version: 2.0.0
    canary:
      baseline: 1.0.0
      analysis:
        interval: 1s
        step: 1s
        failures: 2
        ${watch}
        metrics:
          - name: errors
            query: 'sum(rate(agent_errors_total{service_name="$agent", service_version="$version"}[10s])) / sum(rate(agent_runs_total{service_name="$agent", service_version="$version"}[10s]))'
            direction: increase
            critical: true
          - name: latency
            query: 'agent_latency_seconds{service_name="$agent", service_version="$version"}'
            direction: increase
`
const flying = `
host: { enabled: false }
rule_files: []
otlp: { promote_resource_attributes: [service.name, service.version] }
`
const airboss = (url: string, mode: string): string => `${flying}
actions:
${mode}
  webhooks:
    deployer: { url: '${url}/deploy', secret: '${secret}' }
deployments:
${deployment('pilot', 'duration: 10m\n        window: 1m')}
${deployment('copilot', 'duration: 2m')}
${deployment('glider', 'duration: 2m\n        stale_after: 20s')}
${deployment('twin', 'duration: 1h')}
${deployment('balloon', 'duration: 2m')}
`

const back = 180_000
/**
 * Judging needs fifty points a side, and points are a second apart at least. So the watch of these canaries is put on record as begun three
 * minutes ago, as after a restart, and the measurements of these minutes are sent at once.
 */
const begun = async (dataDir: string, startedAt: number): Promise<void> => {
  const ledger = openLedger({
    dir: join(dataDir, 'ledger'),
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await ledger.start()
  for (const agent of agents)
    await ledger.put('rollout', `${agent}@2.0.0`, begin(instant(startedAt)), {
      by: system('rollout'),
      why: 'begun before the restart',
    })
  await ledger.drain()
}

/** A version's last minutes, told each `every` ms: a run each 100 ms, errors at a rate that wavers a little, the latency too. */
const flown = async (
  product: Product,
  agent: Agent,
  version: string,
  fromAt: number,
  toAt: number,
  errorRate: (at: number) => number,
  every = 1000,
): Promise<void> => {
  const runs: { at: number; value: number }[] = []
  const errors: { at: number; value: number }[] = []
  const latency: { at: number; value: number }[] = []
  let [r, e] = [0, 0]
  for (let at = fromAt, i = 0; at <= toAt; at += every, i++) {
    const waver = 1 + 0.2 * Math.sin(i * 2.399 + version.charCodeAt(0))
    r += every / 100
    e += (every / 100) * errorRate(at) * waver
    runs.push({ at, value: r })
    errors.push({ at, value: e })
    latency.push({ at, value: 0.8 * (1 + 0.1 * Math.sin(i * 1.7 + version.charCodeAt(0))) })
  }
  await sendOtlp(
    product.otlpHttp,
    { 'service.name': agent, 'service.version': version, 'service.instance.id': `${agent}-${version}` },
    [
      { name: 'agent.runs', unit: '1', kind: 'counter', points: runs },
      { name: 'agent.errors', unit: '1', kind: 'counter', points: errors },
      { name: 'agent.latency', unit: 's', kind: 'gauge', points: latency },
    ],
  )
}

const fly = async (product: Product, startedAt: number): Promise<void> => {
  const now = Date.now()
  const calm = () => 0.02
  const breaks = (at: number) => (at < startedAt + 90_000 ? 0.02 : 0.3)
  for (const agent of agents) {
    // Of the glider nothing was heard in the last minute.
    const toAt = agent === 'glider' ? now - 60_000 : now
    await flown(product, agent, '1.0.0', startedAt - 10_000, toAt, calm)
    // The balloon's new version breaks too, but tells so only every five seconds.
    const [rate, every] = agent === 'pilot' ? [breaks] : agent === 'balloon' ? [breaks, 5000] : [calm]
    await flown(product, agent, '2.0.0', startedAt - 10_000, toAt, rate, every)
  }
}

const judged = async (product: Product): Promise<number> => {
  const text = await (await product.fetch('/metrics')).text()
  return [...text.matchAll(/^airboss_rollout_judgements_total\{[^}]*\} (\d+)/gm)].reduce(
    (n, m) => n + Number(m[1]),
    0,
  )
}

/** Checks the signature as a receiver would who has only the documentation. */
const signedBy = (header: string, raw: string): boolean => {
  const m = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header)
  if (!m || Math.abs(Date.now() / 1000 - Number(m[1])) > 60) return false
  return createHmac('sha256', secret).update(`${m[1]}.${raw}`).digest('hex') === m[2]
}

const verdicts = async (product: Product, verdict: string): Promise<string[]> =>
  (await product.query(`airboss_decisions_total{kind="rollout", verdict="${verdict}"} > 0`)).map(
    (row) => row.metric['subject']!,
  )

const clickhouse = async (product: Product, sql: string): Promise<Record<string, unknown>[]> => {
  const answer = await fetch(`${product.clickhouse}/?default_format=JSONEachRow`, {
    method: 'POST',
    body: sql,
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

interface Listed {
  readonly subject: string
  readonly verdict: string
  readonly reason: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly action: {
    readonly id: string
    readonly state: string
    readonly hold: string | null
    readonly detail: string
  } | null
  readonly approval: { readonly by: string; readonly why: string } | null
}
const decisions = async (product: Product): Promise<Listed[]> => {
  const answer = await product.fetch('/api/ops/v1/decisions')
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { decisions: Listed[] }).decisions
}

let dir: string
let sink: HttpSink
let product: Product
const startedAt = Date.now() - back

const open = async (mode: string): Promise<void> => {
  dir = mkdtempSync(join(tmpdir(), 'airboss-canary-'))
  sink = await startSink()
  // Everything is there before the first look: who looks in between would see a version that has said nothing yet.
  const before = await startProduct({ dir, files: { 'airboss.yaml': flying } })
  await fly(before, startedAt)
  expect(await before.stop()).toBe(0)
  await begun(join(dir, 'data'), startedAt)
  product = await startProduct({ dir, files: { 'airboss.yaml': airboss(sink.url, mode) } })
}
const close = async (): Promise<void> => {
  await product?.dispose()
  await sink?.close()
  rmSync(dir, { recursive: true, force: true })
}

describe('live', () => {
  beforeAll(() => open('  mode: live'))
  afterAll(close)
  const deploys = (kind: string) => sink.to('/deploy').filter((c) => c.body.action.kind === kind)

  it('rolls the broken version back by one signed call', async () => {
    const [call] = await until(
      'the rollback',
      () => (deploys('rollback').length > 0 ? deploys('rollback') : null),
      15_000,
    )
    const { action, decision, version, by } = call!.body
    expect(version).toBe('1')
    expect(by).toBe('system:rollout')
    expect(action).toEqual({
      id: `rollout:pilot@2.0.0:${startedAt}:rollback:do`,
      kind: 'rollback',
      subject: 'pilot',
      params: { version: '2.0.0', from: '2.0.0', to: '1.0.0' },
      reason: expect.stringMatching(/^pilot 2\.0\.0 is rolled back to 1\.0\.0\. .*errors/),
      causes: [decision.id],
      actuator: '',
    })
    expect(decision).toMatchObject({
      kind: 'rollout',
      subject: 'pilot',
      verdict: 'rollback',
      reason: action.reason,
      inputs: { version: '2.0.0', baseline: '1.0.0', startedAt, outcome: 'fail' },
    })
    expect(decision.inputs.metrics).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'errors' })]),
    )
    expect(call!.headers['idempotency-key']).toBe(action.id)
    expect(call!.headers['content-type']).toBe('application/json')
    expect(signedBy(call!.headers['x-airboss-signature'] as string, call!.raw)).toBe(true)
    expect(signedBy(call!.headers['x-airboss-signature'] as string, `${call!.raw} `)).toBe(false)
  })

  it('promotes the one that did well for its time, never the one that fell silent', async () => {
    const [call] = await until(
      'the promotion',
      () => (deploys('promote').length > 0 ? deploys('promote') : null),
      15_000,
    )
    expect(call!.body.action).toMatchObject({
      subject: 'copilot',
      params: { version: '2.0.0', from: '1.0.0', to: '2.0.0' },
    })
    await until('the hold', async () => (await verdicts(product, 'hold')).includes('glider'), 15_000)
    expect(await verdicts(product, 'promote')).toEqual(['copilot'])
    expect(await verdicts(product, 'rollback')).toEqual(['pilot'])
  })

  it('counts no point twice, however many steps lie between two samples', async () => {
    const held = await until(
      'the hold',
      async () => (await decisions(product)).find((d) => d.subject === 'balloon'),
      15_000,
    )
    const [, points] =
      /errors cannot be judged: (\d+) of 50 points for 2\.0\.0, 1\d\d for 1\.0\.0: hold/.exec(
        held.reason,
      ) ?? ['', held.reason]
    // Three minutes at a sample each five seconds.
    expect(Number(points)).toBeGreaterThan(30)
    expect(Number(points)).toBeLessThan(50)
    expect(held).toMatchObject({ verdict: 'hold', action: null })
  })

  it('has each decision in the ledger, as series and through the API', async () => {
    const listed = await decisions(product)
    expect(listed.find((d) => d.subject === 'pilot')).toMatchObject({
      verdict: 'rollback',
      reason: expect.stringContaining('errors'),
      action: { state: 'done', detail: 'deployer answered 200' },
    })
    expect(listed.find((d) => d.subject === 'glider')).toMatchObject({
      verdict: 'hold',
      reason: expect.stringMatching(/sent nothing for 20s/),
      action: null,
    })
    expect(await product.value('airboss_actions_total{kind="rollback", outcome="done"}')).toBe(1)
    const rows = await until('the copy of the ledger', async () => {
      const found = await clickhouse(
        product,
        `SELECT * FROM ledger WHERE kind = 'decision' AND id = 'rollout:pilot@2.0.0:${startedAt}:rollback'`,
      )
      return found.length > 0 && found
    })
    expect(rows as object[]).toHaveLength(1)
  })

  it('does not repeat itself after a restart, though it goes on judging', async () => {
    const before = sink.calls.length
    product.signal('SIGKILL', 'all')
    await product.stop()
    product = await startProduct({ dir })
    // The twin is still compared: once that was done twice, the others had their turn as well.
    await until('two more looks', async () => (await judged(product)) >= 2, 15_000)
    expect(sink.calls.length).toBe(before)
    expect(deploys('rollback')).toHaveLength(1)
    expect(deploys('promote')).toHaveLength(1)
    expect((await decisions(product)).filter((d) => d.verdict === 'rollback')).toHaveLength(1)
  })
})

describe('in dry run, the default', () => {
  beforeAll(() => open(''))
  afterAll(close)
  const id = `rollout:pilot@2.0.0:${startedAt}:rollback:do`
  const held = async () => (await decisions(product)).find((d) => d.verdict === 'rollback')

  it('holds the rollback and says so', async () => {
    await until('the decision', async () => (await held())?.action?.state === 'held', 15_000)
    expect(await held()).toMatchObject({
      approval: null,
      action: { id, hold: 'dry_run', detail: expect.stringMatching(/^dry run/) },
    })
    await until('two more looks', async () => (await judged(product)) >= 8, 15_000)
    expect(sink.calls).toEqual([])
  })

  it('carries it out once when a person approves', async () => {
    const approve = () =>
      product.fetch(`/api/ops/v1/actions/${encodeURIComponent(id)}/approve`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ why: 'I have looked at the errors' }),
      })
    expect((await approve()).status).toBe(200)
    await until('the call', () => sink.calls.length > 0)
    await until('its end', async () => (await held())?.action?.state === 'done')
    expect((await held())!.approval).toMatchObject({ why: 'I have looked at the errors' })
    expect((await approve()).status).toBe(409)
    expect(sink.calls.map((c) => c.body.action.id)).toEqual([id])
    expect(sink.calls[0]!.headers['idempotency-key']).toBe(id)
  })
})
