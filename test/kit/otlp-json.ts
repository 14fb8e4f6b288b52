// OTLP metrics as JSON over HTTP, with times of the test's choosing: what an SDK would have sent a while ago.

export interface SentPoint {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly value: number
  readonly attributes?: Readonly<Record<string, string>>
}

export interface SentMetric {
  readonly name: string
  readonly unit?: string
  /** A cumulative counter, or a gauge. */
  readonly kind: 'counter' | 'gauge'
  readonly points: readonly SentPoint[]
}

const attributesOf = (record: Readonly<Record<string, string>>): unknown[] =>
  Object.entries(record).map(([key, stringValue]) => ({ key, value: { stringValue } }))

const nanos = (ms: number): string => `${BigInt(Math.round(ms)) * 1_000_000n}`

const metricOf = ({ name, unit, kind, points }: SentMetric): unknown => {
  const startAt = Math.min(...points.map((p) => p.at)) - 1
  const dataPoints = points.map((p) => ({
    attributes: attributesOf(p.attributes ?? {}),
    startTimeUnixNano: nanos(startAt),
    timeUnixNano: nanos(p.at),
    asDouble: p.value,
  }))
  return kind === 'gauge'
    ? { name, unit: unit ?? '', gauge: { dataPoints } }
    : { name, unit: unit ?? '', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints } }
}

/** Sends metrics of one resource; throws unless all of it was taken. */
export const sendOtlp = async (
  otlpHttp: string,
  resource: Readonly<Record<string, string>>,
  metrics: readonly SentMetric[],
): Promise<void> => {
  const scopeMetrics = [{ scope: { name: 'test' }, metrics: metrics.map(metricOf) }]
  const body = JSON.stringify({
    resourceMetrics: [{ resource: { attributes: attributesOf(resource) }, scopeMetrics }],
  })
  const answer = await fetch(`${otlpHttp}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const said = await answer.text()
  if (!answer.ok || said !== '{}') throw new Error(`OTLP: ${answer.status} ${said}`)
}
