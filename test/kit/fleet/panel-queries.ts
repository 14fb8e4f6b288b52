// Every query of every dashboard, as Grafana would send it.
import { dashboards } from '../../../dashboards/dashboards.ts'

export interface PanelQuery {
  readonly dashboard: string
  readonly panel: string
  readonly refId: string
  readonly expr: string
}

interface Target {
  readonly expr?: string
  readonly refId?: string
}

/** Puts values where Grafana's variables stand: all of each, and the interval of a rate. */
export const substitute = (expr: string, rateInterval: string): string =>
  expr
    .replaceAll('$__rate_interval', rateInterval)
    .replaceAll('$__interval', '2s')
    .replaceAll(/=~"\$\w+"/g, '=~".*"')

export const panelQueries = (rateInterval: string): PanelQuery[] =>
  dashboards().flatMap(({ uid, model }) =>
    (model.panels ?? []).flatMap((panel) => {
      const targets = ('targets' in panel ? (panel.targets ?? []) : []) as Target[]
      return targets.map(({ expr = '', refId = '' }) => ({
        dashboard: uid,
        panel: panel.title ?? '',
        refId,
        expr: substitute(expr, rateInterval),
      }))
    }),
  )
