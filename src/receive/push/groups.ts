// The groups that were pushed: what replaces what, and whether all of them together make sense.
import { AppError } from '../../lib/errors.ts'
import type { Instant } from '../../lib/time.ts'
import { type Labels, labelsKey, labelsOf, printLabels, recordOf } from '../../model/labels.ts'
import { eachSeries, emptyMetric, type Family, type FamilyType, type Metric, type Pushed } from './family.ts'
import { groupKey } from './grouping.ts'

/** A family as it was pushed last. */
export interface KeptFamily extends Family {
  readonly at: Instant
}

export interface Group {
  readonly key: string
  readonly labels: Readonly<Record<string, string>>
  readonly families: ReadonlyMap<string, KeptFamily>
}

export interface GroupLimits {
  readonly groups: number
  readonly series: number
}

export const pushTime = 'push_time_seconds'
export const failureTime = 'push_failure_time_seconds'
const helps: Readonly<Record<string, string>> = {
  [pushTime]: 'When a push to this group was last taken, in seconds since 1970.',
  [failureTime]: 'When a push to this group was last refused, in seconds since 1970.',
}

const bad = (message: string): AppError => new AppError('bad_data', message)

const timeFamily = (name: string, labels: Labels, seconds: number, at: Instant): KeptFamily => {
  const metric = emptyMetric(labels)
  metric.value = seconds
  return { name, type: 'gauge', help: helps[name]!, metrics: [metric], at }
}

/** The group's own labels stand over what the metric brings. */
const labelled = (metric: Metric, group: Readonly<Record<string, string>>): Metric => ({
  ...metric,
  labels: labelsOf({ ...recordOf(metric.labels), ...group }),
})

const seriesKeys = (family: Family): string[] =>
  family.metrics.map((m) => `${family.name}\u0000${labelsKey(m.labels)}`)

export const seriesCount = (group: Group): number => {
  let n = 0
  for (const family of group.families.values())
    for (const metric of family.metrics) eachSeries(family, metric, () => n++)
  return n
}

interface Named {
  readonly type: FamilyType
  groups: number
}

/** All groups, with an index of what may not stand twice. */
export class Groups {
  readonly #groups = new Map<string, Group>()
  readonly #owner = new Map<string, string>()
  readonly #named = new Map<string, Named>()
  readonly #limits: GroupLimits
  #series = 0

  constructor(limits: GroupLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#groups.size
  }
  get series(): number {
    return this.#series
  }
  all(): IterableIterator<Group> {
    return this.#groups.values()
  }
  get(labels: Readonly<Record<string, string>>): Group | undefined {
    return this.#groups.get(groupKey(labels))
  }

  /** The group as it will be after a push at `at`. `whole` replaces all of it, else the families that were pushed. */
  after(labels: Readonly<Record<string, string>>, pushed: Pushed, whole: boolean, at: Instant): Group {
    const key = groupKey(labels)
    const old = this.#groups.get(key)
    const own = labelsOf({ ...labels })
    const families = new Map<string, KeptFamily>()
    const failure = old?.families.get(failureTime) ?? timeFamily(failureTime, own, 0, at)
    if (old && !whole) for (const [name, family] of old.families) families.set(name, family)
    for (const family of pushed.families)
      families.set(family.name, { ...family, at, metrics: family.metrics.map((m) => labelled(m, labels)) })
    if (!pushed.families.some((f) => f.name === failureTime)) families.set(failureTime, failure)
    families.set(pushTime, timeFamily(pushTime, own, at / 1000, at))
    return { key, labels, families }
  }

  /** The group as it will be after a push that was refused. */
  afterFailure(labels: Readonly<Record<string, string>>, at: Instant): Group {
    const key = groupKey(labels)
    const own = labelsOf({ ...labels })
    const families = new Map(this.#groups.get(key)?.families)
    families.set(failureTime, timeFamily(failureTime, own, at / 1000, at))
    if (!families.has(pushTime)) families.set(pushTime, timeFamily(pushTime, own, 0, at))
    return { key, labels, families }
  }

  /** Throws `bad_data` where the group does not fit itself or the others, `limit_exceeded` past a limit. */
  check(group: Group, pushed: Pushed): void {
    if (pushed.timed !== '')
      throw bad(
        `${pushed.timed} has a timestamp: pushed metrics may have none, a push says what holds from now on`,
      )
    const seen = new Set<string>()
    for (const family of group.families.values()) {
      this.#checkType(group, family)
      for (const [i, key] of seriesKeys(family).entries()) {
        const owner = this.#owner.get(key)
        if (seen.has(key) || (owner !== undefined && owner !== group.key))
          throw bad(
            `${printLabels(family.metrics[i]!.labels.concat('__name__', family.name))} is there twice${owner !== undefined && owner !== group.key ? ', the other in another group' : ''}`,
          )
        seen.add(key)
      }
    }
    const over = this.overLimit(group)
    if (over !== null) throw new AppError('limit_exceeded', over)
  }

  /** Null where there is room for the group as it will be; else which limit it would pass. */
  overLimit(group: Group): string | null {
    const old = this.#groups.get(group.key)
    if (!old && this.#groups.size >= this.#limits.groups)
      return `${this.#limits.groups} groups are held: delete some, or raise pushgateway.max_groups`
    const series = this.#series - (old ? seriesCount(old) : 0) + seriesCount(group)
    if (series <= this.#limits.series) return null
    return `${series} series would be held, at most ${this.#limits.series}: raise pushgateway.max_series`
  }

  #checkType(group: Group, { name, type }: KeptFamily): void {
    const old = this.#groups.get(group.key)?.families.get(name)
    const known = this.#named.get(name)
    const alone = known !== undefined && old !== undefined && known.groups === 1
    if (known && known.type !== type && !alone)
      throw bad(`${name} is pushed as ${type}, and is a ${known.type} in another group`)
    for (const part of type === 'histogram'
      ? ['_bucket', '_sum', '_count']
      : type === 'summary'
        ? ['_sum', '_count']
        : [])
      if (this.#has(group, name + part))
        throw bad(`${name + part} is a metric of its own and a part of the ${type} ${name}`)
    const m = /^(.+)_(bucket|sum|count)$/.exec(name)
    const outer = m ? this.#typeOf(group, m[1]!) : undefined
    if (m && (outer === 'histogram' || (outer === 'summary' && m[2] !== 'bucket')))
      throw bad(`${name} is a metric of its own and a part of the ${outer} ${m[1]}`)
  }

  #typeOf(group: Group, name: string): FamilyType | undefined {
    return group.families.get(name)?.type ?? this.#elsewhere(group, name)?.type
  }
  #has(group: Group, name: string): boolean {
    return group.families.has(name) || this.#elsewhere(group, name) !== undefined
  }
  #elsewhere(group: Group, name: string): Named | undefined {
    const known = this.#named.get(name)
    const own = this.#groups.get(group.key)?.families.has(name) ? 1 : 0
    return known && known.groups > own ? known : undefined
  }

  put(group: Group): void {
    this.remove(group.key)
    this.#groups.set(group.key, group)
    this.#series += seriesCount(group)
    for (const family of group.families.values()) {
      for (const key of seriesKeys(family)) this.#owner.set(key, group.key)
      const named = this.#named.get(family.name)
      if (named) named.groups++
      else this.#named.set(family.name, { type: family.type, groups: 1 })
    }
  }

  remove(key: string): void {
    const old = this.#groups.get(key)
    if (!old) return
    this.#groups.delete(key)
    this.#series -= seriesCount(old)
    for (const family of old.families.values()) {
      for (const series of seriesKeys(family)) this.#owner.delete(series)
      const named = this.#named.get(family.name)
      if (named && --named.groups === 0) this.#named.delete(family.name)
    }
  }
}
