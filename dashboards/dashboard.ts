// A dashboard as we write it down: rows of panels, variables and links; and how it becomes Grafana's.
import {
  AnnotationQueryBuilder,
  ConstantVariableBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Dashboard as GrafanaDashboard,
  QueryVariableBuilder,
  RowBuilder,
  VariableHide,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { datasource, panelBuilder } from './grafana-panel.ts'
import { type Link, toConsole } from './links.ts'
import type { Panel } from './panel.ts'

export interface Variable {
  readonly name: string
  readonly label: string
  /** Grafana's `label_values(series, label)`. */
  readonly values: string
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

export interface Board {
  /** Stable, at most 40 characters: links and bookmarks hold on to it. */
  readonly uid: string
  readonly title: string
  readonly about: string
  readonly tags: readonly string[]
  /** How far back it looks when opened. */
  readonly from: string
  readonly variables: readonly Variable[]
  readonly rows: readonly Row[]
  /** Dashboards beside this one, and pages of the console. */
  readonly links?: readonly Link[]
}

export interface ModelOptions {
  /** Where people reach the console, such as `https://airboss.example.com`. */
  readonly console: string
}

const tag = 'airboss'

const variable = ({ name, label, values }: Variable): QueryVariableBuilder =>
  new QueryVariableBuilder(name)
    .label(label)
    .datasource(datasource)
    .query({ query: values, refId: `variable-${name}` })
    .definition(values)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    // What is absent on a series must pass "All" too.
    .allValue('.*')
    .current({ selected: true, text: 'All', value: '$__all' })

const link = ({ title, url }: Link): DashboardLinkBuilder =>
  new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url).targetBlank(false)

const links = (board: Board): DashboardLinkBuilder[] => [
  new DashboardLinkBuilder('Airboss dashboards')
    .type(DashboardLinkType.Dashboards)
    .tags([tag])
    .asDropdown(true)
    .includeVars(false)
    .keepTime(true),
  ...(board.links ?? [toConsole('Console', '/')]).map(link),
]

/** What happened, drawn into every plot: alerts that fire, and what was decided about versions, replicas and money. */
const annotations = (): AnnotationQueryBuilder[] => [
  new AnnotationQueryBuilder()
    .name('Alerts')
    .datasource(datasource)
    .enable(true)
    .iconColor('red')
    .expr('sum by (alertname, severity) (ALERTS{alertstate="firing",severity!="info"})')
    .step('15s')
    .titleFormat('{{alertname}}')
    .textFormat('{{severity}}: {{alertname}} fires')
    .tagKeys('severity'),
  new AnnotationQueryBuilder()
    .name('Decisions and deployments')
    .datasource(datasource)
    .enable(true)
    .iconColor('blue')
    .expr('sum by (kind, subject, verdict) (increase(airboss_decisions_total[1m])) > 0')
    .step('15s')
    .titleFormat('{{kind}} {{subject}}')
    .textFormat('{{verdict}}')
    .tagKeys('kind'),
]

/** A hidden word that stands in links, and where a reader's own address of the console is put once. */
const consoleVariable = (url: string) => ({
  build: () => ({
    ...new ConstantVariableBuilder('console').label('Console').value(url).build(),
    hide: VariableHide.HideVariable,
  }),
})

const asksClickHouse = (board: Board): boolean =>
  board.rows.some((row) => row.panels.some((panel) => 'sql' in panel))

/** Grafana's model of the dashboard. */
export const modelOf = (board: Board, options: ModelOptions): GrafanaDashboard => {
  const made = new DashboardBuilder(board.title)
    .id(null)
    .uid(board.uid)
    .description(board.about)
    .tags([tag, ...board.tags])
    .timezone('browser')
    .time({ from: board.from, to: 'now' })
    .refresh('10s')
    .tooltip(DashboardCursorSync.Crosshair)
    .editable()
    .links(links(board))
    .annotations(annotations())
    .withVariable(
      new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus').regex(''),
    )
  if (asksClickHouse(board))
    made.withVariable(
      new DatasourceVariableBuilder('clickhouse')
        .label('ClickHouse')
        .type('grafana-clickhouse-datasource')
        .regex(''),
    )
  for (const v of board.variables) made.withVariable(variable(v))
  made.withVariable(consoleVariable(options.console.replace(/\/+$/, '')))
  for (const row of board.rows) {
    made.withRow(new RowBuilder(row.title))
    for (const panel of row.panels) made.withPanel(panelBuilder(panel))
  }
  const model = made.build()
  // Links to one panel hold on to its id.
  model.panels?.forEach((panel, i) => {
    panel.id = i + 1
  })
  return model
}
