// Asks both the same over HTTP and compares the answers before any time is taken.

export interface Expression {
  readonly expr: string
  /** Seconds. */
  readonly at: number
  readonly range?: { readonly from: number; readonly step: number }
}

interface Series {
  readonly metric: Record<string, string>
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

/** The answer's text, as it came. Throws when it is not 200. */
export const askText = async (url: string, { expr, at, range }: Expression): Promise<string> => {
  const params = range
    ? { query: expr, start: String(range.from), end: String(at), step: String(range.step) }
    : { query: expr, time: String(at) }
  const answer = await fetch(`${url}/api/v1/${range ? 'query_range' : 'query'}`, {
    method: 'POST',
    body: new URLSearchParams(params),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${url} answered ${answer.status} to ${expr}: ${text.slice(0, 300)}`)
  return text
}

export const ask = async (url: string, one: Expression): Promise<Series[]> =>
  (JSON.parse(await askText(url, one)) as { data: { result: Series[] } }).data.result

const keyOf = ({ metric }: Series): string => JSON.stringify(Object.entries(metric).sort())

const near = (a: string, b: string): boolean =>
  a === b ||
  Math.abs(Number(a) - Number(b)) <= 1e-9 * Math.max(1e-12, Math.abs(Number(a)), Math.abs(Number(b)))

/** Throws where the answers differ, but for the last digits of a float; returns how many series there are. */
export const sameAnswers = (expr: string, ours: readonly Series[], theirs: readonly Series[]): number => {
  if (ours.length === 0) throw new Error(`${expr}: there is no answer to compare`)
  if (ours.length !== theirs.length)
    throw new Error(`${expr}: ${ours.length} series, Prometheus has ${theirs.length}`)
  const theirsBy = new Map(theirs.map((s) => [keyOf(s), s]))
  for (const series of ours) {
    const other = theirsBy.get(keyOf(series))
    if (!other) throw new Error(`${expr}: ${keyOf(series)} is not in Prometheus's answer`)
    const a = series.values ?? [series.value!]
    const b = other.values ?? [other.value!]
    const bad = a.findIndex((point, i) => point[0] !== b[i]?.[0] || !near(point[1], b[i][1]))
    if (a.length !== b.length || bad >= 0)
      throw new Error(
        `${expr}: ${keyOf(series)}: ${a.length} points, Prometheus ${b.length}; first that differs: ${JSON.stringify(a[bad])}, ${JSON.stringify(b[bad])}`,
      )
  }
  return ours.length
}
