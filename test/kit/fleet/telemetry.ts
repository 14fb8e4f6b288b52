// What a demo agent tells about itself: spans as a tree, logs beside them, and the GenAI conventions' instruments where it has any.
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  SeverityNumber,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { type Answer, OverloadedError } from './model.ts'
import { createSignals, type Transport } from './signals.ts'
import { type Generation, type ModelName, type Usage, vocabularies, type Who } from './vocabulary.ts'

/** Kinds of tokens that are part of input or output. */
export type Part = 'cache_read.input' | 'cache_write.input' | 'reasoning.output'

/** GenAI metrics of its own: a histogram of tokens by type, the newer counters by kind with these parts, or none: then its spans must do. */
export type Meters = 'histogram' | readonly Part[] | 'none'

export interface Identity extends Who, ModelName {
  readonly owner: string
  readonly instance: string
}

export interface TelemetryOptions extends Identity {
  readonly transport: Transport
  readonly speaks: Generation
  readonly meters: Meters
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly exportEvery: number
}

export interface Outcome {
  /** '' = it went well. */
  readonly error: string
  readonly why: string
}

// As the conventions advise.
const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : 'Error')
const outcomeOf = (error: unknown): Outcome => ({
  error: nameOf(error),
  why: error instanceof Error ? error.message : String(error),
})
const fine: Outcome = { error: '', why: '' }
const failed = ({ error }: Outcome): Attributes => (error === '' ? {} : { 'error.type': error })

type Signals = ReturnType<typeof createSignals>

const instruments = ({ meter }: Signals, meters: Meters) => {
  if (meters === 'none') return null
  const duration = (name: string) =>
    meter.createHistogram(name, { unit: 's', advice: { explicitBucketBoundaries: seconds } })
  const counter = (kind: string) =>
    meter.createCounter(`gen_ai.client.inference.usage.${kind}_tokens`, { unit: '{token}' })
  const byKind =
    meters === 'histogram'
      ? null
      : {
          input: counter('input'),
          output: counter('output'),
          parts: meters.map((p) => [p, counter(p)] as const),
        }
  const byType = meter.createHistogram('gen_ai.client.token.usage', {
    unit: '{token}',
    advice: { explicitBucketBoundaries: tokens },
  })
  const usage = (u: Usage, called: Attributes): void => {
    if (!byKind) {
      byType.record(u.input, { ...called, 'gen_ai.token.type': 'input' })
      byType.record(u.output, { ...called, 'gen_ai.token.type': 'output' })
      return
    }
    const of = {
      'cache_read.input': u.cacheRead,
      'cache_write.input': u.cacheWrite,
      'reasoning.output': u.reasoning,
    }
    byKind.input.add(u.input, called)
    byKind.output.add(u.output, called)
    for (const [part, added] of byKind.parts) added.add(of[part], called)
  }
  return {
    usage,
    runs: duration('gen_ai.invoke_agent.duration'),
    calls: duration('gen_ai.client.operation.duration'),
    firstChunk: duration('gen_ai.client.operation.time_to_first_chunk'),
    tools: duration('gen_ai.execute_tool.duration'),
    scores: meter.createGauge('gen_ai.evaluation.score'),
  }
}

type Severity = 'INFO' | 'WARN' | 'ERROR'

/** What can be done, and is told, within one invocation of an agent. */
export interface Run {
  call(asked: ModelName, ask: () => Promise<Answer>): Promise<Answer>
  tool<T>(name: string, given: unknown, use: () => T | Promise<T>): Promise<T>
  /** Another agent does a part of this one's work. */
  delegate<T>(to: Who, work: (run: Run) => Promise<T>): Promise<T>
  score(name: string, value: number): void
  say(severity: Severity, body: string, attributes?: Attributes): void
}

let calls = 0

export const createTelemetry = (options: TelemetryOptions) => {
  const { version } = options
  const words = vocabularies[options.speaks]
  const signals = createSignals({
    ...options,
    resource: {
      'service.namespace': 'demo',
      'service.name': options.agent,
      'service.version': version,
      'service.instance.id': options.instance,
      owner: options.owner,
    },
  })
  const { tracer, logger, meter } = signals
  const own = instruments(signals, options.meters)
  const base = ({ agent, version: v }: Who) => ({ 'gen_ai.agent.name': agent, 'gen_ai.agent.version': v })

  /** Runs something as a span below `under`; ends it with what became of it, and gives that and the seconds to `after`. */
  const within = async <T>(
    span: { name: string; kind: SpanKind; attributes: Attributes; under: Context },
    run: (here: Context, note: (more: Attributes) => void) => Promise<T> | T,
    after: (outcome: Outcome, seconds: number) => void,
  ): Promise<T> => {
    const made = tracer.startSpan(span.name, { kind: span.kind, attributes: span.attributes }, span.under)
    const from = performance.now()
    const end = (outcome: Outcome): void => {
      if (outcome.error !== '') {
        made.setAttributes(failed(outcome))
        made.setStatus({ code: SpanStatusCode.ERROR, message: outcome.why })
      }
      made.end()
      after(outcome, (performance.now() - from) / 1000)
    }
    try {
      const value = await run(trace.setSpan(span.under, made), (more) => void made.setAttributes(more))
      end(fine)
      return value
    } catch (error) {
      end(outcomeOf(error))
      throw error
    }
  }

  const say = (here: Context, severity: Severity, body: string, attributes: Attributes): void =>
    logger.emit({
      ...{ body, attributes, context: here, timestamp: Date.now() },
      severityNumber: SeverityNumber[severity],
      severityText: severity,
    })

  /** One invocation of an agent, and all that is done in it. `within` is the invocation it belongs to. */
  const run = <T>(
    who: Who,
    conversation: string,
    work: (run: Run) => Promise<T>,
    above: Context = ROOT_CONTEXT,
  ): Promise<T> =>
    within(
      {
        name: `invoke_agent ${who.agent}`,
        kind: SpanKind.INTERNAL,
        attributes: words.agent(who, conversation),
        under: above,
      },
      (here) => work(steps(who, conversation, here)),
      (outcome, took) =>
        own?.runs.record(took, { ...base(who), 'gen_ai.operation.name': 'invoke_agent', ...failed(outcome) }),
    )

  const steps = (who: Who, conversation: string, here: Context): Run => ({
    call: (asked, ask) => {
      const called: Attributes = {
        ...base(who),
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': asked.provider,
        'gen_ai.request.model': asked.model,
        'gen_ai.response.model': asked.model,
      }
      return within(
        {
          name: `chat ${asked.model}`,
          kind: SpanKind.CLIENT,
          attributes: words.call(who, asked),
          under: here,
        },
        async (_, note) => {
          const answer = await ask().catch((error: unknown) => {
            if (error instanceof OverloadedError) {
              note(words.answer(asked, error.usage, null, 'error'))
              own?.usage(error.usage, called)
            }
            throw error
          })
          note(words.answer(answer, answer.usage, answer.firstChunk, 'stop'))
          own?.usage(answer.usage, called)
          own?.firstChunk.record(answer.firstChunk, called)
          return answer
        },
        (outcome, took) => own?.calls.record(took, { ...called, ...failed(outcome) }),
      )
    },
    tool: (name, given, use) =>
      within(
        {
          name: `execute_tool ${name}`,
          kind: SpanKind.INTERNAL,
          attributes: words.tool(who, name, `call-${++calls}`, JSON.stringify(given)),
          under: here,
        },
        () => use(),
        (outcome, took) =>
          own?.tools.record(took, {
            ...base(who),
            'gen_ai.operation.name': 'execute_tool',
            'gen_ai.tool.name': name,
            ...failed(outcome),
          }),
      ),
    delegate: (to, work) => run(to, conversation, work, here),
    score: (name, value) => {
      trace.getSpan(here)?.addEvent('gen_ai.evaluation.result', {
        'gen_ai.evaluation.name': name,
        'gen_ai.evaluation.score.value': value,
        'gen_ai.evaluation.score.label': value >= 0.7 ? 'pass' : 'fail',
      })
      own?.scores.record(value, { ...base(who), 'gen_ai.evaluation.name': name })
    },
    say: (severity, body, attributes = {}) => say(here, severity, body, attributes),
  })

  return {
    run,
    observe: (name: string, unit: string, read: () => number) => {
      const attributes = base(options)
      meter.createObservableGauge(name, { unit }).addCallback((result) => result.observe(read(), attributes))
    },
    end: signals.end,
  }
}
