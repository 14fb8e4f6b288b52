// The OpenTelemetry SDK of a demo agent: metrics, traces and logs of one resource, over one of the three transports.
import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter as GrpcMetrics } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtoMetrics } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter as GrpcTraces } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraces } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoTraces } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

export type Transport = 'proto' | 'json' | 'grpc'

export interface SignalOptions {
  readonly transport: Transport
  readonly otlpHttp: string
  readonly otlpGrpc: string
  /** Milliseconds between exports. */
  readonly exportEvery: number
  readonly resource: Readonly<Record<string, string>>
}

const exportersOf = ({ transport, otlpHttp, otlpGrpc }: SignalOptions) => {
  const url = `http://${otlpGrpc}`
  const at = (signal: string) => ({ url: `${otlpHttp}/v1/${signal}` })
  if (transport === 'grpc')
    return {
      metrics: new GrpcMetrics({ url }),
      traces: new GrpcTraces({ url }),
      logs: new GrpcLogs({ url }),
    }
  return transport === 'json'
    ? {
        metrics: new JsonMetrics(at('metrics')),
        traces: new JsonTraces(at('traces')),
        logs: new JsonLogs(at('logs')),
      }
    : {
        metrics: new ProtoMetrics(at('metrics')),
        traces: new ProtoTraces(at('traces')),
        logs: new ProtoLogs(at('logs')),
      }
}

export const createSignals = (options: SignalOptions) => {
  const { exportEvery } = options
  const exporters = exportersOf(options)
  const resource = resourceFromAttributes(options.resource)
  const patience = Math.min(exportEvery, 5000)
  const batches = { scheduledDelayMillis: exportEvery, exportTimeoutMillis: 5000, maxQueueSize: 8192 }
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: exporters.metrics,
        exportIntervalMillis: exportEvery,
        exportTimeoutMillis: patience,
      }),
    ],
  })
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor({ exporter: exporters.traces, ...batches })],
  })
  const loggers = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: exporters.logs, ...batches })],
  })
  const scope = 'demo-fleet'
  return {
    meter: meters.getMeter(scope),
    tracer: tracers.getTracer(scope),
    logger: loggers.getLogger(scope),
    end: () => Promise.allSettled([meters.shutdown(), tracers.shutdown(), loggers.shutdown()]),
  }
}
