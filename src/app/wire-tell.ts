// Tell: rules make alerts, alerts make notifications, notifications find people.
import { join } from 'node:path'
import { type Alerts, createAlerts } from '../alerts/alerts.ts'
import { createOutsideSeries, type OutsideSeries } from '../alerts/outside-series.ts'
import { openJournal } from '../lib/journal.ts'
import { rowLog } from '../lib/row-log.ts'
import { duration } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { Integration, ReceiverConfig } from '../model/ports/channel.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Pager } from '../model/ports/pager.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { type Channels, createChannels, type PagerTarget } from '../notify/channels.ts'
import { ackKeyFile, createAckSigner } from '../oncall/ack-link.ts'
import { emptyOncallConfig, type OncallConfig, type User } from '../oncall/config.ts'
import { createOncall, type Oncall } from '../oncall/oncall.ts'
import { createRules, type Rules } from '../rules/rules.ts'
import type { Settings } from './config.ts'
import type { Context } from './context.ts'
import { type AlertTraces, traceAlerts, tracedSend } from './traced.ts'

export interface Tell extends Service {
  readonly rules: Rules
  readonly alerts: Alerts
  /** Where rules and budgets push what fires. */
  readonly alertSink: AlertSink
  readonly oncall: Oncall
  /** Takes a new configuration whole, or throws and leaves the old one running. */
  apply(settings: Settings): Promise<void>
  /** Throws what `apply` would. */
  check(settings: Settings): void
}

const untraced: AlertTraces = {
  alertSink: (sink) => sink,
  notifier: (_name, notifier) => notifier,
  pager: (_user, pager) => pager,
}

const makeOncall = async (
  context: Context,
  config: OncallConfig,
  pagers: (user: User) => Pager[],
): Promise<Oncall> => {
  const { settings, clock, log, metrics } = context
  const dir = settings.dataDir
  const key = config.ackSecret
    ? Buffer.from(config.ackSecret.reveal())
    : ackKeyFile(join(dir, 'oncall', 'ack.key'))
  const journal = await openJournal({
    dir: join(dir, 'oncall', 'journal'),
    log: log.child({ room: 'oncall' }),
  })
  return createOncall({
    config,
    pagersFor: pagers,
    rows: rowLog(journal),
    clock,
    log: log.child({ room: 'oncall' }),
    metrics,
    signer: createAckSigner(key),
    publicURL: context.externalURL,
  })
}

const pagersFor = (channels: () => Channels, traces: AlertTraces) => (user: User) =>
  user.notify.map((target, i) => traces.pager(user.id, channels().pager(user.name, i, target as PagerTarget)))

/** The channels behind one receiver, on-call among them. */
const integrationsOf =
  (channels: () => Channels, oncall: Oncall, traces: AlertTraces) =>
  (receiver: ReceiverConfig): readonly Integration[] =>
    receiver.entries.map((entry) => {
      const name = `${entry.kind}[${entry.index}]`
      const notifier =
        entry.kind === 'oncall'
          ? oncall.notifier((entry.config as { policy: string }).policy)
          : channels().notifier(receiver.name, entry)
      return { name, sendResolved: entry.sendResolved, notifier: traces.notifier(name, notifier) }
    })

interface Parts {
  readonly querier: Querier
  readonly sink: Sink<Batch>
  readonly ledger: Ledger
}

const makeRules = (context: Context, { querier, sink }: Parts, alerts: AlertSink): Rules => {
  const { settings, clock, log, metrics, table, tracing } = context
  const { config } = settings
  return createRules({
    querier,
    sink,
    table,
    alerts,
    tracer: tracing,
    clock,
    log: log.child({ room: 'rules' }),
    metrics,
    externalLabels: config.global.external_labels,
    externalURL: context.externalURL,
    evaluationInterval: config.global.evaluation_interval,
    queryOffset: config.global.rule_query_offset,
    queryTimeout: config.query.timeout,
    stateFile: join(settings.dataDir, 'rules', 'state.json'),
  })
}

const makeAlerts = async (
  context: Context,
  { ledger, sink }: Parts,
  integrations: ReturnType<typeof integrationsOf>,
) => {
  const { settings, clock, metrics } = context
  const log = context.log.child({ room: 'alerts' })
  const journal = await openJournal({ dir: join(settings.dataDir, 'alerts'), log })
  let series: OutsideSeries | null = null
  const alerts = createAlerts({
    outsideChanged: async () => series?.write(),
    config: settings.alerts,
    notifiers: integrations,
    ledger,
    rows: rowLog(journal),
    clock,
    log,
    metrics,
    externalURL: context.externalURL,
  })
  series = createOutsideSeries({
    alerts: () => alerts.outside(),
    ...{ table: context.table, sink, limits: { ...context.limits, protocol: 'alerts' }, clock, log, metrics },
    interval: duration(Math.min(settings.config.global.evaluation_interval, 15_000)),
  })
  return { alerts, journal, series }
}

export const wireTell = async (context: Context, parts: Parts): Promise<Tell> => {
  const { settings, clock, metrics, tracing } = context
  const log = context.log.child({ room: 'notify' })
  const traces = tracing.wanted ? traceAlerts(tracing, clock) : untraced
  const send = tracing.wanted ? tracedSend(tracing, context.send) : context.send
  const make = (from: Settings): Channels =>
    createChannels({ globals: from.alerts.globals, send, clock, log, metrics })
  let channels = make(settings)
  let current = settings
  const pagers = pagersFor(() => channels, traces)
  const oncall = await makeOncall(context, settings.config.oncall ?? emptyOncallConfig, pagers)
  const { alerts, journal, series } = await makeAlerts(
    context,
    parts,
    integrationsOf(() => channels, oncall, traces),
  )
  const alertSink = traces.alertSink(alerts)
  const rules = makeRules(context, parts, alertSink)
  return {
    rules,
    alerts,
    alertSink,
    oncall,
    check: (next) => {
      rules.check(next.rules)
      make(next)
    },
    apply: async (next) => {
      const before = { channels, settings: current }
      channels = make(next)
      try {
        oncall.apply(next.config.oncall ?? emptyOncallConfig, pagers)
        await alerts.apply(next.alerts)
        await rules.apply(next.rules)
        current = next
      } catch (error) {
        channels = before.channels
        oncall.apply(before.settings.config.oncall ?? emptyOncallConfig, pagers)
        await alerts.apply(before.settings.alerts)
        throw error
      }
    },
    start: async () => {
      await oncall.start()
      await alerts.start()
      await series.start()
      await rules.apply(settings.rules)
      await rules.start()
    },
    drain: async () => {
      await rules.drain()
      await series.drain()
      await alerts.drain()
      await oncall.drain()
      await journal.close()
    },
  }
}
