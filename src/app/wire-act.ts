// Act: what runs, whether the new is better, how many there should be; decisions, and the guard before the world.
import { createActuators } from '../act/actuators.ts'
import { createDecisions, type DecisionDesk } from '../act/decisions.ts'
import { guard } from '../act/guard.ts'
import { createKubernetesActuator } from '../act/kubernetes.ts'
import { kindOf } from '../act/records.ts'
import { createWebhooks } from '../act/webhook.ts'
import { createFleet, type Fleet } from '../fleet/fleet.ts'
import type { Batch } from '../model/batch.ts'
import type { Action, Decision } from '../model/decision.ts'
import type { Actuator } from '../model/ports/actuator.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { type Budgets, createBudgets } from '../money/budget.ts'
import { createRollouts, type Rollouts } from '../rollout/rollout.ts'
import type { Autoscaler } from '../scale/config.ts'
import { createScaler, type Scaler } from '../scale/scale.ts'
import type { Context } from './context.ts'
import { tracedActuator } from './traced.ts'
import type { Kubernetes } from './wire-kubernetes.ts'

export interface Act extends Service {
  readonly fleet: Fleet
  readonly decisions: DecisionDesk
  readonly rollouts: Rollouts
  readonly scaler: Scaler
  readonly budgets: Budgets
}

/** The decision that asked for an action. */
const decisionOf =
  (ledger: Ledger) =>
  (action: Action): Decision | null => {
    for (const id of action.causes) {
      const decision = ledger.get<Decision>(kindOf.decision, id)?.value
      if (decision?.action?.id === action.id) return decision
    }
    return (
      ledger.list<Decision>(kindOf.decision).find((v) => v.value?.action?.id === action.id)?.value ?? null
    )
  }

interface Parts {
  readonly querier: Querier
  readonly sink: Sink<Batch>
  readonly ledger: Ledger
  readonly alerts: AlertSink
  readonly kubernetes: Kubernetes | null
}

/** What a watched cluster says of a workload is how many replicas there are, where nothing else is said. */
const withCurrent = (scaler: Autoscaler, watched: boolean): Autoscaler => {
  const { workload, current } = scaler
  if (current !== undefined || !watched || workload?.namespace === undefined) return scaler
  const { kind, namespace, name } = workload
  const [metric, label] =
    kind === 'Deployment'
      ? ['kube_deployment_spec_replicas', 'deployment']
      : ['kube_statefulset_replicas', 'statefulset']
  return { ...scaler, current: `max(${metric}{namespace="${namespace}", ${label}="${name}"})` }
}

/** Where actions go: webhooks, and the cluster. */
const worldOf = (
  context: Context,
  { ledger, kubernetes }: Pick<Parts, 'ledger' | 'kubernetes'>,
): Actuator => {
  const { clock, metrics, send } = context
  const { actions } = context.settings.config
  const log = context.log.child({ room: 'act' })
  const webhooks = createWebhooks({
    webhooks: actions.webhooks,
    default: actions.default,
    send,
    decisionOf: decisionOf(ledger),
    clock,
    log,
    metrics,
  })
  const cluster = kubernetes
    ? createKubernetesActuator({
        api: kubernetes.api,
        config: actions.kubernetes,
        clock,
        log,
        metrics,
      })
    : null
  const actuators = createActuators({ webhooks, kubernetes: cluster, default: actions.default })
  return context.tracing.wanted ? tracedActuator(context.tracing, actuators) : actuators
}

export const wireAct = (context: Context, { querier, sink, ledger, alerts, kubernetes }: Parts): Act => {
  const { settings, clock, metrics, table } = context
  const { config } = settings
  const log = context.log.child({ room: 'act' })
  const common = { querier, ledger, clock, log, metrics }
  const fleet = createFleet({ ledger, configured: config.deployments, clock })
  const world = worldOf(context, { ledger, kubernetes })
  const actuator = guard(world, { config: config.actions, ledger, clock, log, metrics })
  const decisions = createDecisions({
    ledger,
    table,
    sink,
    actuator,
    expireAfter: config.actions.expire_after,
    clock,
    log,
    metrics,
  })
  const rollouts = createRollouts({ ...common, fleet, decisions })
  const scaler = createScaler({
    ...common,
    config: config.autoscale.map((a) => withCurrent(a, config.kubernetes?.watch === true)),
    decisions,
    declared: (agent) => fleet.replicas(agent),
  })
  const budgets = createBudgets({
    ...common,
    config: config.budgets,
    table,
    sink,
    alerts,
    decisions,
    externalURL: context.externalURL,
  })
  return {
    budgets,
    fleet,
    decisions,
    rollouts,
    scaler,
    start: async () => {
      await decisions.start()
      await rollouts.start()
      await scaler.start()
      await budgets.start()
    },
    drain: async () => {
      await budgets.drain()
      await scaler.drain()
      await rollouts.drain()
      await decisions.drain()
    },
  }
}
