// What `airboss check` looks at beyond the schemas: rules against the query language, templates, receivers.

import { systemClock } from '../lib/clock.ts'
import { createHttp } from '../lib/http.ts'
import { silentLogger } from '../lib/log.ts'
import { duration } from '../lib/time.ts'
import { SeriesTable } from '../model/series.ts'
import { createChannels } from '../notify/channels.ts'
import { createQuerier } from '../query/querier.ts'
import { createRules } from '../rules/rules.ts'
import type { Settings } from './config.ts'
import { createOwnMetrics } from './own-metrics.ts'

/** Throws `bad_data` with every problem; else what was found good, a line each. */
export const checkAll = (settings: Settings): string[] => {
  const { config, alerts, rules } = settings
  const clock = systemClock
  const log = silentLogger()
  const metrics = createOwnMetrics()
  const querier = createQuerier({
    reader: { read: async function* () {} },
    clock,
    limits: { timeout: config.query.timeout, series: 1, samples: 1, concurrency: 1 },
    lookback: config.query.lookback_delta,
    metrics,
    log,
  })
  createChannels({ globals: alerts.globals, send: createHttp().send, clock, log, metrics })
  const checker = createRules({
    querier,
    sink: { push: async () => {} },
    table: new SeriesTable(1),
    alerts: { push: async () => {} },
    clock,
    log,
    metrics,
    externalLabels: config.global.external_labels,
    externalURL: () => '',
    evaluationInterval: config.global.evaluation_interval,
    queryOffset: duration(0),
    stateFile: null,
  })
  checker.check(rules)
  for (const a of config.autoscale) for (const m of a.metrics) querier.check(m.query)
  return [
    `${settings.file || 'built-in defaults'}: good`,
    `${rules.length} rule files: good`,
    `${alerts.receivers.length} receivers, ${config.scrape_configs.length} scrape jobs, ${config.deployments.length} deployments, ${config.autoscale.length} autoscalers: good`,
  ]
}
