// What a decoder tells a translation: heads once, then points, through objects that are filled anew for each.
import type { MetricKind } from './names.ts'

/** An attribute with its value as text, as OpenTelemetry's AsString writes it. */
export interface Attribute {
  readonly key: string
  readonly value: string
}

/** Attributes, or why they are none. */
export type Attributes = readonly Attribute[] | string

export interface ResourceHead {
  /** Stands for the attributes exactly: two resources with one key are the same. */
  readonly key: string
  attributes(): Attributes
}

export interface ScopeHead {
  readonly name: string
  readonly version: string
  readonly schemaUrl: string
  attributes(): Attributes
}

export type Temporality = 'delta' | 'cumulative' | 'unspecified'

export interface MetricHead {
  readonly name: string
  readonly unit: string
  readonly description: string
  readonly kind: MetricKind
  /** 'cumulative' for kinds that have none. */
  readonly temporality: Temporality
}

/** Valid only during the call it is passed to. */
export interface Point {
  /** Where bytes that stand for the attributes lie; `view` is null where there are none to compare. */
  readonly view: DataView | null
  readonly from: number
  readonly end: number
  attributes(): Attributes
  /** Milliseconds; 0 when not set. */
  readonly startAt: number
  readonly at: number
  /** No recorded value: the series has ended. */
  readonly stale: boolean
}

export interface NumberPoint extends Point {
  readonly value: number
  readonly hasValue: boolean
}

export interface HistogramPoint extends Point {
  readonly count: number
  readonly sum: number
  readonly hasSum: boolean
  /** One count more than bounds, or both empty. Not cumulative over the bounds. */
  readonly counts: readonly number[]
  readonly bounds: readonly number[]
}

/** Counts of neighbouring buckets; the first has the index `offset`. */
export interface ExponentialSide {
  readonly offset: number
  readonly counts: readonly number[]
}

export interface ExponentialPoint extends Point {
  readonly count: number
  readonly sum: number
  readonly hasSum: boolean
  readonly scale: number
  readonly zeroCount: number
  readonly zeroThreshold: number
  readonly positive: ExponentialSide
  readonly negative: ExponentialSide
}

export interface SummaryPoint extends Point {
  readonly count: number
  readonly sum: number
  readonly quantiles: readonly number[]
  readonly values: readonly number[]
}

/** Valid only during the call it is passed to. */
export interface PointExemplar {
  /** Milliseconds. */
  readonly at: number
  readonly value: number
  /** Lower-case hexadecimal; '' where there is none. */
  readonly traceId: string
  readonly spanId: string
  attributes(): Attributes
}

export interface PointSink {
  resource(head: ResourceHead): void
  scope(head: ScopeHead): void
  metric(head: MetricHead): void
  number(point: NumberPoint): void
  histogram(point: HistogramPoint): void
  exponential(point: ExponentialPoint): void
  summary(point: SummaryPoint): void
  /** The exemplars of the point that is told next. */
  exemplars(list: readonly PointExemplar[]): void
  /** The current resource's data is over. */
  endResource(): void
}
