// OTLP over gRPC: the Export of MetricsService, TraceService and LogsService on raw bytes, decoded by the same code as HTTP.
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import type { Clock } from '../../lib/clock.ts'
import { AppError, asAppError, messageOf } from '../../lib/errors.ts'
import { createInFlight, type InFlight } from '../../lib/in-flight.ts'
import type { Logger } from '../../lib/log.ts'
import { duration } from '../../lib/time.ts'
import type { Actor } from '../../model/actor.ts'
import type { Service } from '../../model/ports/service.ts'
import { noTracer, type Tracer } from '../../model/ports/tracer.ts'
import type { Signal } from './exported.ts'
import type { OtlpIngest } from './ingest.ts'
import type { SignalIngest } from './signal-ingest.ts'
import { exportResponse, rpcCodeOf, statusBytes } from './status.ts'

interface OtlpGrpcDeps {
  readonly ingest: OtlpIngest
  /** Traces and logs. */
  readonly items: SignalIngest
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string
  /** Who calls, by the request's headers (lower case); null when nobody who may write: answered UNAUTHENTICATED. */
  readonly authenticate: (headers: Readonly<Record<string, string | undefined>>) => Actor | null
  readonly clock: Clock
  /** Makes a trace of each call but those that bring traces: spans about spans would never end. */
  readonly tracer?: Tracer
  readonly log: Logger
  /** Longest request, in bytes, as sent and unpacked; 64 MiB by default. */
  readonly maxBytes?: number
  readonly inFlight?: InFlight
}

const same = (bytes: Buffer): Buffer => bytes
const method = (path: string): MethodDefinition<Buffer, Buffer> => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
})
const exportOf = (signal: string): string =>
  `/opentelemetry.proto.collector.${signal.toLowerCase()}.v1.${signal}Service/Export`
const services: readonly (readonly [Signal, path: string])[] = [
  ['metrics', exportOf('Metrics')],
  ['traces', exportOf('Trace')],
  ['logs', exportOf('Logs')],
]

/** Listens from `start` on; `drain` lets calls under way end, at most three seconds. */
export const createOtlpGrpc = (deps: OtlpGrpcDeps): Service & { address(): string } => {
  const { ingest, items, listen, authenticate, clock, log, tracer = noTracer, maxBytes = 64 << 20 } = deps
  const inFlight = deps.inFlight ?? createInFlight(maxBytes * 4)
  const count = ingest.counted('otlp_grpc')
  let server: Server | null = null
  let bound = ''

  const take = async (what: Signal, call: ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> => {
    if (authenticate(headersOf(call)) === null)
      throw new AppError('unauthorized', 'a bearer token that may write is needed: metadata authorization')
    const gone = new AbortController()
    call.on('cancelled', () => gone.abort(new AppError('canceled', 'the client went away')))
    const leave = inFlight.enter(call.request.length)
    try {
      const exported =
        what === 'metrics'
          ? await ingest.take(call.request, 'protobuf', count, gone.signal)
          : await items.take(what, call.request, 'protobuf', 'otlp_grpc', gone.signal)
      return exportResponse(what, 'protobuf', exported)
    } finally {
      leave()
    }
  }

  const answer = (what: Signal, call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
    void traced(tracer, what, call, () => take(what, call)).then(
      (bytes) => {
        count.answered(status.OK)
        done(null, bytes)
      },
      (thrown: unknown) => {
        const error = asAppError(thrown)
        if (error.code === 'internal')
          log.error({ err: messageOf(error.cause ?? error) }, 'otlp request failed')
        count.answered(rpcCodeOf(error))
        done(grpcStatus(error))
      },
    )
  }

  return {
    address: () => bound,
    start: async () => {
      const made = new Server({ 'grpc.max_receive_message_length': maxBytes })
      for (const [what, path] of services)
        made.addService(
          { export: method(path) },
          {
            export: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
              answer(what, call, done),
          },
        )
      const port = await new Promise<number>((resolve, reject) => {
        made.bindAsync(listen, ServerCredentials.createInsecure(), (error, n) =>
          error
            ? reject(
                new AppError('unavailable', `OTLP over gRPC on ${listen}: ${error.message}`, {
                  cause: error,
                }),
              )
            : resolve(n),
        )
      })
      server = made
      bound = `${listen.slice(0, listen.lastIndexOf(':'))}:${port}`
    },
    drain: async () => {
      const ending = server
      server = null
      if (ending === null) return
      await shutDown(ending, clock)
    },
  }
}

/** A span around a call but where it brings spans itself. */
const traced = <T>(
  tracer: Tracer,
  what: Signal,
  call: ServerUnaryCall<Buffer, Buffer>,
  run: () => Promise<T>,
): Promise<T> => {
  if (what === 'traces') return run()
  const [, service = '', method = ''] = call.getPath().split('/')
  const about = { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method }
  return tracer.span(`${service}/${method}`, about, run, tracer.continued(headersOf(call)['traceparent']))
}

/** Lets calls under way end; after three seconds cuts them off. */
const shutDown = (server: Server, clock: Clock): Promise<void> =>
  new Promise((resolve) => {
    const timer = clock.after(duration(3000), () => {
      server.forceShutdown()
      resolve()
    })
    server.tryShutdown(() => {
      timer.cancel()
      resolve()
    })
  })

/** The call's headers, with what only the connection knows: `:authority`, and the peer's address as `x-peer-address` whatever the client says. */
const headersOf = (call: ServerUnaryCall<Buffer, Buffer>): Record<string, string> => {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(call.metadata.getMap())) out[name] = value.toString()
  const peer = call.getPeer()
  return {
    ...out,
    ':authority': call.getHost(),
    'x-peer-address': peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
  }
}

/** The status of an error, with google.rpc.Status in its details so that clients find the RetryInfo. */
const grpcStatus = (error: AppError): Partial<StatusObject> => {
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', statusBytes(error))
  return { code: rpcCodeOf(error), details: error.message, metadata }
}
