// A dashboard as we write it down: rows of panels, variables and links; and how it becomes Grafana's.
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Dashboard as GrafanaDashboard,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { datasource, type Panel, panelBuilder } from './panel.ts'

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

const links = () => [
  new DashboardLinkBuilder('Airboss dashboards')
    .type(DashboardLinkType.Dashboards)
    .tags([tag])
    .asDropdown(true)
    .includeVars(false)
    .keepTime(true),
]

/** Grafana's model of the dashboard. */
export const modelOf = (board: Board): GrafanaDashboard => {
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
    .links(links())
    .withVariable(
      new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus').regex(''),
    )
  for (const v of board.variables) made.withVariable(variable(v))
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
