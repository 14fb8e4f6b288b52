// How a panel is written down.
import type { Link } from './links.ts'

/** Values from which a color holds, ascending; below the first it is green. */
export type Steps = readonly (readonly [from: number, color: 'green' | 'yellow' | 'orange' | 'red'])[]

interface AnyPanel {
  readonly title: string
  /** What it tells, and when to worry. */
  readonly about: string
  /** Grafana's unit id. */
  readonly unit: string
  /** Columns of 24. */
  readonly width?: number
  readonly stacked?: boolean
  readonly min?: number
  readonly max?: number
  readonly decimals?: number
  readonly steps?: Steps
  /** What stands where the answer is empty, such as "none". */
  readonly none?: string
  /** Where a click on a value leads. */
  readonly links?: readonly Link[]
  /** Units of single columns or series, by name; links of a column. */
  readonly columns?: Readonly<Record<string, { readonly unit?: string; readonly link?: Link }>>
}

/** Answered by the Prometheus API. */
export interface PromPanel extends AnyPanel {
  /** A plot over time, one number each, bars of the present, or a table of the present. */
  readonly show: 'graph' | 'number' | 'bars' | 'table'
  /** PromQL with its legend. */
  readonly queries: readonly (readonly [expr: string, legend: string])[]
}

/** Answered by ClickHouse, for what only rows can tell. Data source macros such as `$__timeFilter(Timestamp)` may stand in it. */
export interface SqlPanel extends AnyPanel {
  /** A plot (columns: time, a word, a number), a table, or lines of a log (columns `timestamp`, `body`, `level`). */
  readonly show: 'graph' | 'table' | 'logs'
  readonly sql: string
}

export type Panel = PromPanel | SqlPanel
