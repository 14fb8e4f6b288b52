// A pushed body of length-delimited `io.prometheus.client.MetricFamily` messages into families.
import { AppError } from '../../lib/errors.ts'
import { WireReader } from '../../lib/protobuf.ts'
import { labelsOf } from '../../model/labels.ts'
import { emptyMetric, type Family, type FamilyType, type Metric, type Pushed } from './family.ts'

const types: readonly (FamilyType | null)[] = ['counter', 'gauge', 'summary', 'untyped', 'histogram', null]

const textAt = (r: WireReader, stop: number): string => {
  const text = r.text(stop)
  if (text === null) throw new AppError('bad_data', `protobuf: no valid UTF-8 before byte ${r.at}`)
  return text
}

/** Fields that are doubles (wire type 1) or counts (varint), by key; others are skipped. */
const numbers = (r: WireReader, stop: number, each: (field: number, value: number) => void): void => {
  const end = r.open(stop)
  while (r.at < end) {
    const tag = r.tag()
    if ((tag & 7) === 1) each(tag >>> 3, r.double())
    else if ((tag & 7) === 0) each(tag >>> 3, r.uint64())
    else r.skip(tag, end)
  }
  r.close(end)
}

const label = (r: WireReader, stop: number, into: Record<string, string>): void => {
  const end = r.open(stop)
  let name = ''
  let value = ''
  while (r.at < end) {
    const tag = r.tag()
    if (tag === 10) name = textAt(r, end)
    else if (tag === 18) value = textAt(r, end)
    else r.skip(tag, end)
  }
  r.close(end)
  if (name === '' || Object.hasOwn(into, name))
    throw new AppError('bad_data', `protobuf: label ${JSON.stringify(name)} is empty or stands twice`)
  into[name] = value
}

/** Count, sum, and buckets or quantiles. A histogram's counts may be floats in fields of their own (4 beside 1 in both). */
const compound = (r: WireReader, stop: number, histogram: boolean, metric: Metric): void => {
  const end = r.open(stop)
  metric.count = 0
  while (r.at < end) {
    const tag = r.tag()
    if (tag === 8) metric.count = r.uint64()
    else if (tag === 17) metric.sum = r.double()
    else if (histogram && tag === 33) metric.count = r.double() || metric.count
    else if (tag === 26) {
      let bound = 0
      let value = 0
      numbers(r, end, (field, number) => {
        if (histogram) {
          if (field === 2) bound = number
          else if (field === 1 || number !== 0) value = number
        } else if (field === 1) bound = number
        else value = number
      })
      metric.points.push([bound, value])
    } else r.skip(tag, end)
  }
  r.close(end)
  metric.points.sort(([a], [b]) => a - b)
}

interface Read {
  readonly metric: Metric
  readonly timed: boolean
  /** The field the value stood in, 0 when there was none. */
  readonly field: number
}

const metricOf = (r: WireReader, stop: number): Read => {
  const end = r.open(stop)
  const labels: Record<string, string> = {}
  const metric = emptyMetric([])
  let timed = false
  let field = 0
  while (r.at < end) {
    const tag = r.tag()
    const number = tag >>> 3
    if (tag === 10) label(r, end, labels)
    else if (tag === 18 || tag === 26 || tag === 42) {
      field = number
      metric.value = 0
      numbers(r, end, (f, value) => {
        if (f === 1) metric.value = value
      })
    } else if (tag === 34 || tag === 58) {
      field = number
      compound(r, end, tag === 58, metric)
    } else if (tag === 48) {
      r.varint()
      timed = true
    } else r.skip(tag, end)
  }
  r.close(end)
  return { metric: { ...metric, labels: labelsOf(labels) }, timed, field }
}

const fieldOf: Readonly<Record<FamilyType, number>> = {
  gauge: 2,
  counter: 3,
  summary: 4,
  untyped: 5,
  histogram: 7,
}

const familyOf = (r: WireReader, stop: number): { family: Family; timed: boolean } => {
  let [name, help, kind] = ['', '', 0]
  const reads: Read[] = []
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 10) name = textAt(r, stop)
    else if (tag === 18) help = textAt(r, stop)
    else if (tag === 24) kind = r.uint32()
    else if (tag === 34) reads.push(metricOf(r, stop))
    else r.skip(tag, stop)
  }
  r.close(stop)
  const type = types[kind]
  if (!type)
    throw new AppError('bad_data', `protobuf: ${name || 'a family'} has type ${kind}, which is not taken`)
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name))
    throw new AppError('bad_data', `protobuf: ${JSON.stringify(name)} is no metric name`)
  const wrong = reads.find((read) => read.field !== fieldOf[type])
  if (wrong) throw new AppError('bad_data', `protobuf: a metric of ${name} is no ${type}`)
  return {
    family: { name, type, help, metrics: reads.map((x) => x.metric) },
    timed: reads.some((x) => x.timed),
  }
}

/** Throws `bad_data` naming the byte. A family that comes twice is the last one. */
export const decodeFamilies = (body: Buffer): Pushed => {
  const r = new WireReader(body)
  const families = new Map<string, Family>()
  let timed = ''
  while (r.at < r.end) {
    const read = familyOf(r, r.open(r.end))
    if (read.timed) timed ||= read.family.name
    families.set(read.family.name, read.family)
  }
  return { families: [...families.values()].filter((f) => f.metrics.length > 0), timed }
}
