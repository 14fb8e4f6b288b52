// Costs through the whole river: spans and bills in, rows, counters, trees and FOCUS out.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { calcPrice } from '@pydantic/genai-prices'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { focusProblems } from '../../src/model/focus.ts'
import { defaultExpressions } from '../../src/money/infrastructure-expressions.ts'
import { hex } from '../kit/call-span.ts'
import { type Product, runProduct, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

interface Usage {
  readonly provider: string
  readonly model: string
  readonly input: number
  readonly output: number
  readonly cache_read?: number
  readonly cache_write?: number
  readonly reasoning?: number
  readonly audio_input?: number
  readonly audio_output?: number
}
const usages = JSON.parse(
  readFileSync(new URL('../fixtures/model-usages.json', import.meta.url), 'utf8'),
) as readonly Usage[]

/** What the price library knows these providers as. */
const known: Readonly<Record<string, string>> = { x_ai: 'x-ai' }
const oracle = (u: Usage): number => {
  const usage: Record<string, number> = { input_tokens: u.input, output_tokens: u.output }
  if (u.cache_read) usage['cache_read_tokens'] = u.cache_read
  if (u.cache_write) usage['cache_write_tokens'] = u.cache_write
  if (u.reasoning) usage['output_reasoning_tokens'] = u.reasoning
  if (u.audio_input) usage['input_audio_tokens'] = u.audio_input
  if (u.audio_output) usage['output_audio_tokens'] = u.audio_output
  const price = calcPrice(usage, u.model, { providerId: known[u.provider] ?? u.provider })
  if (!price) throw new Error(`the price library has no price for ${u.provider} ${u.model}`)
  return price.total_price
}

type Attributes = Readonly<Record<string, string | number>>
interface Sent {
  readonly trace: string
  readonly span: string
  readonly parent?: string
  readonly name: string
  readonly attributes: Attributes
  readonly failed?: boolean
  /** Seconds ago. */
  readonly ago?: number
}
const attributesOf = (record: Attributes): unknown[] =>
  Object.entries(record).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }))

let product: Product
const send = async (service: string, spans: readonly Sent[]): Promise<void> => {
  const now = BigInt(Date.now()) * 1_000_000n
  const body = JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf({ 'service.name': service, 'service.instance.id': 'i1' }) },
        scopeSpans: [
          {
            scope: { name: 'test' },
            spans: spans.map((s) => ({
              traceId: s.trace,
              spanId: s.span,
              parentSpanId: s.parent ?? '',
              name: s.name,
              kind: 3,
              startTimeUnixNano: String(now - BigInt((s.ago ?? 1) * 1000) * 1_000_000n),
              endTimeUnixNano: String(now),
              attributes: attributesOf(s.attributes),
              status: { code: s.failed ? 2 : 0 },
            })),
          },
        ],
      },
    ],
  })
  const answer = await fetch(`${product.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  expect([answer.status, await answer.text()]).toEqual([200, '{}'])
}
const callOf = (u: Usage): Attributes => ({
  'gen_ai.operation.name': u.model.includes('embedding') ? 'embeddings' : 'chat',
  'gen_ai.provider.name': u.provider,
  'gen_ai.request.model': u.model,
  'gen_ai.usage.input_tokens': u.input,
  ...(u.output ? { 'gen_ai.usage.output_tokens': u.output } : {}),
  ...(u.cache_read ? { 'gen_ai.usage.cache_read.input_tokens': u.cache_read } : {}),
  ...(u.cache_write ? { 'gen_ai.usage.cache_creation.input_tokens': u.cache_write } : {}),
  ...(u.reasoning ? { 'gen_ai.usage.reasoning.output_tokens': u.reasoning } : {}),
  ...(u.audio_input ? { 'gen_ai.usage.audio.input_tokens': u.audio_input } : {}),
  ...(u.audio_output ? { 'gen_ai.usage.audio.output_tokens': u.audio_output } : {}),
})
const ops = async <T>(path: string): Promise<T> => {
  const answer = await product.fetch(`/api/ops/v1/costs${path}`)
  const text = await answer.text()
  expect([path, answer.status, answer.status === 200 ? '' : text]).toEqual([path, 200, ''])
  return JSON.parse(text) as T
}
interface SummaryAnswer {
  total: { direct_usd: string }
  groups: {
    group: Record<string, string>
    direct_usd: string
    inclusive_usd: number | null
    retried_usd: number | null
    failed_usd: string
    calls: number
  }[]
}

beforeAll(async () => {
  product = await startProduct({
    files: {
      'airboss.yaml':
        'rule_files: []\nhost: { enabled: false }\ncosts: { currencies: { EUR: 1.25 } }\nprices:\n  files: [own.json]\n  models: [{ model: house, provider: house, input_mtok: 1000000, output_mtok: 0 }]\n',
      'own.json': JSON.stringify({
        sample_spec: { note: 'left out' },
        'mapped-1': { litellm_provider: 'lite', input_cost_per_token: 2e-6, output_cost_per_token: 8e-6 },
      }),
    },
  })
})
afterAll(() => product.dispose())

describe('calls of models', () => {
  it(`prices ${usages.length} recorded usages as the price library does, to the micro-dollar, in rows and counters`, async () => {
    expect(usages.length).toBeGreaterThanOrEqual(60)
    const spans = usages.map((u, i) => ({
      trace: hex(i + 1, 32),
      span: hex(i + 1, 16),
      name: `chat ${u.model}`,
      attributes: callOf(u),
    }))
    await send('recorded', spans)
    // An exporter that did not hear the answer sends it again.
    await send('recorded', spans)
    const want = usages.reduce((sum, u) => sum + oracle(u), 0)
    await until('the costs are there', async () => {
      const { groups } = await ops<SummaryAnswer>('/summary?group_by=service')
      const row = groups.find((g) => g.group['service'] === 'recorded')
      return row?.calls === usages.length
    })
    for (const [i, u] of usages.entries()) {
      const trace = await ops<{ usd: number; roots: { price_version: string }[] }>(
        `/traces/${hex(i + 1, 32)}`,
      )
      expect([u.provider, u.model, trace.usd]).toEqual([u.provider, u.model, expect.closeTo(oracle(u), 9)])
      expect(trace.roots[0]!.price_version).toMatch(/^genai-prices@/)
    }
    const counted = await product.value('sum(airboss_cost_usd_total{service="recorded"})')
    expect(counted).toBeCloseTo(want, 9)
  })

  it('knows prices of an own map, and lists models that have none with the mend', async () => {
    await send('own', [
      {
        trace: hex(901, 32),
        span: hex(901, 16),
        name: 'chat',
        attributes: callOf({ provider: 'lite', model: 'mapped-1', input: 1000, output: 100 }),
      },
      {
        trace: hex(902, 32),
        span: hex(902, 16),
        name: 'chat',
        attributes: callOf({ provider: 'nobody', model: 'unheard-of', input: 77, output: 0 }),
      },
    ])
    await until(
      'the costs are there',
      async () =>
        (await ops<SummaryAnswer>('/summary?group_by=service')).groups.find(
          (g) => g.group['service'] === 'own',
        )?.calls === 2,
    )
    expect(await ops<{ usd: number }>(`/traces/${hex(901, 32)}`)).toMatchObject({
      usd: 0.0028,
      roots: [{ price_version: expect.stringMatching(/^own\.json@/) }],
    })
    const { models } = await ops<{ models: unknown[] }>('/unpriced')
    expect(models).toMatchObject([
      { model: 'unheard-of', provider: 'nobody', tokens: 77, mend: expect.stringContaining('prices:') },
    ])
  })

  it('says direct and inclusive costs, tries that failed and were made again, as a tree and by agent', async () => {
    const trace = 'c'.repeat(32)
    const agent = (name: string): Attributes => ({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.name': name,
    })
    const call = (usd: number, who: string): Attributes => ({
      ...callOf({ provider: 'house', model: 'house', input: usd, output: 0 }),
      'gen_ai.agent.name': who,
    })
    const [planner, writer, a, b, c] = [1, 2, 3, 4, 5].map((n) => hex(0xc0 + n, 16)) as [
      string,
      string,
      string,
      string,
      string,
    ]
    // Children come first, the root last and in a request of its own.
    await send('team', [
      { trace, span: b, parent: writer, name: 'try 1', attributes: call(2, 'writer'), failed: true, ago: 4 },
      { trace, span: c, parent: writer, name: 'try 2', attributes: call(3, 'writer'), ago: 2 },
      {
        trace,
        span: writer,
        parent: planner,
        name: 'invoke_agent writer',
        attributes: agent('writer'),
        ago: 5,
      },
    ])
    await send('team', [
      { trace, span: a, parent: planner, name: 'plan', attributes: call(1, 'planner'), ago: 6 },
      { trace, span: planner, name: 'invoke_agent planner', attributes: agent('planner'), ago: 7 },
    ])
    await until(
      'the costs are there',
      async () => (await product.value('airboss_cost_inclusive_usd_total{agent="planner"}')) === 6,
    )
    expect(await product.value('airboss_cost_inclusive_usd_total{agent="writer"}')).toBe(5)
    expect(await product.value('airboss_cost_retried_usd_total{agent="writer"}')).toBe(2)
    expect(await product.value('airboss_cost_failed_usd_total{agent="writer"}')).toBe(2)
    const tree = await until('the trace is stored', async () => {
      const answer = await product.fetch(`/api/ops/v1/costs/traces/${trace}`)
      if (answer.status !== 200) return null
      const said = (await answer.json()) as { usd: number; roots: { children: unknown[] }[] }
      return said.usd === 6 && said.roots[0]?.children.length === 2 ? said : null
    })
    expect(tree).toMatchObject({
      usd: 6,
      roots: [
        {
          name: 'invoke_agent planner',
          direct_usd: 0,
          inclusive_usd: 6,
          retried_usd: 2,
          children: [
            { name: 'plan' },
            {
              name: 'invoke_agent writer',
              inclusive_usd: 5,
              children: [{ failed: true, direct_usd: 2 }, { direct_usd: 3 }],
            },
          ],
        },
      ],
    })
    const groups = await until('the summary', async () => {
      const said = (await ops<SummaryAnswer>('/summary')).groups
      return said.find((g) => g.group['agent'] === 'planner')?.inclusive_usd === 6 ? said : null
    })
    const of = (name: string) => groups.find((g) => g.group['agent'] === name)
    expect(of('planner')).toMatchObject({ direct_usd: '1', inclusive_usd: 6, retried_usd: 0 })
    expect(of('writer')).toMatchObject({ direct_usd: '5', inclusive_usd: 5, retried_usd: 2, failed_usd: '2' })
    const { traces } = await ops<{ traces: { trace_id: string; usd: string }[] }>('/traces?limit=1')
    expect(traces).toMatchObject([{ trace_id: trace, usd: '6' }])
  })
})

describe('bills in FOCUS', () => {
  const day = new Date().toISOString().slice(0, 10)
  const next = new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)
  const row = (over: Record<string, string> = {}): Record<string, string> => ({
    BilledCost: '1.10',
    BillingAccountId: 'acc-1',
    BillingAccountName: '',
    BillingCurrency: 'USD',
    BillingPeriodStart: `${day.slice(0, 7)}-01T00:00:00Z`,
    BillingPeriodEnd: '2099-01-01T00:00:00Z',
    ChargeCategory: 'Usage',
    ChargeClass: '',
    ChargeDescription: 'm5.large, "on demand"',
    ChargePeriodStart: `${day}T00:00:00Z`,
    ChargePeriodEnd: `${next}T00:00:00Z`,
    ContractedCost: '1.00',
    EffectiveCost: '0.1',
    InvoiceIssuerName: 'Cloud',
    ListCost: '1.20',
    PricingQuantity: '24',
    PricingUnit: 'Hours',
    ProviderName: 'Cloud',
    PublisherName: 'Cloud',
    ServiceCategory: 'Compute',
    ServiceName: 'Virtual machines',
    Tags: '{"agent":"biller","team":"mara"}',
    x_Zone: 'a',
    ...over,
  })
  const csv = (rows: readonly Record<string, string>[]): string =>
    `${[Object.keys(rows[0]!), ...rows.map((r) => Object.values(r))].map((line) => line.map((v) => `"${v.replaceAll('"', '""')}"`).join(',')).join('\n')}\n`
  const post = async (body: string, type = 'text/csv') => {
    const answer = await product.fetch('/api/ops/v1/costs/focus', {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    })
    return { status: answer.status, ...((await answer.json()) as Record<string, unknown>) }
  }

  it('takes each line once, converts currencies, names what is wrong by line and column', async () => {
    const lines = [
      row(),
      row(),
      row({ EffectiveCost: '0.2', BillingCurrency: 'EUR' }),
      row({ BillingCurrency: 'CHF' }),
      row({ ListCost: '1,20' }),
      row({ ServiceCategory: 'Cloudy' }),
    ]
    const first = await post(csv(lines))
    expect(first).toMatchObject({
      status: 200,
      accepted: 3,
      duplicates: 0,
      rejected: 3,
      uncounted: 0,
      usd: expect.closeTo(0.45, 9),
    })
    expect(
      (first as unknown as { problems: { line: number; column: string }[] }).problems.map((p) => [
        p.line,
        p.column,
      ]),
    ).toEqual([
      [5, 'BillingCurrency'],
      [6, 'ListCost'],
      [7, 'ServiceCategory'],
    ])
    await until(
      'the costs are there',
      async () => (await product.value('sum(airboss_cost_usd_total{agent="biller"})')) !== null,
    )
    expect(await product.value('sum(airboss_cost_usd_total{agent="biller",owner="mara"})')).toBeCloseTo(
      0.45,
      9,
    )
    const again = await post(csv(lines))
    expect(again).toMatchObject({ accepted: 0, duplicates: 3 })
    expect(await post('a,b\n1,2\n')).toMatchObject({
      status: 400,
      error: { message: expect.stringContaining('BilledCost') },
    })
    expect(await post(`${csv([row()])}"unclosed`)).toMatchObject({
      status: 400,
      error: { message: expect.stringMatching(/^line \d+: /) },
    })
    expect(await post('{}', 'text/plain')).toMatchObject({ status: 415 })
  })

  it('exports everything as valid FOCUS 1.2, exact; taken in elsewhere it is the same money', async () => {
    await until('the bill is stored', async () => {
      const { groups } = await ops<SummaryAnswer>(`/summary?group_by=agent,service&to=${next}`)
      return groups.find((g) => g.group['agent'] === 'biller')?.direct_usd === '0.45'
    })
    const dir = product.dir
    const file = join(dir, 'out.csv')
    const exported = await runProduct([
      'costs',
      'export',
      '--server',
      product.http,
      '--out',
      file,
      '--to',
      next,
    ])
    expect(exported).toMatchObject({ code: 0, err: '' })
    const rows = await ops<Record<string, string | null>[]>(`/focus?format=json&to=${next}`)
    expect(rows.flatMap((r) => focusProblems(r))).toEqual([])
    const biller = rows.filter((r) => r['x_Zone'] === 'a')
    expect(biller.map((r) => [r['EffectiveCost'], r['BillingCurrency'], r['ChargeDescription']])).toEqual(
      expect.arrayContaining([
        ['0.1', 'USD', 'm5.large, "on demand"'],
        ['0.2', 'EUR', 'm5.large, "on demand"'],
      ]),
    )
    expect(rows.every((r) => !/e\+|\d{17}/.test(r['BilledCost']!))).toBe(true)
    const { total } = await ops<SummaryAnswer>(`/summary?group_by=service&to=${next}`)
    const other = await startProduct({
      files: {
        'airboss.yaml': 'rule_files: []\nhost: { enabled: false }\ncosts: { currencies: { EUR: 1.25 } }\n',
      },
    })
    try {
      const taken = await runProduct(['costs', 'import', file, '--server', other.http])
      expect(taken).toMatchObject({ code: 0, err: '', out: expect.stringContaining('0 refused') })
      const sums = async () => {
        const answer = await other.fetch(`/api/ops/v1/costs/summary?group_by=owner,agent,service&to=${next}`)
        return (await answer.json()) as SummaryAnswer
      }
      await until(
        'the costs are there',
        async () => Math.abs(Number((await sums()).total.direct_usd) - Number(total.direct_usd)) < 1e-9,
      )
      expect(Number((await sums()).total.direct_usd)).toBeCloseTo(Number(total.direct_usd), 9)
      const agents = (await sums()).groups.map((g) => g.group['agent'])
      expect(agents).toEqual(expect.arrayContaining(['planner', 'writer', 'biller', 'recorded']))
      writeFileSync(join(dir, 'bad.csv'), csv([row({ BilledCost: '$1' })]))
      const bad = await runProduct(['costs', 'import', join(dir, 'bad.csv'), '--server', other.http])
      expect(bad.code).toBe(1)
      expect(bad.out).toContain('bad.csv:2: BilledCost: "$1" is no number')
    } finally {
      await other.dispose()
    }
  }, 120_000)
})

describe('machines', () => {
  it('what pods use and nodes have, by the default expressions over Kubernetes series', async () => {
    const now = Date.now() - 2000
    const pod = { namespace: 'shop', pod: 'planner-1', node: 'n1' }
    const series = (name: string, value: number, labels: Record<string, string>, step = 0) => ({
      labels: { __name__: name, ...labels },
      samples: [240_000, 180_000, 120_000, 60_000, 0].map((ago, i): [number, number] => [
        value + i * step,
        now - ago,
      ]),
    })
    await product.remoteWrite([
      series('kube_pod_labels', 1, { namespace: 'shop', pod: 'planner-1', label_agent: 'planner' }),
      series('kube_pod_container_resource_requests', 0.5, { ...pod, container: 'c', resource: 'cpu' }),
      series('kube_pod_container_resource_requests', 2 ** 30, { ...pod, container: 'c', resource: 'memory' }),
      series('container_cpu_usage_seconds_total', 100, { ...pod, container: 'c' }, 90),
      series('container_memory_working_set_bytes', 2 ** 29, { ...pod, container: 'c' }),
      series('kube_node_status_capacity', 4, { node: 'n1', resource: 'cpu' }),
      series('kube_node_status_capacity', 2 ** 34, { node: 'n1', resource: 'memory' }),
    ])
    const one = async (expr: string) => (await product.query(expr)).map((r) => [r.metric, Number(r.value[1])])
    // Ninety seconds of processor time a minute are more than the half core that was asked for.
    expect(await one(defaultExpressions.cpu.used)).toEqual([
      [{ agent: 'planner', node: 'n1' }, expect.closeTo(1.5, 6)],
    ])
    expect(await one(defaultExpressions.memory.used)).toEqual([[{ agent: 'planner', node: 'n1' }, 1]])
    expect(await one(defaultExpressions.cpu.has)).toEqual([[{ node: 'n1' }, 4]])
    expect(await one(defaultExpressions.memory.has)).toEqual([[{ node: 'n1' }, 16]])
    for (const { used, has } of Object.values(defaultExpressions))
      for (const expr of [used, has]) if (expr !== '') await product.query(expr)
  })
})
