// From a job's static_configs to targets: labels, address and limits, after relabelling.
import { type Duration, duration, formatDuration, parseDuration } from '../../lib/time.ts'
import type { ScrapeConfig } from './config.ts'
import { relabel } from './relabel.ts'

export interface Target {
  /** Equal keys mean the same target with the same configuration. */
  readonly key: string
  readonly job: ScrapeConfig
  readonly discovered: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly url: string
  readonly interval: Duration
  readonly timeout: Duration
}

export interface ScrapeGlobal {
  readonly scrape_interval: Duration
  readonly scrape_timeout: Duration
}

const discover = (
  job: ScrapeConfig,
  global: ScrapeGlobal,
  address: string,
  own: Readonly<Record<string, string>>,
): Record<string, string> => {
  const interval = job.scrape_interval ?? global.scrape_interval
  const timeout = job.scrape_timeout ?? duration(Math.min(global.scrape_timeout, interval))
  const labels: Record<string, string> = {
    __address__: address,
    __metrics_path__: job.metrics_path,
    __scheme__: job.scheme,
    __scrape_interval__: formatDuration(interval),
    __scrape_timeout__: formatDuration(timeout),
    job: job.job_name,
  }
  for (const [name, values] of Object.entries(job.params)) {
    if (values[0] !== undefined) labels[`__param_${name}`] = values[0]
  }
  return { ...labels, ...own }
}

const urlOf = (job: ScrapeConfig, labels: ReadonlyMap<string, string>): string => {
  const params = new URLSearchParams()
  const names = new Set(Object.keys(job.params))
  for (const name of labels.keys()) if (name.startsWith('__param_')) names.add(name.slice(8))
  for (const name of names) {
    const first = labels.get(`__param_${name}`)
    if (first !== undefined) params.append(name, first)
    for (const value of job.params[name]?.slice(1) ?? []) params.append(name, value)
  }
  const query = params.toString()
  const base = `${labels.get('__scheme__')}://${labels.get('__address__')}${labels.get('__metrics_path__')}`
  return query === '' ? base : `${base}${base.includes('?') ? '&' : '?'}${query}`
}

const configKey = (job: ScrapeConfig): string =>
  JSON.stringify(job, (key, value) => (key === 'static_configs' || key === 'compiled' ? undefined : value))

/**
 * The targets of a job. Labels that begin with `__` are gone from a target's own labels; `instance` is the address unless something set it; a
 * target that relabelling drops or leaves without an address is left out. Problems come as words, with the target left out.
 */
export const targetsOf = (
  job: ScrapeConfig,
  global: ScrapeGlobal,
): { readonly targets: Target[]; readonly problems: string[] } => {
  const targets: Target[] = []
  const problems: string[] = []
  const known = new Set<string>()
  for (const group of job.static_configs) {
    for (const address of group.targets) {
      const discovered = discover(job, global, address, group.labels)
      const labels = new Map(Object.entries(discovered).filter(([, value]) => value !== ''))
      if (!relabel(labels, job.relabel_configs) || !labels.has('__address__')) continue
      const url = urlOf(job, labels)
      const interval = parseDuration(labels.get('__scrape_interval__') ?? '')
      const timeout = parseDuration(labels.get('__scrape_timeout__') ?? '')
      if (!URL.canParse(url)) problems.push(`${job.job_name}: ${url} is no URL; check the target's address`)
      else if (!interval || !timeout || timeout > interval) {
        problems.push(
          `${job.job_name}: ${url} has no valid interval and timeout after relabelling; both must be above 0, the timeout no longer than the interval`,
        )
      } else {
        if (!labels.has('instance')) labels.set('instance', labels.get('__address__')!)
        const own = Object.fromEntries([...labels].filter(([name]) => !name.startsWith('__')))
        const key = JSON.stringify([url, Object.entries(own).sort(), interval, timeout, configKey(job)])
        if (!known.has(key)) targets.push({ key, job, discovered, labels: own, url, interval, timeout })
        known.add(key)
      }
    }
  }
  return { targets, problems }
}
