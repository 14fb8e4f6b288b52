// A Querier whose answers a test writes down: for rooms that ask, where what is asked is not what is tested.
import { AppError } from '../../src/lib/errors.ts'
import type { Instant } from '../../src/lib/time.ts'
import { type Labels, labelsOf } from '../../src/model/labels.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import type { Querier } from '../../src/model/ports/querier.ts'

export interface ScriptedSeries {
  readonly labels: Readonly<Record<string, string>>
  /** The value at a moment, null where there is none. */
  readonly value: (at: Instant) => number | null
}

/**
 * `answer` gives the series of an expression; a throw is passed on. `heard` gives the time of the newest sample behind a selector's text
 * (`{__name__="up",…}`), null for none; it answers `timestamp` questions, of a moment or a range.
 */
export const scriptedQuerier = (
  answer: (expr: string) => readonly ScriptedSeries[],
  heard: (selector: string, at: Instant) => number | null = (_, at) => at,
): Querier & { readonly asked: string[] } => {
  const asked: string[] = []
  const selectorsOf = (expr: string): Matcher[][] =>
    [...expr.matchAll(/([a-z_]\w*)\{([^}]*)\}/gi)].map((m) => [
      { name: '__name__', op: '=', value: m[1]! },
      ...[...m[2]!.matchAll(/(\w+)(=~|!=|!~|=)"([^"]*)"/g)].map(
        (p): Matcher => ({ name: p[1]!, op: p[2] as Matcher['op'], value: p[3]! }),
      ),
    ])
  const series = (expr: string): readonly ScriptedSeries[] => {
    const probe = /^max\(timestamp\((\{.*\})\)\)$/.exec(expr)?.[1]
    if (probe === undefined) return answer(expr)
    const seconds = (at: Instant): number | null => {
      const heardAt = heard(probe, at)
      return heardAt === null ? null : heardAt / 1000
    }
    return [{ labels: {}, value: seconds }]
  }
  return {
    asked,
    check: (expr) => ({ type: 'vector', text: expr, selectors: selectorsOf(expr) }),
    instant: async (expr, at, signal) => {
      if (signal.aborted) throw new AppError('canceled', 'canceled')
      asked.push(expr)
      const found = series(expr).flatMap((s): [Labels, number][] => {
        const v = s.value(at)
        return v === null ? [] : [[labelsOf(s.labels), v]]
      })
      const values = Float64Array.from(found, ([, v]) => v)
      return { value: { kind: 'vector', at, labels: found.map(([l]) => l), values }, warnings: [], infos: [] }
    },
    range: async (expr, { fromAt, toAt, step }) => {
      asked.push(expr)
      const at: number[] = []
      const value: number[] = []
      const labels: Labels[] = []
      const start: number[] = []
      const end: number[] = []
      for (const one of series(expr)) {
        const from = at.length
        for (let t: number = fromAt; t <= toAt; t += step) {
          const v = one.value(t as Instant)
          if (v === null) continue
          at.push(t)
          value.push(v)
        }
        if (at.length === from) continue
        labels.push(labelsOf(one.labels))
        start.push(from)
        end.push(at.length)
      }
      return {
        value: {
          kind: 'matrix',
          labels,
          start: Uint32Array.from(start),
          end: Uint32Array.from(end),
          at: Float64Array.from(at),
          value: Float64Array.from(value),
        },
        warnings: [],
        infos: [],
      }
    },
  }
}
