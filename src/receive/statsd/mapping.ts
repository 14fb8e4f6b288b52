// statsd_exporter's mapping file: from dotted names to names and labels.
import { RE2JS } from 're2js'
import { z } from 'zod'
import { durationSchema } from '../../lib/config.ts'
import { messageOf } from '../../lib/errors.ts'
import { type Duration, duration, minute } from '../../lib/time.ts'
import { escapeName } from './decode.ts'

/** Prometheus clients' own. */
export const defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const defaultQuantiles = [0.5, 0.9, 0.99]

const bucketsSchema = z
  .array(z.number())
  .min(1)
  .refine((b) => b.every((x, i) => i === 0 || x > b[i - 1]!), 'must ascend')

const histogramSchema = z.strictObject({
  buckets: bucketsSchema.optional(),
  // Classic buckets are written whatever these say.
  native_histogram_bucket_factor: z.number().optional(),
  native_histogram_max_buckets: z.number().optional(),
})

const summarySchema = z.strictObject({
  quantiles: z
    .array(z.strictObject({ quantile: z.number().min(0).max(1), error: z.number().optional() }))
    .min(1)
    .optional(),
  max_age: durationSchema.optional(),
  age_buckets: z.int().min(1).max(60).optional(),
  buf_cap: z.int().optional(),
})

const observerType = z.enum(['histogram', 'summary'])
const matchType = z.enum(['glob', 'regex'])

const defaultsSchema = z
  .strictObject({
    observer_type: observerType.default('summary'),
    /** statsd_exporter's old name of observer_type. */
    timer_type: observerType.optional(),
    match_type: matchType.default('glob'),
    glob_disable_ordering: z.boolean().default(false),
    ttl: durationSchema.optional(),
    histogram_options: histogramSchema.prefault({}),
    summary_options: summarySchema.prefault({}),
  })
  .prefault({})

const globForm = /^(\*|[a-zA-Z_][\w-]*)(\.\*|\.[\w-]+)*$/
const nameForm = /^([a-zA-Z_]|\$\{?\d+\}?)([a-zA-Z0-9_]|\$\{?\d+\}?)*$/

const ruleSchema = z.strictObject({
  match: z.string().min(1),
  name: z.string().regex(nameForm, 'not a metric name; $1 stands for what was matched'),
  labels: z.record(z.string().regex(/^[a-zA-Z_]\w*$/, 'not a label name'), z.coerce.string()).default({}),
  honor_labels: z.boolean().default(false),
  help: z.string().default(''),
  action: z.enum(['map', 'drop']).default('map'),
  match_type: matchType.optional(),
  match_metric_type: z.enum(['counter', 'gauge', 'observer']).optional(),
  observer_type: observerType.optional(),
  timer_type: observerType.optional(),
  ttl: durationSchema.optional(),
  scale: z.number().optional(),
  histogram_options: histogramSchema.optional(),
  summary_options: summarySchema.optional(),
})

type RawRule = z.output<typeof ruleSchema>
type Defaults = z.output<typeof defaultsSchema>
export type MetricKind = 'counter' | 'gauge' | 'observer'

export interface Observer {
  readonly type: 'histogram' | 'summary'
  readonly buckets: readonly number[]
  readonly quantiles: readonly number[]
  readonly maxAge: Duration
  readonly ageBuckets: number
}

/** What a name becomes. */
export interface Mapped {
  readonly drop: boolean
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** Tags stand over the rule's labels, not under them. */
  readonly honorLabels: boolean
  readonly help: string
  readonly scale: number
  /** Null: as configured for all. */
  readonly ttl: Duration | null
  readonly observer: Observer
}

interface Rule {
  readonly raw: RawRule
  readonly observer: Observer
  /** What was matched, the whole first; null where it does not match. */
  readonly match: (name: string, parts: readonly string[]) => readonly string[] | null
}

export interface StatsdMapping {
  /** Gives what holds for all where no rule matches. */
  map(name: string, kind: MetricKind): Mapped
}

const observerOf = (raw: RawRule | null, defaults: Defaults): Observer => ({
  type: raw?.observer_type ?? raw?.timer_type ?? defaults.timer_type ?? defaults.observer_type,
  buckets: raw?.histogram_options?.buckets ?? defaults.histogram_options.buckets ?? defaultBuckets,
  quantiles:
    (raw?.summary_options?.quantiles ?? defaults.summary_options.quantiles)?.map((q) => q.quantile) ??
    defaultQuantiles,
  maxAge: raw?.summary_options?.max_age ?? defaults.summary_options.max_age ?? duration(10 * minute),
  ageBuckets: raw?.summary_options?.age_buckets ?? defaults.summary_options.age_buckets ?? 5,
})

const globMatch = (pattern: string): Rule['match'] => {
  const wanted = pattern.split('.')
  return (name, parts) => {
    if (parts.length !== wanted.length) return null
    const found = [name]
    for (const [i, want] of wanted.entries()) {
      if (want === '*') found.push(parts[i]!)
      else if (want !== parts[i]) return null
    }
    return found
  }
}

const regexMatch =
  (pattern: RE2JS): Rule['match'] =>
  (name) => {
    const matcher = pattern.matcher(name)
    if (!matcher.find()) return null
    return Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '')
  }

const filled = (text: string, found: readonly string[]): string =>
  text.replaceAll(
    /\$(?:\{(\d+)\}|(\d+))/g,
    (_, braced?: string, bare?: string) => found[Number(braced ?? bare)] ?? '',
  )

/** Which of two patterns is more particular: the one with a word where the other first has a star. */
const byParticular = (a: string, b: string): number => {
  const [x, y] = [a.split('.'), b.split('.')]
  for (let i = 0; i < Math.min(x.length, y.length); i++)
    if ((x[i] === '*') !== (y[i] === '*')) return x[i] === '*' ? 1 : -1
  return 0
}

const rulesOf = (mappings: readonly RawRule[], defaults: Defaults): Rule[] => {
  const isGlob = (raw: RawRule): boolean => (raw.match_type ?? defaults.match_type) === 'glob'
  const globs = mappings.filter(isGlob)
  if (defaults.glob_disable_ordering) globs.sort((a, b) => byParticular(a.match, b.match))
  // Patterns before expressions, whatever order they are written in.
  return [...globs, ...mappings.filter((raw) => !isGlob(raw))].map((raw) => ({
    raw,
    observer: observerOf(raw, defaults),
    match: isGlob(raw) ? globMatch(raw.match) : regexMatch(RE2JS.compile(raw.match)),
  }))
}

const mappedBy = (rule: Rule, found: readonly string[], defaults: Defaults): Mapped => ({
  drop: rule.raw.action === 'drop',
  name: escapeName(filled(rule.raw.name, found)),
  labels: Object.fromEntries(Object.entries(rule.raw.labels).map(([k, v]) => [k, filled(v, found)])),
  honorLabels: rule.raw.honor_labels,
  help: rule.raw.help,
  scale: rule.raw.scale ?? 1,
  ttl: rule.raw.ttl ?? defaults.ttl ?? null,
  observer: rule.observer,
})

const mappingOf = (mappings: readonly RawRule[], defaults: Defaults): StatsdMapping => {
  const rules = rulesOf(mappings, defaults)
  const otherwise = observerOf(null, defaults)
  return {
    map: (name, kind) => {
      const parts = name.split('.')
      for (const rule of rules) {
        const { match_metric_type: only } = rule.raw
        if (only !== undefined && only !== kind) continue
        const found = rule.match(name, parts)
        if (found) return mappedBy(rule, found, defaults)
      }
      return {
        ...{ drop: false, name: escapeName(name), labels: {}, honorLabels: false, help: '', scale: 1 },
        ...{ ttl: defaults.ttl ?? null, observer: otherwise },
      }
    },
  }
}

/** Schema of the file. */
export const mappingSchema = z
  .strictObject({ defaults: defaultsSchema, mappings: z.array(ruleSchema).default([]) })
  .superRefine(({ defaults, mappings }, ctx) => {
    for (const [i, raw] of mappings.entries()) {
      const add = (key: string, message: string): void =>
        void ctx.addIssue({ code: 'custom', path: ['mappings', i, key], message })
      if ((raw.match_type ?? defaults.match_type) === 'glob') {
        if (!globForm.test(raw.match))
          add('match', 'not a pattern: words and * between dots; or set match_type: regex')
      } else
        try {
          RE2JS.compile(raw.match)
        } catch (error) {
          add('match', messageOf(error))
        }
      const { type } = observerOf(raw, defaults)
      if (type === 'histogram' && raw.summary_options) add('summary_options', 'means nothing for a histogram')
      if (type === 'summary' && raw.histogram_options)
        add('histogram_options', 'means nothing for a summary; set observer_type: histogram')
    }
  })
  .transform(({ defaults, mappings }) => mappingOf(mappings, defaults))

/** What holds without a file: timers are histograms with these buckets. */
export const plainMapping = (buckets: readonly number[]): StatsdMapping =>
  mappingSchema.parse({ defaults: { observer_type: 'histogram', histogram_options: { buckets } } })
