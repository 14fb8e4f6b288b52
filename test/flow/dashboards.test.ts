// The shipped dashboards over the demo fleet: every panel's query is answered with data by the real product.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { dashboards } from '../../dashboards/dashboards.ts'
import { type Demo, startDemo } from '../kit/fleet/demo.ts'
import { panelQueries, panelStatements, substituteSql } from '../kit/fleet/panel-queries.ts'
import { summarise } from '../kit/fleet/summary.ts'

const root = join(fileURLToPath(import.meta.url), '../../..')
const queries = panelQueries('20s')

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: {
    readonly result: readonly {
      readonly value?: readonly [number, string]
      readonly values?: readonly (readonly [number, string])[]
    }[]
  }
}

let demo: Demo
let startedAt = 0
beforeAll(async () => {
  startedAt = Date.now()
  demo = await startDemo({
    root,
    anyPorts: true,
    cluster: true,
    every: '1s',
    exportEvery: 500,
    breakAfter: 6000,
    loopAfter: 4000,
    loadAfter: 3000,
  })
}, 60_000)
afterAll(() => demo?.stop(), 40_000)

const ask = async (path: string, form: Record<string, string>): Promise<Answer> => {
  const answer = await fetch(`${demo.product.http}${path}`, {
    method: 'POST',
    body: new URLSearchParams(form),
  })
  return (await answer.json()) as Answer
}
/** A few at a time, as a dashboard asks. */
const each = async <T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> => {
  const left = [...all]
  const worker = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await run(one)
  }
  await Promise.all([worker(), worker(), worker(), worker()])
}
const finite = ([, v]: readonly [number, string]): boolean => Number.isFinite(Number(v))
const hasData = (answer: Answer): boolean =>
  answer.data?.result.some((r) => (r.values ?? (r.value ? [r.value] : [])).some(finite)) ?? false

describe('dashboards', () => {
  test('every panel’s query is answered with data', { timeout: 200_000 }, async () => {
    const until = Date.now() + 150_000
    let missing = queries
    while (missing.length > 0) {
      const still: typeof queries = []
      await each(missing, async (query) => {
        const answer = await ask('/api/v1/query', { query: query.expr })
        expect(answer.status, `${query.dashboard} / ${query.panel}: ${answer.error}`).toBe('success')
        if (!hasData(answer)) still.push(query)
      })
      missing = still
      if (Date.now() > until) break
      if (missing.length > 0) await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    expect(missing.map((q) => `${q.dashboard} / ${q.panel} ${q.refId}: ${q.expr}`)).toEqual([])
  })
  test('and over a range', { timeout: 200_000 }, async () => {
    // From the start: what a version broke ends with it.
    const [end, seconds] = [Date.now() / 1000, Math.floor((Date.now() - startedAt) / 1000)]
    const span = { start: String(end - seconds), end: String(end), step: '1' }
    const empty: string[] = []
    await each(queries, async (query) => {
      const answer = await ask('/api/v1/query_range', { query: query.expr, ...span })
      if (!hasData(answer))
        empty.push(`${query.dashboard} / ${query.panel} ${query.refId}: ${answer.error ?? 'empty'}`)
    })
    expect(empty).toEqual([])
  })
  test('every statement is answered with rows by the read-only ClickHouse', { timeout: 60_000 }, async () => {
    const to = Math.ceil(Date.now() / 1000)
    const run = async (sql: string): Promise<unknown[][]> => {
      const answer = await fetch(`${demo.product.clickhouse}/?default_format=JSONCompact`, {
        method: 'POST',
        body: substituteSql(sql, to - 300, to, 5),
      })
      const said = await answer.text()
      expect(answer.status, said).toBe(200)
      return (JSON.parse(said) as { data: unknown[][] }).data
    }
    const empty: string[] = []
    for (const { dashboard, panel, sql } of panelStatements())
      if ((await run(sql)).length === 0) empty.push(`${dashboard} / ${panel}`)
    expect(empty).toEqual([])
  })
  test('every variable finds values', async () => {
    const empty: string[] = []
    for (const { uid, model } of dashboards())
      for (const variable of model.templating?.list ?? []) {
        const said = typeof variable.query === 'object' ? String(variable.query['query']) : ''
        const m = /^label_values\((.+), (\w+)\)$/.exec(said)
        if (!m) continue
        const selector = m[1]!.replaceAll(/"\$\w+"/g, '".*"')
        const answer = await fetch(
          `${demo.product.http}/api/v1/label/${m[2]}/values?${new URLSearchParams({ 'match[]': selector })}`,
        )
        const { data } = (await answer.json()) as { data: string[] }
        if (!(data?.length > 0)) empty.push(`${uid} ${variable.name}`)
      }
    expect(empty).toEqual([])
  })
  test('the shipped rules are all evaluated without an error', async () => {
    const inFiles = readdirSync(join(root, 'rules'))
      .filter((f) => f.endsWith('.yaml'))
      .flatMap((f) => parse(readFileSync(join(root, 'rules', f), 'utf8')).groups)
      .flatMap((g) => g.rules)
    const answer = await fetch(`${demo.product.http}/api/v1/rules`)
    const { data } = (await answer.json()) as {
      data: { groups: { name: string; rules: { name: string; health: string; lastError?: string }[] }[] }
    }
    const shipped = data.groups.filter((g) => g.name !== 'demo').flatMap((g) => g.rules)
    expect(shipped).toHaveLength(inFiles.length)
    expect(shipped.filter((r) => r.health === 'err')).toEqual([])
  })
  test('the summary names traces, logs, tokens and money', async () => {
    const lines = await summarise(demo.product, demo.calls)
    expect(lines.join('\n')).toMatch(
      /^signals: [\d,]+ samples · [1-9][\d,]* spans in [1-9][\d,]* traces, [\d,]+ failed · [1-9][\d,]* log lines/,
    )
    expect(lines[1]).toMatch(/^work: [1-9][\d,]* invocations of agents, [1-9][\d,]* went in circles · [1-9]/)
    for (const agent of ['pilot', 'clerk'])
      expect(lines[2]).toMatch(new RegExp(`^cost: \\$\\d.*\\b${agent} \\$\\d`))
    expect(lines[3]).toMatch(/^told: [1-9]\d* pages, .* done: .*scale of clerk/)
  })
  test('a broken version paged somebody and load called for more workers', async () => {
    const paths = demo.calls.map((c) => c.path)
    expect(paths).toContain('/page/mara')
    expect(demo.calls.find((c) => c.path === '/act')?.body.action).toMatchObject({
      kind: 'scale',
      subject: 'clerk',
    })
  })
})
