// How many alerts, groups and silences there are, as metrics.
import type { ShownAlert, Silence } from '../model/ports/alert-manager.ts'
import type { Metrics } from '../model/ports/metrics.ts'

interface Counted {
  /** Held, those that are over and still to be told among them. */
  readonly held: number
  readonly groups: number
  readonly shown: readonly ShownAlert[]
  readonly silences: readonly Silence[]
}

const alertStates = ['active', 'suppressed'] as const
const silenceStates = ['active', 'pending', 'expired'] as const

export const createAlertGauges = (metrics: Metrics): ((now: Counted) => void) => {
  const held = metrics.gauge('airboss_alerts', 'Alerts held')
  const groups = metrics.gauge('airboss_alert_groups', 'Alert groups')
  const firing = metrics.gauge(
    'airboss_alerts_firing',
    'Alerts that fire, by whether a silence, an inhibition or a mute time holds them back',
    ['state'],
  )
  const silences = metrics.gauge('airboss_silences', 'Silences by state', ['state'])
  return (now) => {
    held.set(now.held)
    groups.set(now.groups)
    for (const state of alertStates)
      firing.set(now.shown.filter((a) => a.status.state === state).length, { state })
    for (const state of silenceStates)
      silences.set(now.silences.filter((s) => s.state === state).length, { state })
  }
}
