// Prometheus's JSON: envelopes, floats as strings, times as seconds.
import { asAppError, type Code } from '../../lib/errors.ts'
import { formatFloat } from '../../lib/template/float.ts'
import { type Labels, recordOf } from '../../model/labels.ts'
import { bucketsAscending } from '../../model/native-bounds.ts'
import type { NativeHistogram } from '../../model/native-histogram.ts'
import type { Answer, Matrix, Value, Vector } from '../../model/result.ts'
import { retryHeaders } from '../mount.ts'

/** A float as Prometheus prints it in JSON: JavaScript switches to exponents at the same bounds as Prometheus there, but pads none. */
export const floatText = (v: number): string => {
  if (Number.isFinite(v)) {
    const size = Math.abs(v)
    if (size !== 0 && (size < 1e-6 || size >= 1e21)) return formatFloat(v, 'e', -1)
    return Object.is(v, -0) ? '-0' : String(v)
  }
  return v > 0 ? '+Inf' : v < 0 ? '-Inf' : 'NaN'
}

const metric = (labels: Labels): string => JSON.stringify(recordOf(labels))

/** Buckets as `[what its ends include, lower, upper, count]`, the empty ones left out. */
const histogramText = (h: NativeHistogram): string => {
  const buckets = bucketsAscending(h).map(
    ({ ends, lower, upper, count }) =>
      `[${ends},"${floatText(lower)}","${floatText(upper)}","${floatText(count)}"]`,
  )
  const list = buckets.length > 0 ? `,"buckets":[${buckets.join(',')}]` : ''
  return `{"count":"${floatText(h.count)}","sum":"${floatText(h.sum)}"${list}}`
}

const vectorText = (v: Vector): string => {
  const at = v.at / 1000
  const parts = new Array<string>(v.labels.length)
  for (let i = 0; i < parts.length; i++) {
    const h = v.histograms?.[i]
    const value = h
      ? `"histogram":[${at},${histogramText(h)}]`
      : `"value":[${at},"${floatText(v.values[i]!)}"]`
    parts[i] = `{"metric":${metric(v.labels[i]!)},${value}}`
  }
  return `[${parts.join(',')}]`
}

const matrixText = (m: Matrix): string => {
  const parts = new Array<string>(m.labels.length)
  for (let s = 0; s < parts.length; s++) {
    const points: string[] = []
    for (let i = m.start[s]!; i < m.end[s]!; i++)
      points.push(`[${m.at[i]! / 1000},"${floatText(m.value[i]!)}"]`)
    const run = m.histograms?.[s]
    const histograms = run?.value.map((h, i) => `[${run.at[i]! / 1000},${histogramText(h)}]`) ?? []
    // A series that has both kinds has both lists.
    const lists: string[] = []
    if (points.length > 0 || histograms.length === 0) lists.push(`"values":[${points.join(',')}]`)
    if (histograms.length > 0) lists.push(`"histograms":[${histograms.join(',')}]`)
    parts[s] = `{"metric":${metric(m.labels[s]!)},${lists.join(',')}}`
  }
  return `[${parts.join(',')}]`
}

const valueText = (v: Value): string => {
  if (v.kind === 'vector') return vectorText(v)
  if (v.kind === 'matrix') return matrixText(v)
  return v.kind === 'scalar'
    ? `[${v.at / 1000},"${floatText(v.value)}"]`
    : `[${v.at / 1000},${JSON.stringify(v.value)}]`
}

const json = { 'content-type': 'application/json' }

const notes = (name: string, list: readonly string[]): string =>
  list.length === 0 ? '' : `,"${name}":${JSON.stringify(list)}`

export const answerResponse = ({ value, warnings, infos }: Answer): Response =>
  new Response(
    `{"status":"success","data":{"resultType":"${value.kind}","result":${valueText(value)}}${notes('warnings', warnings)}${notes('infos', infos)}}`,
    { headers: json },
  )

export const dataResponse = (data: unknown): Response => Response.json({ status: 'success', data })

const types: Partial<Record<Code, string>> = {
  bad_data: 'bad_data',
  execution: 'execution',
  limit_exceeded: 'execution',
  canceled: 'canceled',
  timeout: 'timeout',
  not_found: 'not_found',
  unavailable: 'unavailable',
  storage_full: 'unavailable',
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
}

export const errorResponse = (thrown: unknown): Response => {
  const error = asAppError(thrown)
  return Response.json(
    { status: 'error', errorType: types[error.code] ?? 'internal', error: error.message },
    { status: error.status, headers: retryHeaders(error) },
  )
}
