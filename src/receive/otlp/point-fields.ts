// What the protobuf decoder reads of one point, whatever its kind.
import type {
  Attributes,
  ExponentialPoint,
  ExponentialSide,
  HistogramPoint,
  NumberPoint,
  SummaryPoint,
} from './points.ts'

const noSide: ExponentialSide = { offset: 0, counts: [] }

/** A point of any kind as it is read, filled anew for each. */
export class PointFields implements NumberPoint, HistogramPoint, ExponentialPoint, SummaryPoint {
  readonly #attributes: (from: number, end: number) => Attributes
  readonly view: DataView
  from = 0
  end = 0
  /** Where attribute fields stand apart from each other, all of them; else null. */
  scattered: number[] | null = null
  startAt = 0
  at = 0
  stale = false
  value = 0
  hasValue = false
  count = 0
  sum = 0
  hasSum = false
  counts: number[] = []
  bounds: number[] = []
  quantiles: number[] = []
  values: number[] = []
  scale = 0
  zeroCount = 0
  zeroThreshold = 0
  positive = noSide
  negative = noSide

  constructor(attributes: (from: number, end: number) => Attributes, view: DataView) {
    this.#attributes = attributes
    this.view = view
  }

  clear(): void {
    this.from = this.end = this.startAt = this.at = this.value = this.count = this.sum = 0
    this.scale = this.zeroCount = this.zeroThreshold = 0
    this.positive = this.negative = noSide
    this.stale = this.hasValue = this.hasSum = false
    this.scattered = null
    if (this.counts.length > 0) this.counts = []
    if (this.bounds.length > 0) this.bounds = []
    if (this.quantiles.length > 0) this.quantiles = []
    if (this.values.length > 0) this.values = []
  }

  attributes(): Attributes {
    return this.#attributes(this.from, this.end)
  }
}
