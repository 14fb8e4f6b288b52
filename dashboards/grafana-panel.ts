// How a panel becomes Grafana's.
import { PanelBuilder as BarsBuilder } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LogsSortOrder,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  type DynamicConfigValue,
  type Panel as GrafanaPanel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder as LogsBuilder } from '@grafana/grafana-foundation-sdk/logs'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { clickhouse, clickhouseQuery } from './clickhouse-query.ts'
import type { Link } from './links.ts'
import type { Panel, Steps } from './panel.ts'

/** The data source a reader chooses; a dashboard holds no address. */
export const datasource: DataSourceRef = { type: 'prometheus', uid: '${datasource}' }

const thresholds = (steps: Steps = []): ThresholdsConfigBuilder =>
  new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([
      { value: null, color: 'green' },
      ...steps.map(([value, color]) => ({ value, color: color === 'red' ? 'red' : `semi-dark-${color}` })),
    ])

const targets = (panel: Panel): Builder<Dataquery>[] => {
  if ('sql' in panel) {
    const shape = panel.show === 'graph' ? 'timeseries' : panel.show
    return [clickhouseQuery('A', panel.sql, shape)]
  }
  return panel.queries.map(([expr, legend], i) => {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + i))
      .datasource(datasource)
      .expr(expr)
      .legendFormat(legend)
      // Dots on the plot lead to the traces behind them.
      .exemplar(panel.show === 'graph' && /_bucket\{/.test(expr))
    if (panel.show === 'table') return query.instant().format(PromQueryFormat.Table)
    return panel.show === 'bars' ? query.instant() : query.range()
  })
}

const graph = (panel: Panel): GraphBuilder => {
  const made = new GraphBuilder()
    .lineWidth(1.5)
    .fillOpacity(panel.stacked ? 35 : 6)
    .spanNulls(false)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
  if (panel.stacked) made.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'))
  if (panel.steps)
    made.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))
  return made
}

const last = (): ReduceDataOptionsBuilder => new ReduceDataOptionsBuilder().calcs(['lastNotNull'])

const number = (panel: Panel): StatBuilder =>
  new StatBuilder()
    .graphMode(BigValueGraphMode.Area)
    .colorMode(panel.steps ? BigValueColorMode.Value : BigValueColorMode.None)
    .reduceOptions(last())

const bars = (): BarsBuilder =>
  new BarsBuilder()
    .displayMode(BarGaugeDisplayMode.Basic)
    .orientation(VizOrientation.Horizontal)
    .reduceOptions(last())

const table = (panel: Panel): TableBuilder => {
  const made = new TableBuilder().filterable(true)
  // Several instant queries are one table, a row for each label set.
  if (!('sql' in panel)) {
    const names = panel.queries.map(([, legend], i) => [`Value #${String.fromCharCode(65 + i)}`, legend])
    made.transformations([
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          renameByName: Object.fromEntries(names.length === 1 ? [...names, ['Value', names[0]?.[1]]] : names),
        },
      },
    ])
  }
  return made
}

const logs = (): LogsBuilder =>
  new LogsBuilder()
    .showTime(true)
    .wrapLogMessage(true)
    .enableLogDetails(true)
    .sortOrder(LogsSortOrder.Descending)

const makers = { graph, number, bars, table, logs } as const
const heights = { graph: 8, bars: 8, number: 4, table: 9, logs: 10 } as const
const widths = { graph: 12, bars: 12, number: 4, table: 24, logs: 24 } as const

const linkOf = ({ title, url }: Link): DashboardLinkBuilder =>
  new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url).targetBlank(false)

const columnsOf = (panel: Panel): [name: string, properties: DynamicConfigValue[]][] =>
  Object.entries(panel.columns ?? {}).map(([name, { unit, link }]) => [
    name,
    [
      ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
      ...(link === undefined ? [] : [{ id: 'links', value: [{ ...link, targetBlank: false }] }]),
    ],
  ])

/** The panel as Grafana's builder. */
export const panelBuilder = (panel: Panel): Builder<GrafanaPanel> => {
  const made = makers[panel.show](panel)
  made
    .title(panel.title)
    .description(panel.about)
    .datasource('sql' in panel ? clickhouse : datasource)
    .unit(panel.unit)
    .thresholds(thresholds(panel.steps))
    .targets(targets(panel))
    .span(panel.width ?? widths[panel.show])
    .height(heights[panel.show])
  if (panel.min !== undefined) made.min(panel.min)
  if (panel.max !== undefined) made.max(panel.max)
  if (panel.decimals !== undefined) made.decimals(panel.decimals)
  if (panel.none !== undefined) made.noValue(panel.none)
  if (panel.links) made.dataLinks(panel.links.map(linkOf))
  for (const [name, properties] of columnsOf(panel)) made.overrideByName(name, properties)
  return made
}
