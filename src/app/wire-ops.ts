// Hands the rooms to the operations API through its own doors.
import { type ActionRecord, type Approval, kindOf } from '../act/records.ts'
import type { DecisionsDoor, OpsDoors, Status } from '../api/ops/doors.ts'
import { createOpsApi } from '../api/ops/ops-api.ts'
import type { OpsApp } from '../api/ops/wire.ts'
import type { OpenLedger } from '../ledger/ledger.ts'
import { duration } from '../lib/time.ts'
import type { Decision } from '../model/decision.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { Context } from './context.ts'
import { version } from './package-root.ts'
import type { Reload } from './reload.ts'
import type { Access } from './wire-access.ts'
import type { Act } from './wire-act.ts'
import type { Keep } from './wire-keep.ts'
import type { Receive } from './wire-receive.ts'

interface Parts {
  readonly keep: Keep
  readonly ledger: OpenLedger
  readonly act: Act
  readonly receive: Pick<Receive, 'kubernetes'>
  readonly access: Access
  readonly reload: Reload
  readonly costs: CostReports
}

const decisionsDoor = (context: Context, { act, ledger }: Parts): DecisionsDoor => {
  const { decisions } = act
  const record = (id: string): ActionRecord | null =>
    ledger.get<ActionRecord>(kindOf.action, id)?.value ?? null
  return {
    list: (limit) => decisions.list(limit),
    get: (id) => {
      const decision = ledger.get<Decision>(kindOf.decision, id)?.value
      if (!decision) return null
      const action = decision.action?.id
      return {
        decision,
        action: action === undefined ? null : record(action),
        approval:
          action === undefined ? null : (ledger.get<Approval>(kindOf.approval, action)?.value ?? null),
      }
    },
    action: record,
    held: () =>
      ledger
        .list<ActionRecord>(kindOf.action)
        .flatMap(({ value }) => (value?.state === 'held' ? [value] : [])),
    mode: () => context.settings.config.actions.mode,
    stopped: () => decisions.stopped(),
    approve: (id, by, why) => decisions.approve(id, by, why),
    stop: (by, why) => decisions.stop(by, why),
    resume: (by, why) => decisions.resume(by, why),
  }
}

const statusOf =
  ({ clock, settings, startedAt }: Context, { keep, reload }: Parts) =>
  (): Status => {
    const { storage } = settings.config
    const why = keep.storeError()
    const log = keep.log().stats()
    const { series, samples, bytes } = keep.head.stats()
    return {
      version,
      startedAt,
      uptime: duration(clock.now() - startedAt),
      store: { up: why === '', why, engine_pid: keep.engine?.pid() ?? null },
      log: {
        bytes: log.bytes,
        max_bytes: storage.log.max_size,
        pending_rows: log.pendingRows,
        pending_ranges: log.pendingRanges,
      },
      head: { series, samples, bytes, max_series: storage.max_series },
      newestAt: keep.newestAt(),
      reload: { ...reload.state(), file: reload.current().file },
    }
  }

export const wireOps = (context: Context, parts: Parts): OpsApp => {
  const { act, ledger, access, reload, receive } = parts
  const doors: OpsDoors = {
    clock: context.clock,
    traces: parts.keep.store.traces,
    authorizer: access.authorizer,
    fleet: act.fleet,
    pods: receive.kubernetes,
    rollouts: act.rollouts,
    autoscalers: () => act.scaler.list(),
    budgets: () => act.budgets.list(),
    decisions: decisionsDoor(context, parts),
    ledger,
    costs: parts.costs,
    now: () => context.clock.now(),
    status: statusOf(context, parts),
    cardinality: (most) => context.cardinality.view(most),
    reload: async (by, why) => {
      await reload.now()
      const { file, written } = reload.current()
      await ledger.put('configuration', 'reload', { file, sections: Object.keys(written) }, { by, why })
    },
    version,
  }
  return createOpsApi({ ...doors, log: context.log.child({ room: 'api' }) })
}
