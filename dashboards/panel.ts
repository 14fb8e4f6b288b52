// How a panel is written down, and how it becomes Grafana's.
import { PanelBuilder as BarsBuilder } from '@grafana/grafana-foundation-sdk/bargauge'
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
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
  type Panel as GrafanaPanel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

/** Values from which a color holds, ascending; below the first it is green. */
export type Steps = readonly (readonly [from: number, color: 'green' | 'yellow' | 'orange' | 'red'])[]

export interface Panel {
  /** A plot over time, one number each, or bars of the present. */
  readonly show: 'graph' | 'number' | 'bars'
  readonly title: string
  /** What it tells, and when to worry. */
  readonly about: string
  /** Grafana's unit id. */
  readonly unit: string
  /** PromQL with its legend. */
  readonly queries: readonly (readonly [expr: string, legend: string])[]
  /** Columns of 24. */
  readonly width?: number
  readonly stacked?: boolean
  readonly min?: number
  readonly max?: number
  readonly decimals?: number
  readonly steps?: Steps
}

/** The data source a reader chooses; a dashboard holds no address. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts the variable's value there
export const datasource: DataSourceRef = { type: 'prometheus', uid: '${datasource}' }

const thresholds = (steps: Steps = []): ThresholdsConfigBuilder =>
  new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([
      { value: null, color: 'green' },
      ...steps.map(([value, color]) => ({ value, color: color === 'red' ? 'red' : `semi-dark-${color}` })),
    ])

const targets = ({ queries, show }: Panel): DataqueryBuilder[] =>
  queries.map(([expr, legend], i) => {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode(65 + i))
      .datasource(datasource)
      .expr(expr)
      .legendFormat(legend)
    return show === 'bars' ? query.instant() : query.range()
  })

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

const heights = { graph: 8, bars: 8, number: 4 } as const

/** The panel as Grafana's builder. */
export const panelBuilder = (panel: Panel): Builder<GrafanaPanel> => {
  const made = panel.show === 'graph' ? graph(panel) : panel.show === 'number' ? number(panel) : bars()
  made
    .title(panel.title)
    .description(panel.about)
    .datasource(datasource)
    .unit(panel.unit)
    .thresholds(thresholds(panel.steps))
    .targets(targets(panel))
    .span(panel.width ?? (panel.show === 'number' ? 4 : 12))
    .height(heights[panel.show])
  if (panel.min !== undefined) made.min(panel.min)
  if (panel.max !== undefined) made.max(panel.max)
  if (panel.decimals !== undefined) made.decimals(panel.decimals)
  return made
}
