// Stories of load: it rises and replicas follow by Kubernetes's formula; it falls and they go; its data grows stale and nothing is taken away.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const airboss = (url: string): string => `
host: { enabled: false }
rule_files: []
actions: { mode: live, webhooks: { scaler: { url: '${url}/scale', secret: s } } }
deployments:
  - { agent: stoker, version: 1.0.0, resources: { replicas: 6 } }
autoscale:
  - agent: pilot
    min_replicas: 1
    max_replicas: 12
    interval: 1s
    stale_after: 30s
    current: max(replicas{agent="pilot"})
    metrics:
      - { query: 'sum(queue_depth{agent="pilot"})', target: { type: AverageValue, value: 10 }, means: runs wait }
    behavior: { scale_down: { stabilization_window: 0s } }
  - agent: glider
    interval: 1s
    max_replicas: 12
    stale_after: 5s
    current: max(replicas{agent="glider"})
    metrics:
      - { query: 'sum(queue_depth{agent="glider"})', target: { type: AverageValue, value: 10 } }
    behavior: { scale_down: { stabilization_window: 0s } }
  - agent: twin
    interval: 1s
    max_replicas: 12
    current: max(replicas{agent="twin"})
    metrics:
      - { query: 'sum(queue_depth{agent="twin"})', target: { type: AverageValue, value: 10 } }
  - agent: stoker
    interval: 1s
    max_replicas: 12
    metrics:
      - { query: 'avg(cpu_ratio{agent="stoker"})', target: { type: Value, value: 0.5 } }
      - { query: 'sum(queue_depth{agent="stoker"})', target: { type: AverageValue, value: 10 } }
    behavior: { scale_down: { stabilization_window: 0s } }
`

let sink: HttpSink
let product: Product
beforeAll(async () => {
  // The receiver is away when it is first asked for the twin.
  sink = await startSink((call) =>
    call.body.action.subject === 'twin' && calls('twin').length === 1 ? 503 : 200,
  )
  product = await startProduct({ files: { 'airboss.yaml': airboss(sink.url) } })
})
afterAll(async () => {
  await product?.dispose()
  await sink?.close()
})

const gauge = (name: string, agent: string, value: number, ago = 0) => ({
  labels: { __name__: name, agent },
  samples: [[value, Date.now() - ago]] as const,
})
const calls = (agent: string) => sink.to('/scale').filter((c) => c.body.action.subject === agent)
const called = (agent: string, n: number) =>
  until(`call ${n} for ${agent}`, () => calls(agent)[n - 1], 10_000)
const decided = async (agent: string, verdict: string): Promise<number> =>
  (await product.value(`airboss_decisions_total{kind="scale", subject="${agent}", verdict="${verdict}"}`)) ??
  0
interface Listed {
  readonly subject: string
  readonly action: { readonly state: string; readonly hold: string | null; readonly detail: string } | null
}
/** What became of the newest action for an agent. */
const actionOf = async (agent: string) => {
  const answer = await (await product.fetch('/api/ops/v1/decisions')).json()
  return (answer as { decisions: Listed[] }).decisions.find((d) => d.subject === agent && d.action)?.action
}
const post = (path: string, body: unknown): Promise<Response> =>
  product.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/** What an autoscaler wanted when it last looked; NaN before it has. */
const desired = async (name: string): Promise<number> => {
  const text = await (await product.fetch('/metrics')).text()
  const m = new RegExp(`^airboss_autoscale_desired_replicas\\{name="${name}"\\} (\\d+)`, 'm').exec(text)
  return m ? Number(m[1]) : Number.NaN
}

it('goes up by the formula', async () => {
  await product.remoteWrite([gauge('replicas', 'pilot', 1), gauge('queue_depth', 'pilot', 33)])
  const { body } = await called('pilot', 1)
  expect(body.action).toMatchObject({
    kind: 'scale',
    subject: 'pilot',
    params: { from: 1, replicas: 4 },
    reason: expect.stringContaining('33 runs wait, goal 10 a replica: ceil(1 × 33/10) = 4'),
  })
  expect(body.decision).toMatchObject({
    kind: 'scale',
    verdict: 'scale_up',
    inputs: { current: 1, wanted: 4, desired: 4 },
  })
})

it('goes no further than the rules of one period allow', async () => {
  await product.remoteWrite([gauge('replicas', 'pilot', 4), gauge('queue_depth', 'pilot', 90)])
  const { body } = await called('pilot', 2)
  // Within 15 s of one replica: double it or four more, whichever is more.
  expect(body.action.params).toEqual({ from: 4, replicas: 5 })
  expect(body.decision.inputs).toMatchObject({ current: 4, wanted: 9, desired: 5 })
})

it('stays within the tolerance', async () => {
  // 54 / 50 is within a tenth of the goal though it would fill a sixth replica; 56 / 50 is not.
  await product.remoteWrite([gauge('replicas', 'twin', 5), gauge('queue_depth', 'twin', 54)])
  await until('a look', async () => (await desired('twin')) === 5)
  expect(calls('twin')).toEqual([])
  await product.remoteWrite([gauge('replicas', 'twin', 5), gauge('queue_depth', 'twin', 56)])
  expect((await called('twin', 1)).body.action.params).toEqual({ from: 5, replicas: 6 })
})

it('asks again under the same key when the receiver was away', async () => {
  const again = await called('twin', 2)
  const [first] = calls('twin')
  expect(again.headers['idempotency-key']).toBe(first!.headers['idempotency-key'])
  expect(again.raw).toBe(first!.raw)
  await until('its end', async () => (await actionOf('twin'))?.state === 'done')
  expect((await actionOf('twin'))!.detail).toBe('scaler answered 200')
})

it('comes down when the load falls', async () => {
  await product.remoteWrite([gauge('replicas', 'pilot', 5), gauge('queue_depth', 'pilot', 21)])
  const { body } = await called('pilot', 3)
  expect(body.action.params).toEqual({ from: 5, replicas: 3 })
  expect(body.decision.verdict).toBe('scale_down')
})

it('takes nothing away on stale data, however low it is, and says why', async () => {
  // Instant queries still see this load for five minutes: it alone would ask for one replica.
  await product.remoteWrite([gauge('queue_depth', 'glider', 3, 60_000), gauge('replicas', 'glider', 6)])
  expect(await product.value('sum(queue_depth{agent="glider"})')).toBe(3)
  await until('the hold', async () => (await decided('glider', 'hold')) > 0, 10_000)
  await product.remoteWrite([gauge('replicas', 'glider', 6)])
  expect(await decided('glider', 'scale_down')).toBe(0)
  // The same load, fresh, is acted on: it was the age that held it.
  await product.remoteWrite([gauge('queue_depth', 'glider', 3), gauge('replicas', 'glider', 6)])
  const { body } = await called('glider', 1)
  expect(body.action.params).toEqual({ from: 6, replicas: 1 })
})

it('takes nothing away when one of two metrics is missing, and goes up by the other', async () => {
  await product.remoteWrite([gauge('queue_depth', 'stoker', 5)])
  await until('the hold', async () => (await decided('stoker', 'hold')) > 0, 10_000)
  expect(calls('stoker')).toEqual([])
  await product.remoteWrite([gauge('queue_depth', 'stoker', 85)])
  const { body } = await called('stoker', 1)
  // What is declared counts as what there is: six, and ceil(85 / 10) = 9.
  expect(body.action.params).toEqual({ from: 6, replicas: 9 })
  expect(await decided('stoker', 'scale_down')).toBe(0)
})

it('does nothing while the big red switch is thrown, and goes on when it is released', async () => {
  expect((await post('/api/ops/v1/actions/stop', { why: 'maintenance' })).status).toBe(200)
  await product.remoteWrite([gauge('replicas', 'glider', 1), gauge('queue_depth', 'glider', 29)])
  await until('the held action', async () => (await actionOf('glider'))?.hold === 'switch', 10_000)
  expect((await actionOf('glider'))!.detail).toContain('maintenance')
  expect(calls('glider')).toHaveLength(1)
  expect((await post('/api/ops/v1/actions/resume', { why: 'over' })).status).toBe(200)
  const { body } = await called('glider', 2)
  expect(body.action.params).toEqual({ from: 1, replicas: 3 })
})
