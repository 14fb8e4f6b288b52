// A million values of one attribute come in over every way that makes series: few become some, the rest is refused by name, and others go on.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { writeBody } from '../kit/write-request.ts'

const limit = 2000
let product: Product
beforeAll(async () => {
  product = await startProduct({
    files: {
      'airboss.yaml': `storage: { cardinality: { per_metric: ${limit}, per_source: 5000 } }\nhost: { enabled: false }\nrule_files: []\n`,
    },
  })
}, 90_000)
afterAll(() => product?.dispose())

const requests = 20
const each = 50_000

test('remote write: a million users of one metric', async () => {
  const said: string[] = []
  for (let r = 0; r < requests; r++) {
    const now = Date.now()
    const series = Array.from({ length: each }, (_, i) => ({
      labels: { __name__: 'logins_total', job: 'web', user: `user-${r * each + i}` },
      samples: [[1, now]] as const,
    }))
    const answer = await fetch(`${product.http}/api/v1/write`, { method: 'POST', ...writeBody(series) })
    expect(answer.status).toBe(400)
    said.push(await answer.text())
  }
  expect(said[0]).toContain(
    `metric_cardinality: ${each - limit}, the first: metric "logins_total" has ${limit} active series`,
  )
  expect(said.at(-1)).toContain('its label "user" has the most values')
  expect(await product.value('count(logins_total)')).toBe(limit)
  await product.remoteWrite([{ labels: { __name__: 'fine', job: 'other' }, samples: [[7, Date.now()]] }])
  expect(await product.value('fine')).toBe(7)
}, 120_000)

test('OTLP: partial success says the same', async () => {
  const at = `${Date.now()}000000`
  const dataPoints = Array.from({ length: 10_000 }, (_, i) => ({
    asDouble: 1,
    timeUnixNano: at,
    attributes: [{ key: 'session', value: { stringValue: `s${i}` } }],
  }))
  const answer = await fetch(`${product.otlpHttp}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      resourceMetrics: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'chat' } }] },
          scopeMetrics: [{ metrics: [{ name: 'open', gauge: { dataPoints } }] }],
        },
      ],
    }),
  })
  const body = (await answer.json()) as {
    partialSuccess: { rejectedDataPoints: string; errorMessage: string }
  }
  expect(Number(body.partialSuccess.rejectedDataPoints)).toBe(10_000 - limit)
  expect(body.partialSuccess.errorMessage).toContain('its label "session" has the most values')
})

test('it is said where people look: TSDB status, API, own metrics', async () => {
  const status = (await (await product.fetch('/api/v1/status/tsdb')).json()) as {
    data: { headStats: { numSeries: number }; seriesCountByMetricName: { name: string; value: number }[] }
  }
  expect(status.data.seriesCountByMetricName).toContainEqual({ name: 'logins_total', value: limit })
  const api = (await (await product.fetch('/api/ops/v1/cardinality')).json()) as {
    metrics: { name: string; series: number; limit: number; refused: number; widest_label: string }[]
  }
  expect(api.metrics.find((m) => m.name === 'logins_total')).toMatchObject({
    series: limit,
    limit,
    refused: requests * each - limit,
    widest_label: 'user',
  })
  const own = await (await product.fetch('/metrics')).text()
  expect(own).toMatch(
    /airboss_receive_refused_total\{protocol="remote_write",reason="metric_cardinality"\} 998000/,
  )
  const page = await (await product.fetch('/ingest')).text()
  expect(page).toContain('logins_total')
  expect(page).toContain('at its limit')
})
