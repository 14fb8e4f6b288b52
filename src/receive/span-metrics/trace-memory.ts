// Which agent a call belongs to: spans of GenAI traces are remembered for a while, because parents come after their children.
import type { GenAiCall } from '../../model/gen-ai.ts'
import type { Span } from '../../model/span.ts'
import type { Step } from './loops.ts'

export interface Agent {
  readonly name: string
  readonly version: string
}

/** A call with what its span says besides. */
export interface Call {
  readonly said: GenAiCall
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly job: string
  readonly service: string
  readonly version: string
  readonly startAt: number
  /** Seconds. */
  readonly duration: number
}

export const callOf = (span: Span, said: GenAiCall): Call => ({
  said,
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId,
  job: span.resource.job,
  service: span.resource.service,
  version: span.resource.version,
  startAt: span.startAt,
  duration: span.duration,
})

interface Waiting {
  readonly call: Call
  readonly untilAt: number
}
interface PlacedStep extends Step {
  readonly parent: string
}
interface Invocation {
  readonly call: Call
  readonly agent: Agent
  /** Its steps are counted then: late ones may still come. */
  readonly closeAt: number
}
interface Node {
  readonly parent: string
  readonly agent: Agent | null
  readonly invocation: boolean
}
interface Trace {
  touchedAt: number
  readonly nodes: Map<string, Node>
  /** By the span that must come first. */
  readonly waiting: Map<string, Waiting[]>
  steps: PlacedStep[]
  invocations: Invocation[]
}

export interface TraceLimits {
  /** Milliseconds. */
  readonly wait: number
  readonly settle: number
  readonly idle: number
  /** Most spans remembered. */
  readonly spans: number
}

export interface TraceReport {
  /** Once for every call, when it is known whose it is. */
  counted(call: Call, agent: Agent): void
  /** Once for every invocation of an agent, a little after it came. */
  invoked(call: Call, agent: Agent, steps: readonly Step[]): void
}

type SavedNode = readonly [spanId: string, parent: string, name: string, version: string, invocation: 0 | 1]
export interface SavedTrace {
  readonly id: string
  readonly touchedAt: number
  readonly nodes: readonly SavedNode[]
  readonly waiting: readonly Waiting[]
  readonly steps: readonly PlacedStep[]
  readonly invocations: readonly Invocation[]
}

/** How many spans up an agent is looked for, and how many steps of one trace are kept. */
const highest = 100
const mostSteps = 5000

const newTrace = (): Trace => ({
  touchedAt: 0,
  nodes: new Map(),
  waiting: new Map(),
  steps: [],
  invocations: [],
})

export class TraceMemory {
  readonly #limits: TraceLimits
  readonly #report: TraceReport
  /** The longest untouched first. */
  readonly #traces = new Map<string, Trace>()
  #spans = 0

  constructor(limits: TraceLimits, report: TraceReport) {
    this.#limits = limits
    this.#report = report
  }

  get spans(): number {
    return this.#spans
  }

  /** Takes the spans of one batch, the calls among them being `calls`. */
  take(spans: readonly Span[], calls: readonly Call[], now: number): void {
    if (calls.length === 0 && this.#traces.size === 0) return
    for (const call of calls) this.#enter(call, now)
    for (const span of spans) {
      const trace = this.#traces.get(span.traceId)
      if (trace && !trace.nodes.has(span.spanId))
        this.#node(trace, span.spanId, { parent: span.parentSpanId, agent: null, invocation: false }, now)
    }
    for (const call of calls) this.#settle(this.#traces.get(call.traceId), call, now)
    for (const [id, trace] of this.#traces) {
      if (this.#spans <= this.#limits.spans) break
      this.#forget(id, trace)
    }
  }

  /** Gives up waiting where it has been long enough; to be called now and then. */
  tick(now: number): void {
    for (const [id, trace] of this.#traces) {
      if (now - trace.touchedAt > this.#limits.idle) this.#forget(id, trace)
      else {
        if (trace.waiting.size > 0) this.#giveUp(trace, now)
        if (trace.invocations.length > 0) this.#close(trace, now)
      }
    }
  }

  #trace(id: string, now: number): Trace {
    let trace = this.#traces.get(id)
    if (trace && trace.touchedAt === now) return trace
    trace ??= newTrace()
    trace.touchedAt = now
    this.#traces.delete(id)
    this.#traces.set(id, trace)
    return trace
  }

  #enter(call: Call, now: number): void {
    const { said } = call
    const trace = this.#trace(call.traceId, now)
    const agent = ownAgent(call)
    const invocation = said.kind === 'agent'
    this.#node(trace, call.spanId, { parent: call.parentSpanId, agent, invocation }, now)
    if ((said.kind !== 'model' && said.kind !== 'tool') || trace.steps.length >= mostSteps) return
    const tool = said.kind === 'tool' ? said.tool.name : ''
    const { argumentsHash } = said.tool
    trace.steps.push({
      kind: said.kind,
      tool,
      argumentsHash,
      startAt: call.startAt,
      parent: call.parentSpanId,
    })
  }

  #node(trace: Trace, spanId: string, node: Node, now: number): void {
    if (!trace.nodes.has(spanId)) this.#spans++
    trace.nodes.set(spanId, node)
    const waiting = trace.waiting.get(spanId)
    if (!waiting) return
    trace.waiting.delete(spanId)
    // They wait for the same and go on together: one look for all, however many there are.
    const found = this.#above(trace, spanId)
    if (typeof found === 'string') this.#wait(trace, found, waiting)
    else for (const { call } of waiting) this.#placed(trace, call, found, now)
  }

  /** The agent of a span or above it, null where there is none; the id of the span that must come first where one is missing. */
  #above(trace: Trace, from: string): Agent | string | null {
    let id = from
    for (let up = 0; id !== '' && up < highest; up++) {
      const node = trace.nodes.get(id)
      if (!node) return id
      if (node.agent) return node.agent
      id = node.parent
    }
    return null
  }

  #wait(trace: Trace, missing: string, waiting: Waiting[]): void {
    const there = trace.waiting.get(missing)
    if (!there) {
      trace.waiting.set(missing, waiting)
      return
    }
    const [few, many] = there.length < waiting.length ? [there, waiting] : [waiting, there]
    for (const w of few) many.push(w)
    trace.waiting.set(missing, many)
  }

  #placed(trace: Trace, call: Call, above: Agent | null, now: number): void {
    const agent = above
      ? { name: above.name, version: call.said.agent.version || above.version }
      : serviceAgent(call)
    this.#count(trace, call, agent, now)
  }

  /** Counts a call whose agent is known, or lets it wait. */
  #settle(trace: Trace | undefined, call: Call, now: number): void {
    const agent = ownAgent(call)
    if (agent) this.#count(trace, call, agent, now)
    else if (!trace) this.#count(trace, call, serviceAgent(call), now)
    else this.#look(trace, { call, untilAt: now + this.#limits.wait }, call.parentSpanId, now)
  }

  /** Looks for an agent from this span upwards. */
  #look(trace: Trace, waiting: Waiting, from: string, now: number): void {
    const found = this.#above(trace, from)
    if (typeof found === 'string') this.#wait(trace, found, [waiting])
    else this.#placed(trace, waiting.call, found, now)
  }

  #count(trace: Trace | undefined, call: Call, agent: Agent, now: number): void {
    this.#report.counted(call, agent)
    if (call.said.kind === 'agent' && trace)
      trace.invocations.push({ call, agent, closeAt: now + this.#limits.settle })
  }

  #giveUp(trace: Trace, now: number): void {
    for (const [missing, list] of trace.waiting) {
      const left = list.filter((w) => w.untilAt > now)
      if (left.length === list.length) continue
      if (left.length > 0) trace.waiting.set(missing, left)
      else trace.waiting.delete(missing)
      for (const w of list) if (w.untilAt <= now) this.#count(trace, w.call, serviceAgent(w.call), now)
    }
  }

  #close(trace: Trace, now: number): void {
    const due = trace.invocations.filter((i) => i.closeAt <= now)
    if (due.length === 0) return
    trace.invocations = trace.invocations.filter((i) => i.closeAt > now)
    const steps = new Map<string, PlacedStep[]>(due.map((i) => [i.call.spanId, []]))
    const left: PlacedStep[] = []
    for (const step of trace.steps) {
      const own = steps.get(this.#invocationOf(trace, step))
      if (own) own.push(step)
      else left.push(step)
    }
    trace.steps = left
    for (const { call, agent } of due) this.#report.invoked(call, agent, steps.get(call.spanId)!)
  }

  /** The span of the nearest invocation around a step; '' when it is not known. */
  #invocationOf(trace: Trace, step: PlacedStep): string {
    let id = step.parent
    for (let up = 0; id !== '' && up < highest; up++) {
      const node = trace.nodes.get(id)
      if (!node) return ''
      if (node.invocation) return id
      id = node.parent
    }
    return ''
  }

  #forget(id: string, trace: Trace): void {
    this.#giveUp(trace, Number.POSITIVE_INFINITY)
    this.#close(trace, Number.POSITIVE_INFINITY)
    this.#spans -= trace.nodes.size
    this.#traces.delete(id)
  }

  /** Traces with nothing left to be counted are not kept: what comes late to them counts for its service. */
  save(): SavedTrace[] {
    const out: SavedTrace[] = []
    for (const [id, { touchedAt, nodes, waiting, steps, invocations }] of this.#traces) {
      if (waiting.size + steps.length + invocations.length === 0) continue
      const saved = [...nodes].map(
        ([spanId, n]): SavedNode => [
          spanId,
          n.parent,
          n.agent?.name ?? '',
          n.agent?.version ?? '',
          n.invocation ? 1 : 0,
        ],
      )
      out.push({ id, touchedAt, nodes: saved, waiting: [...waiting.values()].flat(), steps, invocations })
    }
    return out
  }

  load(saved: readonly SavedTrace[]): void {
    this.#traces.clear()
    this.#spans = 0
    for (const { id, touchedAt, nodes, waiting, steps, invocations } of saved) {
      const trace: Trace = {
        ...newTrace(),
        touchedAt,
        steps: [...steps],
        invocations: [...invocations],
      }
      this.#traces.set(id, trace)
      for (const [spanId, parent, name, version, invocation] of nodes) {
        const agent = name === '' ? null : { name, version }
        trace.nodes.set(spanId, { parent, agent, invocation: invocation === 1 })
      }
      this.#spans += trace.nodes.size
      for (const w of waiting) this.#look(trace, w, w.call.parentSpanId, touchedAt)
    }
  }
}

const ownAgent = ({ said, version }: Call): Agent | null =>
  said.agent.name === '' ? null : { name: said.agent.name, version: said.agent.version || version }

const serviceAgent = ({ said, service, version }: Call): Agent => ({
  name: service,
  version: said.agent.version || version,
})
