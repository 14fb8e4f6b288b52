// What was spent, for people and programs: sums, the tree of a trace, and bills.
import { periodAround } from '../lib/calendar.ts'
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { day, instant } from '../lib/time.ts'
import type { FocusRow } from '../model/focus.ts'
import { genAiOf } from '../model/gen-ai.ts'
import { type Labels, labelOf } from '../model/labels.ts'
import type {
  CostReports,
  Summary,
  TraceNode,
  TraceReport,
  UnpricedModel,
} from '../model/ports/cost-reports.ts'
import type { MoneyReader, TraceSpan, TraceSum, Within } from '../model/ports/money-reader.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Span } from '../model/span.ts'
import { followCounters, longChunks } from './budget-spend.ts'
import { csvLine, exportColumns, type FocusAccount, focusRow } from './focus-export.ts'
import { costTrees } from './trace-costs.ts'

interface ReportDeps {
  readonly reader: MoneyReader
  readonly querier: Querier
  readonly unpriced: () => readonly UnpricedModel[]
  readonly account: FocusAccount
  readonly clock: Clock
}

const mostSpans = 20_000
const longest = 400 * day

const resource = { service: '', job: '', instance: '', version: '', attributes: {} }
/** A stored span in the shape that the vocabulary reads. */
const asSpan = (s: TraceSpan): Span => ({
  traceId: '',
  spanId: s.spanId,
  parentSpanId: s.parentSpanId,
  name: s.name,
  kind: 'unspecified',
  status: s.failed ? 'error' : 'unset',
  startAt: s.startAt,
  duration: s.duration / 1000,
  resource,
  attributes: s.attributes,
  events: [],
})

const empty: TraceNode = {
  spanId: '',
  parentSpanId: '',
  invokes: '',
  model: false,
  failed: false,
  startAt: 0,
  usd: 0,
  agent: '',
  name: '',
  service: '',
  kind: '',
  modelName: '',
  duration: 0,
  statedUsd: 0,
  priceVersion: '',
}

const nodeOf = (s: TraceSpan): TraceNode => {
  const said = genAiOf(asSpan(s))
  return {
    ...empty,
    spanId: s.spanId,
    parentSpanId: s.parentSpanId,
    name: s.name,
    service: s.service,
    failed: s.failed,
    startAt: s.startAt,
    duration: s.duration,
    kind: said?.kind ?? '',
    model: said?.kind === 'model',
    invokes: said?.kind === 'agent' ? said.agent.name : '',
    agent: said?.agent.name ?? '',
    modelName: said?.responseModel || said?.requestModel || '',
  }
}

const check = ({ fromAt, toAt }: Within): void => {
  if (!(fromAt < toAt)) throw new AppError('bad_data', 'from must be earlier than to')
  if (toAt - fromAt > longest)
    throw new AppError('bad_data', 'from and to are more than 400 days apart; ask in parts')
}

class Reports implements CostReports {
  readonly #deps: ReportDeps

  constructor(deps: ReportDeps) {
    this.#deps = deps
  }

  /** What a counter by agent grew by. */
  async #grown(metric: string, { fromAt, toAt }: Within, signal: AbortSignal): Promise<Map<string, number>> {
    const { querier, clock } = this.#deps
    const sums = new Map<string, number>()
    const told = (labels: Labels, usd: number): void => {
      const agent = labelOf(labels, 'agent')
      sums.set(agent, (sums.get(agent) ?? 0) + usd)
    }
    const follow = followCounters(querier, metric, fromAt, told, longChunks)
    await follow(instant(Math.min(toAt, clock.now())), signal)
    return sums
  }

  async summary(query: Parameters<CostReports['summary']>[0], signal: AbortSignal): Promise<Summary> {
    check(query)
    const { reader } = this.#deps
    const byAgent = query.by.length === 1 && query.by[0] === 'agent'
    const [rows, [total], inclusive, retried] = await Promise.all([
      reader.sums(query, signal),
      reader.sums({ ...query, by: [], limit: 1 }, signal),
      byAgent ? this.#grown('airboss_cost_inclusive_usd_total', query, signal) : null,
      byAgent ? this.#grown('airboss_cost_retried_usd_total', query, signal) : null,
    ])
    const direct = new Set(rows.map((row) => row.group['agent']))
    const zero = { usd: '0', failedUsd: '0', calls: 0, rows: 0 }
    // An agent that only has others work for it spends nothing itself.
    const others = [...(inclusive ?? [])].filter(([agent]) => !direct.has(agent))
    return {
      fromAt: query.fromAt,
      toAt: query.toAt,
      total: total ?? { group: {}, ...zero },
      rows: [...rows, ...others.map(([agent]) => ({ group: { agent }, ...zero }))].map((row) => ({
        ...row,
        // What has no span, and what came in since the counter was written, is in no trace that was followed.
        inclusiveUsd: inclusive
          ? Math.max(inclusive.get(row.group['agent'] ?? '') ?? 0, Number(row.usd))
          : null,
        retriedUsd: retried ? (retried.get(row.group['agent'] ?? '') ?? 0) : null,
      })),
    }
  }

  async topTraces(
    query: Within & { readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly TraceSum[]> {
    check(query)
    return await this.#deps.reader.topTraces(query, signal)
  }

  async trace(traceId: string, signal: AbortSignal): Promise<TraceReport> {
    const { spans, costs } = await this.#deps.reader.trace(traceId, mostSpans, signal)
    if (spans.length + costs.length === 0)
      throw new AppError(
        'not_found',
        `no span and no cost of trace ${traceId} is stored; it may be a few seconds behind`,
      )
    const nodes = new Map(spans.map((s) => [s.spanId, nodeOf(s)]))
    for (const c of costs) {
      const node = nodes.get(c.spanId) ?? {
        ...empty,
        spanId: c.spanId,
        startAt: c.at,
        model: true,
        name: c.model,
      }
      nodes.set(c.spanId, {
        ...node,
        usd: node.usd + c.usd,
        agent: c.agent,
        modelName: c.model,
        statedUsd: node.statedUsd + c.statedUsd,
        priceVersion: c.priceVersion,
        failed: node.failed || c.attributes['outcome'] === 'error',
      })
    }
    const usd = costs.reduce((sum, c) => sum + c.usd, 0)
    return { traceId, usd, roots: costTrees([...nodes.values()]), cut: spans.length >= mostSpans }
  }

  unpriced(): readonly UnpricedModel[] {
    return this.#deps.unpriced()
  }

  async *focus(within: Within, signal: AbortSignal): AsyncGenerator<readonly FocusRow[]> {
    check(within)
    for (let { fromAt } = within; fromAt < within.toAt; ) {
      const toAt = instant(Math.min(within.toAt, periodAround('monthly', fromAt, 'UTC').endAt))
      const costs = await this.#deps.reader.days({ fromAt, toAt }, signal)
      yield costs.map((cost) => focusRow(cost, this.#deps.account))
      fromAt = toAt
    }
  }

  async *focusCsv(within: Within, signal: AbortSignal): AsyncGenerator<string> {
    check(within)
    const columns = exportColumns(await this.#deps.reader.broughtColumns(within, signal))
    yield csvLine(Object.fromEntries(columns.map((name) => [name, name])), columns)
    for await (const rows of this.focus(within, signal))
      yield rows.map((row) => csvLine(row, columns)).join('')
  }
}

export const createCostReports = (deps: ReportDeps): CostReports => new Reports(deps)
