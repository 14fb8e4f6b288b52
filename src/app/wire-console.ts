// The console's doors: what the rooms know, in the shapes that pages show.

import { join } from 'node:path'
import type { DecisionEntry } from '../act/records.ts'
import type { ConsoleDoors } from '../console/doors.ts'
import { recentCosts } from '../console/recent-costs.ts'
import type { OpenLedger } from '../ledger/ledger.ts'
import type { Actor } from '../model/actor.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { DecisionView, FleetView, KeepView, RolloutView } from '../model/views.ts'
import type { Context } from './context.ts'
import { version } from './package-root.ts'
import type { Act } from './wire-act.ts'
import type { Keep } from './wire-keep.ts'
import type { Receive } from './wire-receive.ts'
import type { Tell } from './wire-tell.ts'

export interface ConsoleParts {
  readonly keep: Keep
  readonly ledger: OpenLedger
  readonly querier: Querier
  readonly tell: Tell
  readonly act: Act
  readonly receive: Receive
  readonly costs: CostReports
}

const decisionView = ({ decision, action, approval }: DecisionEntry): DecisionView => ({
  decision,
  status: decision.action === null ? 'none' : (action?.state ?? 'asked'),
  detail: action?.detail ?? '',
  // What is held for its own ancestors' sake no person can let go.
  approvable: action?.state === 'held' && action.hold !== 'loop' && approval === null,
  approval,
})

const fleetView = ({ fleet }: Act): readonly FleetView[] => {
  const unmet = fleet.compatibility()
  return fleet.list().map(({ deployment, at }) => ({
    deployment,
    declaredAt: at,
    problems: unmet
      .filter((u) => u.agent === deployment.agent && u.version === deployment.version)
      .map((u) => u.why),
  }))
}

const rolloutView = (r: ReturnType<Act['rollouts']['list']>[number]): RolloutView => ({
  agent: r.agent,
  version: r.version,
  baseline: r.baseline,
  phase: r.progress.phase,
  startedAt: r.progress.startedAt,
  outcome: r.judgement?.outcome ?? '',
  reason: r.judgement?.reason ?? '',
  lookedAt: r.judgedAt,
  dueAt: r.dueAt,
})

const keepView = (context: Context, keep: Keep): KeepView => {
  const log = keep.log().stats()
  const head = keep.head.stats()
  const { storage } = context.settings.config
  return {
    logBytes: log.bytes,
    logMaxBytes: storage.log.max_size,
    pendingRows: log.pendingRows,
    headSeries: head.series,
    headSamples: head.samples,
    headBytes: head.bytes,
    series: context.table.size,
    seriesLimit: storage.max_series,
    storeError: keep.storeError(),
  }
}

export const wireConsole = (
  context: Context,
  { keep, ledger, querier, tell, act, receive, costs }: ConsoleParts,
  actorOf: (request: Request) => Actor,
): ConsoleDoors => {
  const { config, dataDir } = context.settings
  const { decisions } = act
  return {
    clock: context.clock,
    log: context.log.child({ room: 'console' }),
    version,
    name: config.name,
    cacheDir: join(dataDir, 'cache'),
    actorOf,
    querier,
    index: keep.head,
    metadata: (metric) => context.metadata.get(metric),
    newestAt: () => keep.newestAt(),
    ruleGroups: () => tell.rules.groups(),
    alerts: tell.alerts,
    oncall: tell.oncall,
    decisions: (most) => decisions.list(most).map(decisionView),
    approve: (action, by, why) => decisions.approve(action, by, why),
    actions: () => ({ mode: config.actions.mode, stopped: decisions.stopped() }),
    stopActions: (by, why) => decisions.stop(by, why),
    resumeActions: (by, why) => decisions.resume(by, why),
    fleet: () => fleetView(act),
    rollouts: () => act.rollouts.list().map(rolloutView),
    scalers: () => act.scaler.list(),
    budgets: () => act.budgets.list().map((b) => ({ ...b, period: b.period.label })),
    costs: recentCosts(costs, context.clock),
    targets: () => receive.scraper.targets(),
    keep: () => keepView(context, keep),
    cardinality: (most) => context.cardinality.view(most),
    traces: keep.store.traces,
    exemplars: keep.exemplars,
    history: (most) => ledger.history({ limit: most }),
  }
}
