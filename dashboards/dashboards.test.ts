import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { panelQueries, panelStatements, substituteSql } from '../test/kit/fleet/panel-queries.ts'
import { dashboards } from './dashboards.ts'

const golden = join(fileURLToPath(import.meta.url), '../../test/golden/dashboards.json')

describe('dashboards', () => {
  const all = dashboards()
  test('uids are stable and short', () => {
    expect(all.map((d) => d.uid)).toEqual([
      'airboss-host',
      'airboss-fleet',
      'airboss-agents',
      'airboss-cost',
      'airboss-alerting',
      'airboss-slo',
      'airboss-collectors',
      'airboss-containers',
      'airboss-self',
    ])
    for (const { uid, model } of all) {
      expect(uid.length).toBeLessThanOrEqual(40)
      expect(model).toMatchObject({ uid, id: null })
    }
  })
  test('no address inside: each panel and variable asks the data source that is chosen', () => {
    const asked = [...JSON.stringify(all).matchAll(/"datasource":\{([^}]*\}?)/g)].map((m) => m[1])
    expect(asked.length).toBeGreaterThan(100)
    expect([...new Set(asked)].sort()).toEqual([
      '"type":"grafana-clickhouse-datasource","uid":"${clickhouse}',
      '"type":"prometheus","uid":"${datasource}',
    ])
    for (const { model } of all) {
      const list = model.templating?.list ?? []
      expect(list[0]).toMatchObject({ type: 'datasource', query: 'prometheus' })
      const rows = JSON.stringify(model.panels).includes('${clickhouse}')
      expect(list.some((v) => v.query === 'grafana-clickhouse-datasource')).toBe(rows)
    }
  })
  test('links lead to dashboards that are there and to pages of the console, whose address is said once', () => {
    const uids = all.map((d) => d.uid)
    for (const { model } of dashboards({ console: 'https://airboss.example.com/' })) {
      const { templating, ...rest } = model
      const known = templating?.list?.find((v) => v.name === 'console')
      expect(known).toMatchObject({ type: 'constant', query: 'https://airboss.example.com', hide: 2 })
      const urls = [...JSON.stringify(rest).matchAll(/"url":"([^"]+)"/g)].map((m) => m[1]!)
      expect(urls.length).toBeGreaterThan(0)
      for (const url of urls) {
        const board = /^\/d\/([\w-]+)\?.*\$\{__url_time_range\}$/.exec(url)?.[1]
        if (board) expect(uids).toContain(board)
        else expect(url).toMatch(/^\$\{console\}\/(traces|alerts|rules|decisions|on-call|ingest|$)/)
      }
      expect(JSON.stringify(rest)).not.toContain('airboss.example.com')
      expect(model.annotations?.list?.map((a) => a.name)).toContain('Alerts')
    }
  })
  test('panels have ids of their own, a unit, words, and do not overlap', () => {
    for (const { model } of all) {
      const ids = model.panels!.map((p) => p.id)
      expect(new Set(ids).size).toBe(ids.length)
      const cells = new Set<string>()
      for (const panel of model.panels!) {
        const { x, y, w, h } = panel.gridPos!
        expect(x + w).toBeLessThanOrEqual(24)
        for (let i = x; i < x + w; i++)
          for (let j = y; j < y + h; j++) {
            expect(cells.has(`${i},${j}`), `${panel.title} overlaps`).toBe(false)
            cells.add(`${i},${j}`)
          }
        if (panel.type === 'row' || !('fieldConfig' in panel)) continue
        expect(panel.fieldConfig?.defaults.unit, panel.title).toBeTruthy()
        expect(panel.description?.length, panel.title).toBeGreaterThan(15)
      }
    }
  })
  test('every variable a query names is there', () => {
    for (const { model } of all) {
      const known = new Set(model.templating!.list!.map((v) => v.name))
      const panels = JSON.stringify(model.panels)
      for (const [, name] of panels.matchAll(/~\\"\$(\w+)\\"/g)) expect(known).toContain(name)
      for (const [, name] of panels.matchAll(/\$\{(\w+):regex\}/g)) expect(known).toContain(name)
    }
  })
  test('no query loses its labels to a variable', () => {
    const left = panelQueries('1m').filter((q) => q.expr.includes('$'))
    // label_replace's own groups are no variables.
    expect(left.filter((q) => !q.expr.includes('label_replace'))).toEqual([])
  })
  test('no statement keeps a macro or a variable', () => {
    for (const { panel, sql } of panelStatements())
      expect(substituteSql(sql, 0, 60, 5), panel).not.toMatch(/\$[\w{]/)
  })
  // Written anew with UPDATE_GOLDEN=1; the difference is read before it is committed.
  test('as last looked at', () => {
    const text = `${JSON.stringify([...panelQueries('1m'), ...panelStatements()], null, 1)}\n`
    if (process.env['UPDATE_GOLDEN']) writeFileSync(golden, text)
    expect(readFileSync(golden, 'utf8')).toBe(text)
  })
})
