// What translations of OTLP metrics have learnt: names, label sets and series that were seen before.
import type { Metadata, MetricType } from '../../model/batch.ts'
import type { RejectReason } from '../../model/batch-builder.ts'
import type { SeriesRef } from '../../model/series.ts'
import { ByteCache } from '../byte-cache.ts'
import { ToldMetadata, trimmed } from '../told-metadata.ts'
import type { OtlpConfig } from './config.ts'
import { LabelMaker, type ResourceLabels } from './label-sets.ts'
import { type MetricKind, metricFamily } from './names.ts'
import type { PointSeries } from './point-series.ts'
import type { MetricHead, ResourceHead } from './points.ts'

export interface MetricContext {
  readonly id: number
  readonly name: string
  readonly family: string
  readonly kind: MetricKind
  readonly delta: boolean
  readonly metadata: Metadata
  /** Why none of its points can be taken; null when they can. */
  readonly refusal: { readonly reason: RejectReason; readonly why: string } | null
}

export interface ResourceContext {
  readonly labels: ResourceLabels
  readonly metrics: Map<string, MetricContext>
  info: SeriesRef | null
}

const promTypes: Readonly<Record<MetricKind, MetricType>> = {
  gauge: 'gauge',
  monotonic: 'counter',
  updown: 'gauge',
  histogram: 'histogram',
  exponential: 'histogram',
  summary: 'summary',
}

/** About how much text of resources and metrics is remembered, in UTF-16 units; past it everything is learnt anew. */
const mostText = 64 << 20
/** What a context weighs beside its key. */
const contextWeight = 512

/** What translations have learnt: names, label sets and series that were seen before. One for all OTLP receivers. */
export class TranslationMemory {
  readonly config: OtlpConfig
  readonly labels: LabelMaker
  readonly metadata = new ToldMetadata()
  readonly series = new ByteCache<PointSeries>(1 << 19, 128 << 20)
  readonly #resources = new Map<string, ResourceContext | string>()
  #text = 0
  #ids = 0

  constructor(config: OtlpConfig) {
    this.config = config
    this.labels = new LabelMaker(config)
  }

  /** A resource's context; a string says why its points cannot be taken. */
  resource(head: ResourceHead): ResourceContext | string {
    const known = this.#resources.get(head.key)
    if (known !== undefined) return known
    const attributes = head.attributes()
    const labels = typeof attributes === 'string' ? attributes : this.labels.resource(attributes)
    const made = typeof labels === 'string' ? labels : { labels, metrics: new Map(), info: null }
    this.#weigh(head.key)
    this.#resources.set(head.key, made)
    return made
  }

  metric(resource: ResourceContext, head: MetricHead, scope: string): MetricContext {
    const { name, unit, description, kind, temporality } = head
    const key = `${kind}\n${temporality}\n${name}\n${unit}\n${description}\n${scope}`
    const known = resource.metrics.get(key)
    if (known) return known
    const family = metricFamily(name, unit, kind, this.config.translation_strategy)
    const made: MetricContext = {
      id: ++this.#ids,
      name,
      family,
      kind,
      delta: temporality === 'delta',
      metadata: trimmed({ metric: family, type: promTypes[kind], help: description, unit }),
      refusal: refusalOf(head, family),
    }
    this.#weigh(key)
    resource.metrics.set(key, made)
    return made
  }

  #weigh(key: string): void {
    this.#text += key.length + contextWeight
    if (this.#text < mostText) return
    this.#text = 0
    this.#resources.clear()
  }
}

const refusalOf = (head: MetricHead, family: string): MetricContext['refusal'] => {
  if (family === '')
    return {
      reason: 'bad_labels',
      why: `the metric name ${JSON.stringify(head.name)} leaves no Prometheus name`,
    }
  if (head.temporality === 'unspecified')
    return {
      reason: 'bad_sample',
      why: `${head.name} says no aggregation temporality; send cumulative or delta`,
    }
  return null
}
