// Follows open traces and says what agents cost with everything beneath them, as counters.
import { type Clock, every } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, second } from '../lib/time.ts'
import type { Batch, Metadata } from '../model/batch.ts'
import { type AdmissionLimits, BatchBuilder, defaultAdmission } from '../model/batch-builder.ts'
import { Cumulative, type CumulativeState } from '../model/cumulative.ts'
import { genAiOf } from '../model/gen-ai.ts'
import { labelsOf } from '../model/labels.ts'
import type { CostNode } from '../model/ports/cost-reports.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import type { Span } from '../model/span.ts'
import { spanId as spanRow } from './span-bill.ts'
import { inclusiveByAgent, retriedByAgent } from './trace-costs.ts'

interface InclusiveDeps {
  readonly sink: Sink
  readonly table: SeriesTable
  /** The spans of an accepted batch that were not seen before. */
  readonly fresh: (batch: Batch) => readonly Span[]
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Logger
  readonly limits?: AdmissionLimits
}

const inclusive = 'airboss_cost_inclusive_usd_total'
const retried = 'airboss_cost_retried_usd_total'
const metadata: readonly Metadata[] = [
  {
    metric: inclusive,
    type: 'counter',
    help: "What an agent's work cost with everything beneath it, sub-agents too: a dollar counts for every agent above it. Read it agent by agent; a sum over agents counts dollars more than once.",
    unit: 'usd',
  },
  {
    metric: retried,
    type: 'counter',
    help: 'The part of airboss_cost_usd_total that went into calls which failed and were made again under the same parent. Not to be added to it.',
    unit: 'usd',
  },
]

interface Trace {
  readonly nodes: Map<string, CostNode>
  /** Dollars counted already, by metric and agent. */
  readonly counted: Map<string, number>
  spent: boolean
  /** Whether agents or models are in it: others are not kept over a restart. */
  telling: boolean
  /** Whether it became too large to be followed whole. */
  cut: boolean
  /** Whether something came since it was last reckoned. */
  grown: boolean
  touchedAt: number
}
type NodeRow = readonly [string, string, string, 0 | 1, 0 | 1, number, number, string]
interface InclusiveState {
  readonly position: number
  readonly totals: CumulativeState
  readonly traces: readonly (readonly [
    string,
    number,
    readonly NodeRow[],
    readonly (readonly [string, number])[],
  ])[]
}

/** What has changed is written at once, so to say; all of it now and then, so that none goes stale. */
const look = second
const heartbeat = (30 * second) as Duration
const pushTime = (10 * second) as Duration
/** A trace is followed until nothing of it came for so long. */
const idle = 15 * 60_000
const mostSpans = 200_000
const mostSpansOfTrace = 10_000
/** Of traces with agents or models in them so many spans are kept over a restart, the newest first. */
const mostSaved = 20_000

class Inclusive implements Producer, Service {
  readonly name = 'inclusive'
  readonly #deps: InclusiveDeps
  readonly #limits: AdmissionLimits
  readonly #totals: Cumulative
  /** The least lately touched first. */
  readonly #traces = new Map<string, Trace>()
  #spans = 0
  #position = -1
  /** Series that were written at least once: the first time a zero goes before, so that the first dollars show. */
  readonly #shown = new Set<SeriesRef>()
  #changed = new Set<SeriesRef>()
  #wholeAt = 0
  readonly #stop = new AbortController()
  readonly #said = new Set<string>()
  readonly #figures

  constructor(deps: InclusiveDeps) {
    const { metrics } = deps
    this.#deps = deps
    this.#limits = deps.limits ?? defaultAdmission
    this.#totals = new Cumulative(deps.table, [inclusive, retried])
    this.#figures = {
      open: metrics.gauge('airboss_cost_open_traces', 'Traces whose costs are followed.'),
      cut: metrics.counter(
        'airboss_cost_traces_cut_total',
        'Traces let go while more of them may come, or too large to follow whole: inclusive costs miss what comes later.',
      ),
      refused: metrics.counter(
        'airboss_cost_agents_refused_total',
        'Times that inclusive costs of an agent were not counted, because its series may not pass.',
        ['reason'],
      ),
    }
  }

  start(): Promise<void> {
    const { clock, log } = this.#deps
    every(clock, look, () => this.#beat(), {
      signal: this.#stop.signal,
      failed: (error) => log.warn({ why: messageOf(error) }, 'inclusive costs not written'),
    })
    return Promise.resolve()
  }

  drain(): Promise<void> {
    this.#stop.abort()
    return Promise.resolve()
  }

  accepted(batch: Batch, position: number): void {
    this.#position = position
    this.#take(batch)
  }

  replay(batch: Batch, position: number): void {
    this.#totals.replay(batch, false)
    if (position <= this.#position) return
    this.accepted(batch, position)
  }

  #take(batch: Batch): void {
    const touched = new Set<Trace>()
    for (const span of this.#deps.fresh(batch)) this.#add(span.traceId, nodeOf(span), touched)
    for (const row of batch.costs) {
      if (!row.id.startsWith(spanRow) || row.traceId === undefined || row.spanId === undefined) continue
      const node = this.#traces.get(row.traceId)?.nodes.get(row.spanId)
      const known = node ?? { ...unseen, spanId: row.spanId, startAt: row.at }
      const failed = row.attributes?.['outcome'] === 'error'
      this.#add(row.traceId, { ...known, usd: row.usd, agent: row.agent, model: true, failed }, touched)
    }
    for (const trace of touched) if (trace.spent && trace.grown) this.#reckon(trace)
    this.#bound()
  }

  #add(traceId: string, node: CostNode, touched: Set<Trace>): void {
    let trace = this.#traces.get(traceId)
    if (!trace) trace = newTrace()
    // The last touched stands last.
    else if (!touched.has(trace)) this.#traces.delete(traceId)
    if (!touched.has(trace)) {
      this.#traces.set(traceId, trace)
      trace.touchedAt = this.#deps.clock.now()
      touched.add(trace)
    }
    const before = trace.nodes.get(node.spanId)
    if (!before) {
      if (trace.nodes.size >= mostSpansOfTrace) {
        if (!trace.cut) this.#figures.cut.add()
        trace.cut = true
        return
      }
      this.#spans++
    }
    trace.grown = true
    // A cost may have come before its span.
    trace.nodes.set(
      node.spanId,
      before && before.usd !== 0 && node.usd === 0
        ? { ...node, usd: before.usd, agent: before.agent, model: true, failed: before.failed }
        : node,
    )
    if (node.usd !== 0) trace.spent = true
    if (node.model || node.invokes !== '') trace.telling = true
  }

  /** Adds what was not counted yet of a trace. The state is made of what was accepted alone; writing only shows it. */
  #reckon(trace: Trace): void {
    trace.grown = false
    for (const [metric, sums] of [
      [inclusive, inclusiveByAgent(trace.nodes)],
      [retried, retriedByAgent(trace.nodes)],
    ] as const)
      for (const [agent, usd] of sums) {
        const key = `${metric}\u00ff${agent}`
        const more = usd - (trace.counted.get(key) ?? 0)
        if (!(more > 0)) continue
        trace.counted.set(key, usd)
        const ref = this.#refOf(metric, agent)
        if (ref < 0) continue
        this.#totals.replayAdd(ref, more)
        this.#changed.add(ref)
      }
  }

  /** Names of agents come from outside: their series are under the limits of others' series. */
  #refOf(metric: string, agent: string): SeriesRef {
    const { table, clock, log } = this.#deps
    const builder = new BatchBuilder(table, this.#limits, clock.now(), 1)
    const ref = builder.series(labelsOf({ __name__: metric, agent }))
    if (ref >= 0) return ref
    const { lastReason: reason, lastExample: why } = builder
    this.#figures.refused.add(1, { reason })
    if (!this.#said.has(reason)) log.warn({ why }, 'inclusive costs of an agent are not counted')
    this.#said.add(reason)
    return ref
  }

  #bound(): void {
    for (const [id, trace] of this.#traces) {
      if (this.#spans <= mostSpans) return
      this.#traces.delete(id)
      this.#spans -= trace.nodes.size
      if (trace.spent) this.#figures.cut.add()
    }
  }

  #expire(now: number): void {
    for (const [id, trace] of this.#traces) {
      if (now - trace.touchedAt < idle) break
      this.#traces.delete(id)
      this.#spans -= trace.nodes.size
    }
    this.#figures.open.set(this.#traces.size)
  }

  async #beat(): Promise<void> {
    const { clock, sink, table } = this.#deps
    const now = clock.now()
    this.#expire(now)
    const whole = now - this.#wholeAt >= heartbeat
    const refs = whole ? [...this.#totals.entries()].map(([ref]) => ref) : [...this.#changed]
    if (refs.length === 0) return
    const at = this.#totals.nextAt(now)
    const builder = new BatchBuilder(table, defaultAdmission, now)
    const draft = this.#totals.draft()
    const born: SeriesRef[] = []
    for (const ref of refs) {
      draft.add(ref, 0)
      if (this.#shown.has(ref)) continue
      born.push(ref)
      builder.add(ref, at - heartbeat, 0)
    }
    this.#totals.write(draft, builder, at, heartbeat)
    if (born.length > 0) builder.metadata.push(...metadata)
    const changed = this.#changed
    this.#changed = new Set()
    try {
      await sink.push(builder.build(), clock.timeout(pushTime))
    } catch (error) {
      for (const ref of changed) this.#changed.add(ref)
      throw error
    }
    if (whole) this.#wholeAt = now
    for (const ref of born) this.#shown.add(ref)
    this.#totals.shown(draft, at)
  }

  checkpoint(): InclusiveState {
    const traces: InclusiveState['traces'][number][] = []
    let left = mostSaved
    for (const [id, trace] of [...this.#traces].reverse()) {
      if (!trace.telling) continue
      left -= trace.nodes.size
      if (left < 0) break
      traces.push([id, trace.touchedAt, [...trace.nodes.values()].map(rowOf), [...trace.counted]])
    }
    return {
      position: this.#position,
      totals: this.#totals.save(),
      traces: traces.reverse(),
    }
  }

  restore(state: unknown): void {
    const { position, totals, traces } = state as InclusiveState
    this.#position = position
    this.#totals.load(totals)
    for (const [ref] of this.#totals.entries()) this.#shown.add(ref)
    for (const [id, touchedAt, rows, counted] of traces) {
      const nodes = new Map(rows.map((row) => [row[0], fromRow(row)]))
      this.#spans += nodes.size
      const trace = { ...newTrace(), nodes, counted: new Map(counted), spent: true, telling: true, touchedAt }
      this.#traces.set(id, trace)
    }
  }
}

const newTrace = (): Trace => ({
  nodes: new Map(),
  counted: new Map(),
  spent: false,
  telling: false,
  cut: false,
  grown: false,
  touchedAt: 0,
})

const unseen: CostNode = {
  spanId: '',
  parentSpanId: '',
  invokes: '',
  model: false,
  failed: false,
  startAt: 0,
  usd: 0,
  agent: '',
}

const nodeOf = (span: Span): CostNode => {
  const said = genAiOf(span)
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    invokes: said?.kind === 'agent' ? said.agent.name : '',
    model: said?.kind === 'model',
    failed: span.status === 'error',
    startAt: span.startAt,
    usd: 0,
    agent: '',
  }
}

const rowOf = (n: CostNode): NodeRow => [
  n.spanId,
  n.parentSpanId,
  n.invokes,
  n.model ? 1 : 0,
  n.failed ? 1 : 0,
  n.startAt,
  n.usd,
  n.agent,
]
const fromRow = ([spanId, parentSpanId, invokes, model, failed, startAt, usd, agent]: NodeRow): CostNode => ({
  spanId,
  parentSpanId,
  invokes,
  model: model === 1,
  failed: failed === 1,
  startAt,
  usd,
  agent,
})

/**
 * Builds on what was accepted (see `Producer`). Spans may come in any order and late: whenever one arrives, what the trace adds to each
 * agent is reckoned again and the difference counted. Memory: 200,000 spans; a trace is followed until it is silent for 15 minutes.
 */
export const createInclusive = (deps: InclusiveDeps): Producer & Service => new Inclusive(deps)
