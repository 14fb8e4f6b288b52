// http_sd_configs: targets from a URL that answers Prometheus's JSON.
import { AppError } from '../../../lib/errors.ts'
import { shownURL } from '../../../lib/shown-url.ts'
import { duration } from '../../../lib/time.ts'
import { type ClientDeps, createClient } from '../client.ts'
import type { HttpSdConfig } from '../discovery-config.ts'
import { type Discoverer, noTargets, type RefreshDeps, refreshing } from './discoverer.ts'
import { groupsOf } from './file.ts'

const longest = 32 << 20

/** A URL that fails, or answers what is no list of targets, keeps its old targets. */
export const createHttpDiscovery = (config: HttpSdConfig, deps: RefreshDeps & ClientDeps): Discoverer => {
  const { clock, report } = deps
  const { refresh_interval: interval } = config
  // A password in it goes to the server alone.
  const url = shownURL(config.url)
  return {
    start: async (update, signal) => {
      const client = createClient(config, deps)
      signal.addEventListener('abort', () => void client.close().catch(() => undefined), { once: true })
      let known = 0
      const look = async (): Promise<void> => {
        const answer = await client.send({
          url: config.url,
          headers: {
            accept: 'application/json',
            'x-prometheus-refresh-interval-seconds': String(interval / 1000),
          },
          signal: clock.timeout(duration(Math.min(interval, 60_000)), signal),
          maxBytes: longest,
        })
        if (answer.status !== 200)
          throw new AppError('unavailable', `${url} answered ${answer.status}, not 200`)
        const type = answer.headers['content-type'] ?? ''
        if (!/^application\/json\s*(;|$)/i.test(type.trim()))
          throw new AppError(
            'unsupported_media',
            `${url} answered ${type || 'no content type'}, not application/json`,
          )
        const groups = groupsOf(answer.body.toString('utf8'), url, { __meta_url: url })
        const gone = Array.from({ length: Math.max(known - groups.length, 0) }, (_, i) =>
          noTargets(`${url}:${groups.length + i}`),
        )
        known = groups.length
        update([...groups, ...gone])
      }
      await refreshing(clock, interval, signal, () =>
        look().then(
          () => report.worked(url),
          (error: unknown) => {
            if (!signal.aborted) report.failed(url, error)
          },
        ),
      )
    },
  }
}
