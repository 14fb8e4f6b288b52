// Which actuator an action goes to: the cluster, or a webhook.
import type { Action } from '../model/decision.ts'
import type { Actuator } from '../model/ports/actuator.ts'
import { kubernetesName } from './config.ts'

interface ActuatorsDeps {
  readonly webhooks: Actuator
  /** Null where no cluster is configured. */
  readonly kubernetes: Actuator | null
  /** For actions that name none. */
  readonly default: string
}

const notThere: Actuator = {
  act: async () => ({
    outcome: 'failed',
    why: 'it is for Kubernetes, and no cluster is configured; add kubernetes: {} for the one Airboss runs in, or name another',
    retryable: false,
  }),
}

export const createActuators = ({ webhooks, kubernetes, default: otherwise }: ActuatorsDeps): Actuator => {
  const of = (action: Action): Actuator =>
    (action.actuator || otherwise) === kubernetesName ? (kubernetes ?? notThere) : webhooks
  return {
    act: (action, by, signal) => of(action).act(action, by, signal),
    rehearse: async (action, by, signal) => (await of(action).rehearse?.(action, by, signal)) ?? '',
  }
}
