// From what was discovered to targets: labels, address and limits, after relabelling.
import { type Duration, formatDuration, parseDuration } from '../../lib/time.ts'
import type { ScrapeJob } from './config.ts'
import { relabel } from './relabel.ts'

/** What one discovery says of one source: a file, a pod, a name. A group of the same source takes the place of the one before. */
export interface TargetGroup {
  readonly source: string
  /** Labels of each target, its address as `__address__`. */
  readonly targets: readonly Readonly<Record<string, string>>[]
  /** Labels of all of them, where a target has not its own. */
  readonly labels: Readonly<Record<string, string>>
}

export interface Target {
  /** Equal keys mean the same target with the same configuration. */
  readonly key: string
  readonly job: ScrapeJob
  readonly discovered: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly url: string
  readonly interval: Duration
  readonly timeout: Duration
}

export interface GroupTargets {
  readonly targets: readonly Target[]
  /** Discovered labels of the targets that relabelling dropped. */
  readonly dropped: readonly Readonly<Record<string, string>>[]
  /** In words, with the target left out. */
  readonly problems: readonly string[]
}

const discover = (
  job: ScrapeJob,
  target: Readonly<Record<string, string>>,
  group: Readonly<Record<string, string>>,
): Record<string, string> => {
  const labels: Record<string, string> = { ...group, ...target }
  const fill = (name: string, value: string): void => {
    if (!labels[name]) labels[name] = value
  }
  fill('job', job.job_name)
  fill('__scrape_interval__', formatDuration(job.scrape_interval))
  fill('__scrape_timeout__', formatDuration(job.scrape_timeout))
  fill('__metrics_path__', job.metrics_path)
  fill('__scheme__', job.scheme)
  for (const [name, values] of Object.entries(job.params))
    if (values[0] !== undefined) fill(`__param_${name}`, values[0])
  for (const [name, value] of Object.entries(labels)) if (value === '') delete labels[name]
  return labels
}

const urlOf = (job: ScrapeJob, labels: ReadonlyMap<string, string>): string => {
  const params = new URLSearchParams()
  const names = new Set(Object.keys(job.params))
  for (const name of labels.keys()) if (name.startsWith('__param_')) names.add(name.slice(8))
  for (const name of names) {
    const first = labels.get(`__param_${name}`)
    if (first !== undefined) params.append(name, first)
    for (const value of job.params[name]?.slice(1) ?? []) params.append(name, value)
  }
  const query = params.toString()
  const base = `${labels.get('__scheme__')}://${labels.get('__address__')}${labels.get('__metrics_path__') ?? ''}`
  return query === '' ? base : `${base}${base.includes('?') ? '&' : '?'}${query}`
}

/** A target from its labels after relabelling; a text says why it is none. */
const targetOf = (
  job: ScrapeJob,
  discovered: Readonly<Record<string, string>>,
  labels: Map<string, string>,
): Target | string => {
  const address = labels.get('__address__')
  if (!address) return 'has no address after relabelling; keep __address__'
  if (/[/\s@?#]/.test(address))
    return `${JSON.stringify(address)} is not an address; write it as host:port, with scheme and metrics_path beside it`
  const url = urlOf(job, labels)
  const interval = parseDuration(labels.get('__scrape_interval__') ?? '')
  const timeout = parseDuration(labels.get('__scrape_timeout__') ?? '')
  if (!URL.canParse(url) || !/^https?:/.test(url)) return `${url} is no URL; check the target's address`
  if (!interval || !timeout || timeout > interval)
    return `${url} has no valid interval and timeout after relabelling; both must be above 0, the timeout no longer than the interval`
  if (!labels.has('instance')) labels.set('instance', address)
  const own = Object.fromEntries([...labels].filter(([name]) => !name.startsWith('__')))
  const key = JSON.stringify([url, Object.entries(own).sort(), interval, timeout, job.key])
  return { key, job, discovered, labels: own, url, interval, timeout }
}

/**
 * The targets of a group. Labels that begin with `__` are gone from a target's own labels; `instance` is the address unless something
 * set it.
 */
export const targetsOf = (job: ScrapeJob, group: TargetGroup): GroupTargets => {
  const targets: Target[] = []
  const dropped: Readonly<Record<string, string>>[] = []
  const problems: string[] = []
  for (const one of group.targets) {
    const discovered = discover(job, one, group.labels)
    const labels = new Map(Object.entries(discovered))
    if (!relabel(labels, job.relabel_configs) || labels.size === 0) {
      dropped.push(discovered)
      continue
    }
    const target = targetOf(job, discovered, labels)
    if (typeof target === 'string')
      problems.push(`target ${one['__address__'] ?? '?'} of ${group.source}: ${target}`)
    else targets.push(target)
  }
  return { targets, dropped, problems }
}
