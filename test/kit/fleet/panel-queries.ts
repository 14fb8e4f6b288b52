// Every query of every dashboard, as Grafana would send it.
import { dashboards } from '../../../dashboards/dashboards.ts'

export interface PanelQuery {
  readonly dashboard: string
  readonly panel: string
  readonly refId: string
  readonly expr: string
}

export interface PanelSql {
  readonly dashboard: string
  readonly panel: string
  readonly sql: string
}

interface Target {
  readonly expr?: string
  readonly rawSql?: string
  readonly refId?: string
}

/** Puts values where Grafana's variables stand: all of each, and the interval of a rate. */
export const substitute = (expr: string, rateInterval: string): string =>
  expr
    .replaceAll('$__rate_interval', rateInterval)
    .replaceAll('$__interval', '2s')
    .replaceAll('$__range', '5m')
    .replaceAll(/=~"\$\w+"/g, '=~".*"')

/** What the ClickHouse data source makes of its macros, for a range in seconds since 1970 and a step in seconds. */
export const substituteSql = (sql: string, from: number, to: number, step: number): string =>
  sql
    .replaceAll(/\$__timeFilter\(([^)]*)\)/g, `$1 >= toDateTime(${from}) AND $1 <= toDateTime(${to})`)
    .replaceAll(/\$__timeInterval\(([^)]*)\)/g, `toStartOfInterval(toDateTime($1), INTERVAL ${step} second)`)
    .replaceAll(/\$\{\w+:regex\}/g, '.*')

const allTargets = (): { dashboard: string; panel: string; target: Target }[] =>
  dashboards().flatMap(({ uid, model }) =>
    (model.panels ?? []).flatMap((panel) => {
      const targets = ('targets' in panel ? (panel.targets ?? []) : []) as Target[]
      return targets.map((target) => ({ dashboard: uid, panel: panel.title ?? '', target }))
    }),
  )

/** Every PromQL query. */
export const panelQueries = (rateInterval: string): PanelQuery[] =>
  allTargets().flatMap(({ target: { expr, refId = '' }, dashboard, panel }) =>
    expr === undefined ? [] : [{ dashboard, panel, refId, expr: substitute(expr, rateInterval) }],
  )

/** Every statement, with macros. */
export const panelStatements = (): PanelSql[] =>
  allTargets().flatMap(({ target: { rawSql }, dashboard, panel }) =>
    rawSql === undefined ? [] : [{ dashboard, panel, sql: rawSql }],
  )
