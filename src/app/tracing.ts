// Airboss's own traces: kept in memory in batches and sent on by OTLP/HTTP; loaded after it is ready, and only where they are wanted.
import type { Context, Span } from '@opentelemetry/api'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { shownURL } from '../lib/shown-url.ts'
import { duration, formatDuration } from '../lib/time.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Service } from '../model/ports/service.ts'
import { noTracer, type SpanAttributes, type TracePlace, type Tracer } from '../model/ports/tracer.ts'

export interface TracingConfig {
  readonly endpoint: string
  /** Share of the traces that are kept, 0 to 1. */
  readonly sample: number
}

interface TracingDeps {
  /** Left out: nothing is traced, and nothing is loaded. */
  readonly config: TracingConfig | undefined
  readonly version: string
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Tracing extends Tracer, Service {
  /** Whether anything is traced at all: without it nothing needs to be wrapped. */
  readonly wanted: boolean
}

/** A base address gets OTLP's own path, as its exporters do it; an address with a path is taken as it is. */
export const tracesURL = (endpoint: string): string => {
  const url = new URL(endpoint)
  if (url.pathname === '/') url.pathname = '/v1/traces'
  return url.href
}

/** https://www.w3.org/TR/trace-context/#traceparent-header; later versions may say more behind. */
const traceParent = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/

/** How long one export may take, repeated attempts and all. */
const exportTime = 5000
/** How long the end of the process waits for the last one. */
const lastExport = duration(2000)

type Running = Tracer & { shutdown(): Promise<void> }

const load = async ({ version, log, metrics }: TracingDeps, config: TracingConfig): Promise<Running> => {
  const api = await import('@opentelemetry/api')
  const { AsyncLocalStorageContextManager } = await import('@opentelemetry/context-async-hooks')
  const { resourceFromAttributes } = await import('@opentelemetry/resources')
  const sdk = await import('@opentelemetry/sdk-trace')
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  const inner = new OTLPTraceExporter({ url: tracesURL(config.endpoint), timeoutMillis: exportTime })
  const failures = metrics.counter(
    'airboss_trace_export_failures_total',
    'Batches of spans that were not taken.',
  )
  const endpoint = shownURL(config.endpoint)
  let failing = false
  const exporter: typeof inner = Object.assign(Object.create(inner) as typeof inner, {
    export: (...[spans, done]: Parameters<typeof inner.export>) =>
      inner.export(spans, (result) => {
        const failed = result.code !== 0
        if (failed) failures.add()
        // Said when it begins and when it ends, not with each batch.
        if (failed && !failing)
          log.warn({ why: messageOf(result.error), endpoint }, 'own traces are not taken')
        if (!failed && failing) log.info({ endpoint }, 'own traces are taken again')
        failing = failed
        done(result)
      }),
  })
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'airboss', 'service.version': version }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(config.sample) }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000, exportTimeoutMillis: exportTime }),
    ],
  })
  const tracer = provider.getTracer('airboss', version)
  const places = new AsyncLocalStorageContextManager().enable()
  const from = (under: TracePlace | undefined): Context =>
    under === undefined ? places.active() : ((under as Context | null) ?? api.ROOT_CONTEXT)
  const ran = async <T>(span: Span, run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      span.setStatus({ code: api.SpanStatusCode.ERROR, message: messageOf(error) })
      throw error
    } finally {
      span.end()
    }
  }
  return {
    span: (name, attributes, run, under) => {
      const parent = from(under)
      const span = tracer.startSpan(name, { attributes: { ...attributes } }, parent)
      const note = (more: SpanAttributes): void => void span.setAttributes({ ...more })
      return places.with(api.trace.setSpan(parent, span), () => ran(span, () => run(note)))
    },
    here: () => (api.trace.getSpan(places.active()) ? places.active() : null),
    continued: (traceparent) => {
      const [, traceId, spanId, flags] = traceParent.exec(traceparent ?? '') ?? []
      const place = {
        traceId: traceId ?? '',
        spanId: spanId ?? '',
        traceFlags: Number.parseInt(flags ?? '0', 16),
      }
      if (!api.isSpanContextValid(place)) return null
      return api.trace.setSpanContext(api.ROOT_CONTEXT, { ...place, isRemote: true })
    },
    shutdown: () => provider.shutdown(),
  }
}

/** Traces nothing until `start` has loaded what is needed; that takes a tenth of a second, so it comes after everything else. */
export const createTracing = (deps: TracingDeps): Tracing => {
  const { config, clock, log } = deps
  let tracer: Tracer = noTracer
  let running: Running | null = null
  let loading: Promise<void> = Promise.resolve()
  return {
    wanted: config !== undefined,
    span: (name, attributes, run, under) => tracer.span(name, attributes, run, under),
    here: () => tracer.here(),
    continued: (traceparent) => tracer.continued(traceparent),
    start: () => {
      if (!config) return Promise.resolve()
      loading = load(deps, config).then(
        (loaded) => {
          running = loaded
          tracer = loaded
          log.info({ endpoint: shownURL(config.endpoint), sample: config.sample }, 'own traces are sent')
        },
        (error: unknown) => log.error({ err: error }, 'own traces cannot be sent'),
      )
      return loading
    },
    drain: async () => {
      await loading
      tracer = noTracer
      const ending = running
      running = null
      if (!ending) return
      const enough = clock.sleep(lastExport).then(() => {
        throw new Error(`no answer within ${formatDuration(lastExport)}`)
      })
      await Promise.race([ending.shutdown(), enough]).catch((error: unknown) => {
        log.warn({ why: messageOf(error) }, 'the last own traces were not taken')
      })
    },
  }
}
