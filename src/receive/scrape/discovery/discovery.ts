// Runs the discoveries that jobs ask for, each once however many jobs share it, and keeps what they found.
import { messageOf } from '../../../lib/errors.ts'
import type { Logger } from '../../../lib/log.ts'
import type { Metrics } from '../../../model/ports/metrics.ts'
import type { ClientDeps } from '../client.ts'
import { fingerprint, type ScrapeJob } from '../config.ts'
import type { TargetGroup } from '../target.ts'
import type { Discoverer, DiscoveryReport } from './discoverer.ts'
import { createDnsDiscovery } from './dns.ts'
import type { DnsLookup } from './dns-lookup.ts'
import { createFileDiscovery } from './file.ts'
import { createHttpDiscovery } from './http.ts'
import { createKubernetesDiscovery } from './kubernetes.ts'

export interface DiscoveryDeps extends ClientDeps {
  readonly lookup: DnsLookup
  /** Where a pod finds its token, certificate and namespace. */
  readonly serviceAccount: string
  readonly log: Logger
  readonly metrics: Metrics
  /** Called when targets of these jobs may have changed. */
  readonly changed: (jobs: readonly string[]) => void
}

type Mechanism = 'file' | 'http' | 'dns' | 'kubernetes'

interface Wanted {
  readonly key: string
  readonly mechanism: Mechanism
  readonly make: (report: DiscoveryReport) => Discoverer
}

interface Running {
  readonly mechanism: Mechanism
  readonly groups: Map<string, TargetGroup>
  readonly stop: AbortController
  jobs: string[]
}

export interface Discovery {
  /** Starts what these jobs need and does not run yet, ends what no job needs. Resolves when what is near (files) was read once. */
  apply(jobs: readonly ScrapeJob[]): Promise<void>
  /** What is known for a job now; the same group object as long as the source says the same. */
  groups(job: ScrapeJob): TargetGroup[]
  stop(): void
}

/** Counts failures by mechanism, and says a source's trouble when it begins and when it ends. */
const createReports = ({ metrics, log }: DiscoveryDeps) => {
  const failures = metrics.counter(
    'airboss_sd_failures_total',
    'Looks for scrape targets that failed; what was known before stays.',
    ['mechanism'],
  )
  const failing = metrics.gauge(
    'airboss_sd_failing_sources',
    'Discovery files, URLs, names and APIs that cannot be read now.',
    ['mechanism'],
  )
  const broken = new Map<Mechanism, Map<string, string>>()
  const of = (mechanism: Mechanism): Map<string, string> => {
    const known = broken.get(mechanism)
    if (known) return known
    const made = new Map<string, string>()
    broken.set(mechanism, made)
    failures.add(0, { mechanism })
    return made
  }
  const count = (mechanism: Mechanism): void => failing.set(of(mechanism).size, { mechanism })
  return {
    /** `key` tells apart what looks at one source. */
    of: (mechanism: Mechanism, key: string): DiscoveryReport => {
      count(mechanism)
      return {
        failed: (source, error) => {
          const why = messageOf(error)
          const id = `${key}\n${source}`
          failures.add(1, { mechanism })
          if (of(mechanism).get(id) !== why)
            log.warn({ mechanism, source, why }, 'discovery of scrape targets failed; the old targets stay')
          of(mechanism).set(id, why)
          count(mechanism)
        },
        worked: (source) => {
          if (!of(mechanism).delete(`${key}\n${source}`)) return
          log.info({ mechanism, source }, 'discovery of scrape targets works again')
          count(mechanism)
        },
      }
    },
    forget: (mechanism: Mechanism, key: string): void => {
      for (const id of of(mechanism).keys()) if (id.startsWith(`${key}\n`)) of(mechanism).delete(id)
      count(mechanism)
    },
  }
}

const wantedBy = (job: ScrapeJob, deps: DiscoveryDeps): Wanted[] => {
  const wanted: Wanted[] = []
  const want = <C>(
    mechanism: Mechanism,
    configs: readonly C[],
    make: (config: C, report: DiscoveryReport) => Discoverer,
  ): void => {
    for (const config of configs)
      wanted.push({
        key: `${mechanism} ${fingerprint(config)}`,
        mechanism,
        make: (report) => make(config, report),
      })
  }
  want('file', job.file_sd_configs, (c, report) => createFileDiscovery(c, { ...deps, report }))
  want('http', job.http_sd_configs, (c, report) => createHttpDiscovery(c, { ...deps, report }))
  want('dns', job.dns_sd_configs, (c, report) => createDnsDiscovery(c, { ...deps, report }))
  want('kubernetes', job.kubernetes_sd_configs, (c, report) =>
    createKubernetesDiscovery(c, { ...deps, report }),
  )
  return wanted
}

const staticGroups = (job: ScrapeJob): TargetGroup[] =>
  job.static_configs.map(({ targets, labels }, i) => ({
    source: `static_configs[${i}]`,
    targets: targets.map((address) => ({ __address__: address })),
    labels,
  }))

const update = (run: Running, groups: readonly TargetGroup[], changed: DiscoveryDeps['changed']): void => {
  if (run.stop.signal.aborted) return
  let different = false
  for (const group of groups) {
    if (group.targets.length > 0) run.groups.set(group.source, group)
    else if (!run.groups.delete(group.source)) continue
    different = true
  }
  if (different) changed(run.jobs)
}

export const createDiscovery = (deps: DiscoveryDeps): Discovery => {
  const running = new Map<string, Running>()
  const reports = createReports(deps)
  const keys = new Map<string, { fixed: TargetGroup[]; keys: string[] }>()

  const begin = ({ key, mechanism, make }: Wanted): Promise<void> => {
    const run: Running = { mechanism, groups: new Map(), stop: new AbortController(), jobs: [] }
    running.set(key, run)
    const report = reports.of(mechanism, key)
    return make(report)
      .start((groups) => update(run, groups, deps.changed), run.stop.signal)
      .catch((error: unknown) => report.failed(mechanism, error))
  }

  return {
    apply: async (jobs) => {
      const wanted = new Map<string, Wanted & { jobs: string[] }>()
      keys.clear()
      for (const job of jobs) {
        const own = wantedBy(job, deps)
        keys.set(job.job_name, { fixed: staticGroups(job), keys: own.map((w) => w.key) })
        for (const w of own) {
          const known = wanted.get(w.key)
          if (known) known.jobs.push(job.job_name)
          else wanted.set(w.key, { ...w, jobs: [job.job_name] })
        }
      }
      for (const [key, run] of running) {
        if (wanted.has(key)) continue
        run.stop.abort(new Error('no job asks for this discovery any more'))
        running.delete(key)
        reports.forget(run.mechanism, key)
      }
      const near: Promise<void>[] = []
      for (const [key, w] of wanted) {
        const first = running.has(key) ? null : begin(w)
        running.get(key)!.jobs = w.jobs
        if (first && w.mechanism === 'file') near.push(first)
      }
      await Promise.all(near)
    },
    groups: (job) => {
      const own = keys.get(job.job_name)
      if (!own) return []
      return [...own.fixed, ...own.keys.flatMap((key) => [...(running.get(key)?.groups.values() ?? [])])]
    },
    stop: () => {
      for (const run of running.values()) run.stop.abort(new Error('scraping stops'))
      running.clear()
    },
  }
}
