// Inlets: what comes in from short jobs and from others' alerting: webhooks, pushes, StatsD.
import { join } from 'node:path'
import { openJournal } from '../lib/journal.ts'
import { rowLog } from '../lib/row-log.ts'
import type { Batch } from '../model/batch.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { createHooks, type HookReceiver, type HooksDeps } from '../receive/hooks/receiver.ts'
import { createPush, type PushReceiver } from '../receive/push/receiver.ts'
import { createStatsd } from '../receive/statsd/receiver.ts'
import type { StatsdState } from '../receive/statsd/state.ts'
import type { Config } from './config-schema.ts'
import type { Context } from './context.ts'

export interface Inlets extends Service {
  readonly hooks: HookReceiver
  /** Null where it is turned off. */
  readonly push: PushReceiver | null
  apply(config: Config): void
}

export interface InletParts {
  readonly sink: Sink<Batch>
  readonly events: HooksDeps['events']
  readonly alerts: HooksDeps['alerts']
  readonly statsdState: StatsdState
}

export const wireInlets = (context: Context, parts: InletParts): Inlets => {
  const { settings, table, limits, clock, metrics } = context
  const { config } = settings
  const log = context.log.child({ room: 'receive' })
  const { sink, events, alerts, statsdState } = parts
  const from = (protocol: string) => ({ table, sink, limits: { ...limits, protocol }, clock, log, metrics })
  const openRows = (name: string) => async () => {
    const journal = await openJournal({ dir: join(settings.dataDir, name), log })
    return { rows: rowLog(journal), close: () => journal.close() }
  }
  const { pushgateway } = config
  const interval = pushgateway.interval ?? config.global.scrape_interval
  const push = pushgateway.enabled
    ? createPush({ ...from('push'), config: pushgateway, interval, openRows: openRows('push') })
    : null
  const mapping = settings.statsdMapping
  const statsd = config.statsd
    ? createStatsd({ ...from('statsd'), config: config.statsd, mapping, state: statsdState })
    : null
  const hooks = createHooks({
    ...from('hooks'),
    hooks: config.hooks,
    events,
    alerts,
    openRows: openRows('hooks'),
  })
  return {
    hooks,
    push,
    apply: (next) => hooks.apply(next.hooks),
    start: async () => {
      await hooks.start()
      await push?.start()
      await statsd?.start()
    },
    drain: async () => {
      await Promise.all([hooks.drain(), push?.drain(), statsd?.drain()])
    },
  }
}
