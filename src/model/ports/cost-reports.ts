// What was spent, for people and programs: sums, the tree of a trace, models without a price, bills.
import type { Instant } from '../../lib/time.ts'
import type { FocusRow } from '../focus.ts'
import type { CostGroup, CostSum, TraceSum, Within } from './money-reader.ts'

export interface SummaryRow extends CostSum {
  /** What an agent's work cost with everything beneath it; null where it is not known for this grouping. Not to be summed over agents. */
  readonly inclusiveUsd: number | null
  /** Spent on calls that failed and were made again. */
  readonly retriedUsd: number | null
}
export interface Summary extends Within {
  readonly total: CostSum
  /** The largest first. */
  readonly rows: readonly SummaryRow[]
}

/** A span with what was spent in it. */
export interface CostNode {
  readonly spanId: string
  readonly parentSpanId: string
  /** The agent whose invocation this span is, '' for every other span. */
  readonly invokes: string
  /** Whether it is a call of a model. */
  readonly model: boolean
  readonly failed: boolean
  /** Milliseconds. */
  readonly startAt: number
  readonly usd: number
  /** Whom its own cost is charged to. */
  readonly agent: string
}
export interface CostBranch<T extends CostNode = CostNode> {
  readonly node: T
  /** What it cost by itself. */
  readonly direct: number
  /** With everything beneath it. */
  readonly inclusive: number
  /** Of `inclusive`: calls that failed and were made again. */
  readonly retried: number
  /** Of `inclusive`: calls that failed. */
  readonly failed: number
  readonly children: readonly CostBranch<T>[]
}
export interface TraceNode extends CostNode {
  readonly name: string
  readonly service: string
  /** What of GenAI it is: model, agent, tool, workflow, other, or ''. */
  readonly kind: string
  readonly modelName: string
  /** Milliseconds. */
  readonly duration: number
  readonly statedUsd: number
  readonly priceVersion: string
}
export interface TraceReport {
  readonly traceId: string
  readonly usd: number
  /** One for each span whose parent is not there, the earliest first. */
  readonly roots: readonly CostBranch<TraceNode>[]
  /** There are more spans than were looked at. */
  readonly cut: boolean
}

export interface UnpricedModel {
  readonly model: string
  readonly provider: string
  /** Input and output tokens that cost nothing here for want of a price. */
  readonly tokens: number
  readonly firstAt: Instant
  readonly lastAt: Instant
}

/** Throws `bad_data` for a period that is none, and what the store throws. */
export interface CostReports {
  summary(
    query: Within & { readonly by: readonly CostGroup[]; readonly limit: number },
    signal: AbortSignal,
  ): Promise<Summary>
  topTraces(query: Within & { readonly limit: number }, signal: AbortSignal): Promise<readonly TraceSum[]>
  /** Throws `not_found`. */
  trace(traceId: string, signal: AbortSignal): Promise<TraceReport>
  /** The most tokens first. */
  unpriced(): readonly UnpricedModel[]
  /** Rows of FOCUS 1.2, day by day. */
  focus(within: Within, signal: AbortSignal): AsyncGenerator<readonly FocusRow[]>
  /** The same as CSV, header first. */
  focusCsv(within: Within, signal: AbortSignal): AsyncGenerator<string>
}
