// A group as a row that JSON can carry, and how the listing shows it.
import { type Instant, instant, iso } from '../../lib/time.ts'
import { type Labels, recordOf } from '../../model/labels.ts'
import { boundText, type FamilyType, type Metric } from './family.ts'
import { groupKey } from './grouping.ts'
import { failureTime, type Group, type KeptFamily, pushTime } from './groups.ts'

interface Row {
  readonly labels: Readonly<Record<string, string>>
  readonly families: readonly {
    readonly name: string
    readonly type: FamilyType
    readonly help: string
    readonly at: number
    /** Labels, then value, sum, count and points as text, for NaN and the infinities. */
    readonly metrics: readonly (readonly [
      Labels,
      readonly string[],
      readonly (readonly [string, string])[],
    ])[]
  }[]
}
export type GroupRow = Row | { readonly gone: string } | { readonly wiped: true }

const number = (text: string): number =>
  text === '+Inf' ? Number.POSITIVE_INFINITY : text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text)

export const rowOf = ({ labels, families }: Group): Row => ({
  labels,
  families: [...families.values()].map(({ name, type, help, at, metrics }) => ({
    ...{ name, type, help, at },
    metrics: metrics.map((m) => [
      m.labels,
      [m.value, m.sum, m.count].map(boundText),
      m.points.map(([bound, value]) => [boundText(bound), boundText(value)] as const),
    ]),
  })),
})

export const groupOf = ({ labels, families }: Row): Group => ({
  key: groupKey(labels),
  labels,
  families: new Map(
    families.map(({ metrics, at, ...family }): [string, KeptFamily] => [
      family.name,
      {
        ...family,
        at: instant(at),
        metrics: metrics.map(
          ([own, [value = '', sum = '', count = ''], points]): Metric => ({
            labels: own,
            value: number(value),
            sum: number(sum),
            count: number(count),
            points: points.map(([bound, v]) => [number(bound), number(v)]),
          }),
        ),
      },
    ]),
  ),
})

const shownMetric = (type: FamilyType, m: Metric): Record<string, unknown> => {
  const labels = { labels: recordOf(m.labels) }
  if (type !== 'histogram' && type !== 'summary') return { ...labels, value: boundText(m.value) }
  const points = Object.fromEntries(m.points.map(([bound, v]) => [boundText(bound), boundText(v)]))
  return {
    ...labels,
    [type === 'histogram' ? 'buckets' : 'quantiles']: points,
    count: boundText(Number.isNaN(m.count) ? 0 : m.count),
    sum: boundText(m.sum),
  }
}

const firstValue = (group: Group, name: string): number => group.families.get(name)?.metrics[0]?.value ?? 0

/** A group in the form of Pushgateway's `GET /api/v1/metrics`. */
export const shownGroup = (group: Group): Record<string, unknown> => ({
  labels: group.labels,
  last_push_successful: firstValue(group, failureTime) <= firstValue(group, pushTime),
  ...Object.fromEntries(
    [...group.families.values()].map(({ name, type, help, at, metrics }) => [
      name,
      {
        time_stamp: iso(at as Instant),
        type: type.toUpperCase(),
        help,
        metrics: metrics.map((m) => shownMetric(type, m)),
      },
    ]),
  ),
})
