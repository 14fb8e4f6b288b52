// `otlp.traces.metrics:` in airboss.yaml: what metrics are made of spans.
import { z } from 'zod'
import { durationSchema } from '../../lib/config.ts'

const bounds = (values: readonly number[]) =>
  z
    .array(z.number())
    .min(1)
    .max(100)
    .refine((b) => b.every((x, i) => i === 0 || x > b[i - 1]!), 'must ascend')
    .default([...values])
const above = (text: string) => durationSchema.prefault(text).refine((d) => d > 0, 'must be above 0')

/** The label of an attribute. */
export const dimensionLabel = (attribute: string): string => attribute.replace(/[^a-zA-Z0-9_]/g, '_')
const taken = new Set(['job', 'service_name', 'span_name', 'span_kind', 'status_code', 'le'])

const dimensions = z
  .array(
    z
      .string()
      .min(1)
      .refine((key) => !taken.has(dimensionLabel(key)), 'makes a label that these series have already')
      .refine(
        (key) => !/^(__|[0-9])/.test(dimensionLabel(key)),
        'makes a label that begins with __ or a digit',
      ),
  )
  .max(20)
  .refine((keys) => new Set(keys.map(dimensionLabel)).size === keys.length, 'two of them make the same label')
  .default([])

export const spanMetricsSchema = z
  .strictObject({
    enabled: z.boolean().default(true),
    /** How often the series are written, at whole multiples of it. */
    interval: above('15s'),
    /** Attributes of the span, or else of its resource, that become labels of the traces_spanmetrics_ series. */
    dimensions,
    /** Upper bounds of durations in seconds; +Inf is added. */
    buckets: bounds([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]),
    /** The same for GenAI operations, agents and tools; the bounds that OpenTelemetry's conventions give. */
    gen_ai_buckets: bounds([
      0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
    ]),
    score_buckets: bounds([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
    /** Most series (each bucket is one); what comes past it goes into one series a metric, with otel_metric_overflow="true". */
    max_series: z.int().min(100).max(5_000_000).default(50_000),
    /** Different span names of a service before numbers and ids in them are replaced by `*`. */
    max_span_names: z.int().min(1).default(200),
    /** Longer label values are cut. */
    max_label_length: z.int().min(16).default(128),
    /** A series without spans for so long ends. */
    series_ttl: above('15m'),
    /** How long a call that does not name its agent waits for the span of the agent around it; then the service stands for the agent. */
    agent_wait: above('1m'),
    /** Spans of GenAI traces remembered to find the agent around a call. */
    max_trace_spans: z.int().min(1000).max(5_000_000).default(100_000),
    /** When an invocation of an agent counts as a loop. */
    loops: z
      .strictObject({
        /** The same tool was called with the same arguments so many times. */
        repeated_calls: z.int().min(2).default(3),
        /** Where arguments are not sent or not kept: the same sequence of up to four tools came so many times in a row. */
        repeated_sequence: z.int().min(2).default(10),
        /** Calls of models and tools. */
        steps: z.int().min(2).default(50),
      })
      .prefault({}),
  })
  .prefault({})
export type SpanMetricsConfig = z.output<typeof spanMetricsSchema>
