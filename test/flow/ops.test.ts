// The operations API of the running product: declared, watched, decided and recorded, and its document of itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const metric = { name: 'errors', query: 'sum(rate(errors_total{version="$version"}[1m]))' }
const config = `
rule_files: []
host: { enabled: false }
global: { evaluation_interval: 1s }
deployments:
  - agent: pilot
    version: 1.0.0
    dependencies: { search: ^2.0.0 }
autoscale:
  - agent: pilot
    min_replicas: 1
    max_replicas: 5
    metrics:
      - query: sum(load)
        target: { type: Value, value: 10 }
access:
  tokens:
    - { name: looker, token: look-0123456789abcdef, roles: [viewer] }
    - { name: mara, token: steer-0123456789abcdef, roles: [operator] }
`

let product: Product
beforeAll(async () => {
  product = await startProduct({ files: { 'airboss.yaml': config } })
})
afterAll(() => product?.dispose())

// biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes are read.
type Answer = { readonly status: number; readonly body: any }
const call = async (
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> => {
  const answer = await product.fetch(`/api/ops/v1${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
}
const get = (path: string) => call('GET', path)

describe('deployments', () => {
  it('are declared with a reason, shown, compared, and taken back', async () => {
    const canary = { baseline: '1.9.0', analysis: { metrics: [metric], duration: '20m', step: '10s' } }
    const declared = await call('POST', '/deployments', {
      agent: 'search',
      version: '2.1.0',
      capabilities: ['find'],
      canary,
      why: 'released',
    })
    expect(declared).toMatchObject({
      status: 201,
      body: { id: 'search@2.1.0', source: 'api', declared_by: 'anonymous:loopback' },
    })
    // In a form that can be posted again.
    expect(declared.body.canary.analysis).toMatchObject({ duration: '20m', step: '10s', interval: '30s' })
    expect(
      (await call('POST', '/deployments', { agent: 'search', version: '1.9.0', why: 'it runs' })).status,
    ).toBe(201)

    const all = await get('/deployments')
    expect(all.body.deployments.map((d: { id: string }) => d.id)).toEqual([
      'pilot@1.0.0',
      'search@2.1.0',
      'search@1.9.0',
    ])
    expect((await get('/deployments/search')).body.deployments).toHaveLength(2)
    expect(await get('/deployments/nobody')).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    })

    const unmet = await get('/compatibility')
    expect(unmet.body.problems).toEqual([
      expect.objectContaining({ agent: 'pilot', needs: 'search', problem: 'unsatisfied' }),
    ])
    expect((await get('/deployments/search/compatibility')).body.problems).toEqual([])
    expect((await get('/deployments/search/diff?from=1.9.0&to=2.1.0')).body.capabilities).toEqual({
      added: ['find'],
      removed: [],
    })

    await until('the canary to be watched', async () => {
      const { rollouts } = (await get('/rollouts')).body
      return rollouts.find((r: { id: string }) => r.id === 'search@2.1.0')?.phase === 'watching'
    })
    expect(await call('POST', '/rollouts/search/2.1.0/restart', { why: 'a fresh look' })).toMatchObject({
      status: 200,
      body: { id: 'search@2.1.0', phase: 'watching', failures: 0 },
    })
    expect((await call('POST', '/rollouts/search/9.9.9/restart', { why: 'x' })).status).toBe(404)

    expect((await call('DELETE', '/deployments/search/1.9.0?why=gone')).status).toBe(204)
    expect((await call('DELETE', '/deployments/search/1.9.0?why=gone')).status).toBe(404)
    expect(await call('DELETE', '/deployments/pilot/1.0.0?why=x')).toMatchObject({
      status: 409,
      body: { error: { message: expect.stringContaining('configuration file') } },
    })

    const trail = await get('/ledger?kind=deployment')
    expect(trail.body.versions[0]).toMatchObject({
      id: 'search@1.9.0',
      value: null,
      by: 'anonymous:loopback',
      why: 'gone',
      version: 2,
    })
    expect((await get('/ledger/verify')).body).toMatchObject({ ok: true })
  })
})

describe('bad requests', () => {
  const rows: [string, string, unknown, number, RegExp][] = [
    ['POST', '/deployments', { agent: 'a', version: '1' }, 400, /^why: /],
    ['POST', '/deployments', { agent: 'a', version: '1', why: '  ' }, 400, /why: say in a few words/],
    ['POST', '/deployments', { version: '1', why: 'x' }, 400, /^agent: /],
    [
      'POST',
      '/deployments',
      { agent: 'a', version: '1', capability: [], why: 'x' },
      400,
      /capability: unknown field/,
    ],
    ['POST', '/deployments', '{"agent": ', 400, /JSON/],
    ['POST', '/deployments', `{"agent":"${'a'.repeat(1 << 20)}"}`, 413, /over 1048576 bytes/],
    ['GET', '/decisions?limit=0', undefined, 400, /^limit: /],
    ['GET', '/decisions?limit=x', undefined, 400, /^limit: /],
    ['GET', '/decisions/none', undefined, 404, /no decision has the id none/],
    ['GET', '/deployments/pilot/diff?from=1.0.0', undefined, 400, /^to: /],
    ['POST', '/actions/none/approve', { why: 'x' }, 404, /no action has the id none/],
    ['POST', '/actions/stop', {}, 400, /^why: /],
    ['GET', '/nothing', undefined, 404, /openapi\.json lists/],
    ['PUT', '/deployments', { agent: 'a' }, 404, /nothing answers PUT/],
  ]
  it.each(rows)('%s %s: $3 $4', async (method, path, body, status, message) => {
    const before = (await get('/ledger?limit=1')).body.versions[0]?.sequence
    const answer = await call(method, path, body)
    expect(answer).toMatchObject({
      status,
      body: { error: { code: expect.any(String), message: expect.stringMatching(message) } },
    })
    expect((await get('/ledger?limit=1')).body.versions[0]?.sequence).toBe(before)
  })

  it('takes JSON only', async () => {
    const answer = await call('POST', '/actions/stop', 'why=x', {
      'content-type': 'application/x-www-form-urlencoded',
    })
    expect(answer).toMatchObject({ status: 415, body: { error: { code: 'unsupported_media' } } })
    expect((await get('/actions')).body.stopped).toBeNull()
  })
})

describe('actions', () => {
  it('wait in a dry run, and go on record when approved or stopped', async () => {
    const now = Date.now()
    await product.remoteWrite([{ labels: { __name__: 'load' }, samples: [[100, now]] }])
    const state = await get('/autoscalers')
    expect(state.body.autoscalers).toEqual([expect.objectContaining({ name: 'pilot', min: 1, max: 5 })])

    expect((await get('/actions')).body).toMatchObject({ mode: 'dry_run', stopped: null })
    expect((await call('POST', '/actions/stop', { why: 'fire drill' })).body.stopped).toEqual({
      by: 'anonymous:loopback',
      why: 'fire drill',
    })
    expect((await get('/status')).body.actions).toEqual({ mode: 'dry_run', stopped: true })
    expect((await call('POST', '/actions/resume', { why: 'drill over' })).body.stopped).toBeNull()
    expect((await get('/ledger?kind=switch')).body.versions.map((v: { why: string }) => v.why)).toEqual([
      'drill over',
      'fire drill',
    ])
  })
})

describe('roles', () => {
  const as = (token: string) => ({ authorization: `Bearer ${token}-0123456789abcdef` })
  it('lets a viewer look and not touch, and says who may', async () => {
    expect((await call('GET', '/deployments', undefined, as('look'))).status).toBe(200)
    expect(
      await call('POST', '/deployments', { agent: 'a', version: '1', why: 'x' }, as('look')),
    ).toMatchObject({
      status: 403,
    })
    expect((await call('POST', '/actions/stop', { why: 'x' }, as('look'))).status).toBe(403)
    expect((await call('POST', '/reload', { why: 'x' }, as('steer'))).status).toBe(403)
    const unknown = await product.fetch('/api/ops/v1/deployments', { headers: as('wrong') })
    expect(unknown.status).toBe(401)
    expect(unknown.headers.get('www-authenticate')).toBe('Bearer realm="airboss"')
  })
  it('keeps the name of who acted', async () => {
    expect(
      (await call('POST', '/deployments', { agent: 'b', version: '1', why: 'new' }, as('steer'))).body
        .declared_by,
    ).toBe('token:mara')
  })
})

it('pages through the ledger', async () => {
  const whole: number[] = []
  let next: number | null = null
  do {
    const page = await get(`/ledger?limit=2${next === null ? '' : `&before=${next}`}`)
    whole.push(...page.body.versions.map((v: { sequence: number }) => v.sequence))
    next = page.body.next
  } while (next !== null)
  const newest = whole[0]!
  expect(newest).toBeGreaterThan(3)
  expect(whole).toEqual(Array.from({ length: newest }, (_, i) => newest - i))
})

it('shows how it is itself, and takes up a configuration', async () => {
  const status = (await get('/status')).body
  expect(status).toMatchObject({
    store: { up: true, why: '', engine_pid: product.enginePid() },
    reload: { ok: true, why: '' },
    head: { max_series: 2_000_000 },
  })
  expect(status.head.series).toBeGreaterThan(0)
  expect(Date.parse(status.newest_sample_at)).toBeGreaterThan(Date.parse(status.started_at))

  product.write('airboss.yaml', config.replace('version: 1.0.0', 'version: 1.1.0'))
  expect(await call('POST', '/reload', { why: 'the new pilot' })).toEqual({ status: 200, body: { ok: true } })
  expect(
    (await get('/deployments/pilot')).body.deployments.map((d: { version: string }) => d.version),
  ).toEqual(['1.1.0'])
  expect((await get('/ledger?kind=configuration')).body.versions[0]).toMatchObject({ why: 'the new pilot' })
})

it('describes every route of its own in OpenAPI 3.1', async () => {
  const { body } = await get('/openapi.json')
  expect(body.openapi).toBe('3.1.0')
  expect(
    Object.keys(body.paths)
      .map((p) => p.replace('/api/ops/v1', ''))
      .sort(),
  ).toMatchInlineSnapshot(`
    [
      "/actions",
      "/actions/resume",
      "/actions/stop",
      "/actions/{id}",
      "/actions/{id}/approve",
      "/agents/{agent}/pods",
      "/autoscalers",
      "/budgets",
      "/cardinality",
      "/compatibility",
      "/costs",
      "/costs/focus",
      "/costs/summary",
      "/costs/traces",
      "/costs/traces/{traceId}",
      "/costs/unpriced",
      "/decisions",
      "/decisions/{id}",
      "/deployments",
      "/deployments/{agent}",
      "/deployments/{agent}/compatibility",
      "/deployments/{agent}/diff",
      "/deployments/{agent}/{version}",
      "/escalations",
      "/escalations/{id}/acknowledge",
      "/escalations/{id}/resolve",
      "/events",
      "/ledger",
      "/ledger/verify",
      "/logs",
      "/reload",
      "/rollouts",
      "/rollouts/{agent}/{version}/restart",
      "/status",
      "/traces",
      "/traces/{traceId}",
    ]
  `)
  for (const path of Object.values(body.paths) as Record<string, { responses: object; summary: string }>[])
    for (const operation of Object.values(path)) expect(operation.summary).not.toBe('')
  // Durations and unions of the deployment schema stand in it as well.
  expect(JSON.stringify(body.components.schemas.DeclareDeployment)).toContain('baseline')
})
