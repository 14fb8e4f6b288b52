// Exemplars of given series out of ClickHouse, newest first.
import { RowReader } from '../lib/row-binary.ts'
import { duration } from '../lib/time.ts'
import { type Exemplar, exemplarLabels } from '../model/exemplar.ts'
import type { TimeSpan } from '../model/ports/series-index.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import type { Connection } from './connection.ts'
import { trailingError } from './native.ts'

/** Most ids one statement names. */
const idsAtOnce = 5000

/**
 * Calls `each` with up to `limit` exemplars of these series, `fromAt` and `toAt` both within, newest first for each statement. What was
 * stored twice comes twice. Throws what the connection says, `RangeError` when the answer is cut off.
 */
export const readExemplars = async (
  connection: Connection,
  table: SeriesTable,
  query: { readonly refs: readonly SeriesRef[]; readonly span: TimeSpan; readonly limit: number },
  each: (ref: SeriesRef, exemplar: Exemplar) => void,
  signal: AbortSignal,
): Promise<void> => {
  const { refs, span, limit } = query
  const time = `timestamp >= fromUnixTimestamp64Milli(${Math.ceil(span.fromAt)}) AND timestamp <= fromUnixTimestamp64Milli(${Math.floor(span.toAt)})`
  for (let i = 0; i < refs.length; i += idsAtOnce) {
    const ids = refs.slice(i, i + idsAtOnce).map((ref) => table.id(ref))
    const sql = `SELECT id, toUnixTimestamp64Milli(timestamp) AS at, value, trace_id, span_id, mapKeys(labels), mapValues(labels) FROM exemplars WHERE ${time} AND id IN (${ids.join(',')}) ORDER BY at DESC LIMIT ${limit} FORMAT RowBinary`
    const reader = new RowReader()
    const list = (r: RowReader): string[] => Array.from({ length: r.varint() }, () => r.string())
    const row = (r: RowReader): void => {
      const id = r.uint64()
      const [at, value] = [r.int64(), r.float64()]
      const [trace, span] = [r.string(), r.string()]
      const [names, values] = [list(r), list(r)]
      const rest = names.flatMap((name, k) => [name, values[k]!])
      const ref = table.refOf(id)
      if (ref !== undefined) each(ref, { at, value, labels: exemplarLabels(trace, span, rest) })
    }
    const options = { signal, within: duration(30_000), settings: { max_query_size: 1 << 22 } }
    for await (const chunk of connection.bytes(sql, options)) reader.feed(chunk, row)
    if (reader.rest.length > 0)
      throw new RangeError(trailingError(reader.rest) ?? 'the answer of ClickHouse ended early')
  }
}
