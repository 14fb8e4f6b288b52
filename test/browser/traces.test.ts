// The console's page of traces in a real browser, before the real product with spans and log records in it.
import chromium from '@sparticuz/chromium'
import { type Browser, type BrowserContextOptions, type Page, chromium as playwright } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { bytesField, varintField } from '../../src/lib/protobuf.ts'
import { askClickHouse } from '../kit/ask-clickhouse.ts'
import {
  attributeFields,
  concat,
  fixed64Field,
  idOf,
  requestOf,
  type SpanFields,
  spanMessage,
} from '../kit/otlp-items.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const hostile = '<img src=x onerror="document.title=\'broken\'">'
const good = idOf(16, 1)
const bad = idOf(16, 2)
let product: Product
let browser: Browser

const post = async (signal: 'traces' | 'logs', body: Buffer): Promise<void> => {
  const answer = await fetch(`${product.otlpHttp}/v1/${signal}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(body),
  })
  expect([answer.status, await answer.text()]).toEqual([200, ''])
}

const send = async (): Promise<void> => {
  const now = BigInt(Date.now() - 20_000) * 1_000_000n
  const span = (
    traceId: Buffer,
    n: number,
    parent: number,
    from: number,
    took: number,
    more: SpanFields,
  ): Buffer =>
    spanMessage({
      traceId,
      spanId: idOf(8, n),
      ...(parent > 0 ? { parent: idOf(8, parent) } : {}),
      start: now + BigInt(from) * 1_000_000n,
      end: now + BigInt(from + took) * 1_000_000n,
      ...more,
    })
  const chat = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-5-mini',
    'gen_ai.usage.input_tokens': 1200,
    'gen_ai.usage.output_tokens': 85,
  }
  const agent = { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'research' }
  const failed = bytesField(15, concat(bytesField(2, 'the page did not answer'), varintField(3, 2)))
  await post(
    'traces',
    requestOf({ 'service.name': 'shop', 'service.version': '1.2' }, [
      span(good, 1, 0, 0, 4000, { name: 'invoke_agent research', attributes: agent }),
      span(good, 2, 1, 100, 1500, { name: 'chat gpt-5-mini', attributes: chat }),
      span(good, 3, 1, 1700, 800, {
        name: 'execute_tool web-search',
        attributes: { 'gen_ai.tool.name': 'web-search' },
      }),
      span(good, 4, 3, 1750, 600, { name: hostile, attributes: { note: hostile } }),
      span(good, 5, 1, 2600, 1300, { name: 'chat gpt-5-mini', attributes: chat }),
      span(bad, 6, 0, 5000, 300, {
        name: 'execute_tool fetch',
        attributes: { 'gen_ai.tool.name': 'fetch' },
        more: failed,
      }),
    ]),
  )
  const record = (text: string, severity: number): Buffer =>
    concat(
      fixed64Field(1, now + 1_800_000_000n),
      varintField(2, severity),
      bytesField(5, bytesField(1, text)),
      attributeFields(6, { step: 2 }),
      bytesField(9, good),
    )
  await post(
    'logs',
    requestOf({ 'service.name': 'shop' }, [record('searching the web', 9), record(hostile, 17)]),
  )
  await until('the rows', async () => {
    const [row] = await askClickHouse<{ n: string }>(
      product,
      'SELECT (SELECT count() FROM otel_traces) + (SELECT count() FROM otel_logs) AS n',
    )
    return Number(row?.n) === 8
  })
}

beforeAll(async () => {
  product = await startProduct({
    files: { 'airboss.yaml': 'host: { enabled: false }\nself: { interval: 1s }\nrule_files: []\n' },
  })
  browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: chromium.args,
    headless: true,
  })
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await product?.dispose()
})

const problems: string[] = []
const pages: Page[] = []
const open = async (path: string, options: BrowserContextOptions = {}): Promise<Page> => {
  const context = await browser.newContext({
    locale: 'en-GB',
    viewport: { width: 1440, height: 900 },
    ...options,
  })
  const page = await context.newPage()
  pages.push(page)
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') problems.push(`${path}: ${m.text()}`)
  })
  page.on('pageerror', (e) => problems.push(`${path}: ${e.message}`))
  await page.goto(`${product.http}${path}`)
  const shots = process.env['AIRBOSS_SHOTS']
  if (shots)
    await page.screenshot({
      path: `${shots}/${pages.length}-${path.replace(/\W+/g, '_').slice(0, 40)}.png`,
      fullPage: true,
    })
  return page
}
afterEach(() => expect(problems.splice(0)).toEqual([]))

const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
  colorScheme: 'dark',
}
const sideways = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)

it('says how to send traces while there are none', async () => {
  const page = await open('/traces')
  expect(await page.locator('#list').innerText()).toContain('No traces in this range.')
})

describe('with traces', () => {
  beforeAll(async () => send())

  it('lists the newest, with agents, models and failures, and finds by what is asked', async () => {
    const page = await open('/traces')
    const rows = page.locator('.traces tbody tr')
    expect(await rows.count()).toBe(2)
    expect(await rows.nth(0).innerText()).toMatch(/execute_tool fetch[\s\S]*300\s*ms[\s\S]*1 failed/)
    expect(await rows.nth(1).innerText()).toMatch(/invoke_agent research\s*shop · research · gpt-5-mini/)
    await page.getByLabel('Failed only').check()
    await page.getByRole('button', { name: 'Find' }).last().click()
    await page.waitForURL(/failed=1/)
    expect(await page.locator('.traces tbody tr').count()).toBe(1)
    await page.goto(`${product.http}/traces?longer=2s&agent=research`)
    expect(await page.locator('.traces tbody tr').count()).toBe(1)
    await page.goto(`${product.http}/traces?service=bank`)
    expect(await page.locator('#list').innerText()).toContain('No trace fits.')
    await page.goto(`${product.http}/traces?longer=soon`)
    expect(await page.locator('#list').innerText()).toContain('soon is no duration.')
  })

  it('shows one as a waterfall with what models were asked, and its log records', async () => {
    const page = await open(`/traces?id=${good.toString('hex')}`)
    expect(await page.locator('h1').innerText()).toBe('invoke_agent research')
    expect(await page.locator('.verdict').innerText()).toMatch(/Nothing failed in 4.0\s*s/)
    expect(await page.locator('.waterfall > li').count()).toBe(5)
    expect(await page.locator('.waterfall .span-name b').allInnerTexts()).toEqual([
      'invoke_agent research',
      'chat gpt-5-mini',
      'execute_tool web-search',
      hostile,
      'chat gpt-5-mini',
    ])
    expect(await page.locator('#models').innerText()).toMatch(/gpt-5-mini\s*2\s*2,400\s*170\s*\$0\.0009/)
    expect(await page.locator('.verdict').innerText()).toContain('cost $0.0009')
    expect(await page.locator('.waterfall > li').nth(0).innerText()).toContain('$0.0009 with all beneath')
    expect(await page.locator('#logs').innerText()).toContain('searching the web')
    await page.locator('.waterfall summary').nth(1).click()
    expect(await page.locator('.waterfall > li').nth(1).innerText()).toContain('gen_ai.usage.input_tokens')
    expect(await page.title()).not.toBe('broken')
  })

  it('counts among what arrives', async () => {
    const about = { name: 'tick', start: BigInt(Date.now()) * 1_000_000n }
    for (let n = 100, seen = false; !seen; n++) {
      expect(n).toBeLessThan(200)
      await post(
        'traces',
        requestOf({}, [spanMessage({ ...about, traceId: idOf(16, 3), spanId: idOf(8, n) })]),
      )
      seen = /OTLP over HTTP(<[^>]*>)*-(<[^>]*>)*\d/.test(
        await (await fetch(`${product.http}/ingest`)).text(),
      )
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    const page = await open('/ingest')
    const row = page.locator('#ingest tbody tr', { hasText: 'OTLP over HTTP' })
    expect(await row.innerText()).toMatch(/OTLP over HTTP\s+-\s+\d\S*\s+-/)
  })

  it('says first what failed', async () => {
    const page = await open(`/traces?id=${bad.toString('hex')}`)
    expect(await page.locator('.verdict .say').innerText()).toBe(
      'execute_tool fetch failed: the page did not answer',
    )
  })

  it('says so where a trace is not here, or the id is none', async () => {
    const page = await open(`/traces?id=${'ab'.repeat(16)}`)
    expect(await page.locator('#trace').innerText()).toContain('No span of this trace is here.')
    await page.goto(`${product.http}/traces?id=xyz`)
    expect(await page.locator('#trace').innerText()).toContain('32 hexadecimal digits')
  })

  it.each(['/traces', `/traces?id=${good.toString('hex')}`])('%s fits a phone', async (path) => {
    const page = await open(path, phone)
    expect(await sideways(page)).toBe(false)
  })

  it('answers the same over the operations API', async () => {
    const ask = async (path: string) => {
      const answer = await product.fetch(`/api/ops/v1${path}`)
      return { status: answer.status, json: (await answer.json()) as Record<string, never> }
    }
    const list = await ask('/traces?agent=research&min_duration=2s&error=false')
    expect(list.json['traces']).toMatchObject([
      {
        trace_id: good.toString('hex'),
        spans: 5,
        errors: 0,
        duration_seconds: 4,
        agents: ['research'],
        models: ['gpt-5-mini'],
      },
    ])
    const one = await ask(`/traces/${good.toString('hex').toUpperCase()}`)
    const spans = one.json['spans'] as unknown as { name: string; depth: number; attributes: object }[]
    expect(spans.map((s) => s.depth)).toEqual([0, 1, 1, 2, 1])
    expect(spans[1]!.attributes).toMatchObject({ 'gen_ai.usage.input_tokens': '1200' })
    const logs = await ask(`/logs?trace_id=${good.toString('hex')}&severity=17`)
    expect(logs.json['logs']).toMatchObject([
      { body: hostile, severity: 17, service: 'shop', attributes: { step: '2' } },
    ])
    expect((await ask('/logs?contains=WEB&service=shop')).json['logs']).toHaveLength(1)
    expect((await ask('/traces/xyz')).status).toBe(400)
    expect((await ask(`/traces/${'ab'.repeat(16)}`)).status).toBe(404)
    expect((await ask('/traces?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z')).status).toBe(400)
    expect((await ask('/logs?limit=5000')).status).toBe(400)
    const document = (await ask('/openapi.json')).json as unknown as { paths: object }
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/api/ops/v1/traces', '/api/ops/v1/traces/{traceId}', '/api/ops/v1/logs']),
    )
  })
})
