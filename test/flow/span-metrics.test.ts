// An agent that sends spans alone: its metrics, the shipped rules over them, exemplars that lead to its traces, and kill -9 in between.
import { expect, onTestFinished, test } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

type Pairs = Readonly<Record<string, string>>
interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly seconds: number
  readonly failed?: boolean
  readonly attributes: Pairs
}

const list = (pairs: Pairs): unknown[] =>
  Object.entries(pairs).map(([key, stringValue]) => ({ key, value: { stringValue } }))
const id = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

const send = async (product: Product, service: string, spans: readonly SentSpan[]): Promise<void> => {
  const endAt = BigInt(Date.now()) * 1_000_000n
  const answer = await fetch(`${product.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: list({ 'service.name': service, 'service.version': '1.0.0' }) },
          scopeSpans: [
            {
              spans: spans.map(({ seconds, failed, attributes, ...span }) => ({
                ...span,
                kind: 1,
                startTimeUnixNano: String(endAt - BigInt(seconds * 1000) * 1_000_000n),
                endTimeUnixNano: String(endAt),
                attributes: list(attributes),
                ...(failed ? { status: { code: 2 } } : {}),
              })),
            },
          ],
        },
      ],
    }),
  })
  expect(answer.status, await answer.clone().text()).toBe(200)
}

/** One run of the agent: a call to its model that does not say whose it is, a tool that fails every other time, and the run itself. */
const run = (n: number): SentSpan[] => {
  const traceId = id(n + 1, 32)
  const top = id(n * 8 + 1, 16)
  return [
    {
      traceId,
      spanId: id(n * 8 + 2, 16),
      parentSpanId: top,
      name: 'chat m',
      seconds: 2,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'm',
        'gen_ai.usage.input_tokens': '100',
        'gen_ai.conversation.id': `c-${n}`,
      },
    },
    {
      traceId,
      spanId: id(n * 8 + 3, 16),
      parentSpanId: top,
      name: 'execute_tool search',
      seconds: 1,
      failed: n % 2 === 0,
      attributes: { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'search' },
    },
    {
      traceId,
      spanId: top,
      name: 'invoke_agent pilot',
      seconds: 4,
      attributes: {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': 'pilot',
        'gen_ai.agent.version': '2.0.0',
      },
    },
  ]
}

const files = {
  'airboss.yaml':
    'global: { evaluation_interval: 1s }\nhost: { enabled: false }\notlp: { traces: { metrics: { interval: 1s } } }\n',
}

test('spans alone drive metrics, shipped rules and exemplars, and survive kill -9', async () => {
  let product = await startProduct({ files })
  onTestFinished(() => product.dispose())
  const calls =
    'traces_gen_ai_client_operation_duration_seconds_count{gen_ai_agent_name="pilot",gen_ai_agent_version="2.0.0"}'
  for (let n = 0; n < 10; n++) await send(product, 'shop', run(n))
  // An exporter that saw no answer sends it again.
  await send(product, 'shop', run(9))
  await until('ten calls', async () => (await product.value(calls)) === 10, 20_000)
  product.signal('SIGKILL', 'all')
  await until('the end', () => product.pids().length === 0)
  const { dir } = product
  const first = product
  onTestFinished(() => first.dispose())
  product = await startProduct({ dir })
  for (let n = 8; n < 20; n++) await send(product, 'shop', run(n))
  await until('twenty calls', async () => (await product.value(calls)) === 20, 20_000)
  expect(await product.value('sum(traces_spanmetrics_calls_total{service_name="shop"})')).toBe(60)
  expect(await product.value('sum(traces_gen_ai_client_tokens_total{gen_ai_token_type="input"})')).toBe(2000)
  expect(
    await product.value(
      'sum(traces_gen_ai_execute_tool_duration_seconds_count{gen_ai_agent_name="pilot", error_type="_OTHER"})',
    ),
  ).toBe(10)
  await until(
    'the shipped rule to know of failing tools',
    async () => {
      const share = await product.value(
        'agent_version_tool:gen_ai_execute_tool_errors:ratio_rate5m{gen_ai_agent_name="pilot",gen_ai_tool_name="search"}',
      )
      return share !== null && share > 0.3 && share < 0.7
    },
    20_000,
  )
  const asked = new URLSearchParams({
    query: 'histogram_quantile(0.9, rate(traces_gen_ai_client_operation_duration_seconds_bucket[5m]))',
    start: String(Date.now() / 1000 - 600),
    end: String(Date.now() / 1000 + 60),
  })
  const exemplars = (await (await product.fetch(`/api/v1/query_exemplars?${asked}`)).json()) as {
    data: {
      seriesLabels: Record<string, string>
      exemplars: { labels: Record<string, string>; value: string }[]
    }[]
  }
  const newest = exemplars.data.find((s) => s.seriesLabels['le'] === '2.56')!.exemplars.at(-1)!
  expect(newest.value).toBe('2')
  expect(newest.labels).toEqual({
    trace_id: id(20, 32),
    span_id: id(19 * 8 + 2, 16),
    gen_ai_conversation_id: 'c-19',
  })
}, 120_000)

test('exemplars of OTLP metrics go to the bucket they fall into', async () => {
  const product = await startProduct({ files })
  onTestFinished(() => product.dispose())
  const sentAt = Date.now()
  const at = `${sentAt}000000`
  const traceId = 'ab'.repeat(16)
  const answer = await fetch(`${product.otlpHttp}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      resourceMetrics: [
        {
          resource: { attributes: list({ 'service.name': 'shop' }) },
          scopeMetrics: [
            {
              metrics: [
                {
                  name: 'wait',
                  unit: 's',
                  histogram: {
                    aggregationTemporality: 2,
                    dataPoints: [
                      {
                        timeUnixNano: at,
                        count: '3',
                        sum: 3,
                        bucketCounts: ['1', '1', '1'],
                        explicitBounds: [0.5, 1],
                        exemplars: [
                          { timeUnixNano: at, asDouble: 0.75, traceId, spanId: 'cd'.repeat(8) },
                          {
                            timeUnixNano: at,
                            asDouble: 5,
                            filteredAttributes: list({ user: 'x'.repeat(200) }),
                            traceId,
                          },
                        ],
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
    }),
  })
  expect(await answer.text()).toBe('{}')
  const found = (await (
    await product.fetch(
      `/api/v1/query_exemplars?${new URLSearchParams({ query: 'wait_seconds_bucket', start: '0', end: '9999999999' })}`,
    )
  ).json()) as { data: { seriesLabels: Record<string, string>; exemplars: unknown[] }[] }
  const seconds = sentAt / 1000
  expect(found.data.map((s) => [s.seriesLabels['le'], s.exemplars])).toEqual([
    ['+Inf', [{ labels: { trace_id: traceId }, value: '5', timestamp: seconds }]],
    ['1', [{ labels: { span_id: 'cd'.repeat(8), trace_id: traceId }, value: '0.75', timestamp: seconds }]],
  ])
}, 90_000)
