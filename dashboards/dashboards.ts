// All dashboards that come with Airboss, as Grafana's models.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { agents } from './agents.ts'
import { airboss } from './airboss.ts'
import { alerting } from './alerting.ts'
import { collectors } from './collectors.ts'
import { containers } from './containers.ts'
import { cost } from './cost.ts'
import { type ModelOptions, modelOf } from './dashboard.ts'
import { fleet } from './fleet.ts'
import { host } from './host.ts'
import { slo } from './slo.ts'

/** Title of the folder they lie in. */
export const folder = 'Airboss'

export interface Provisioned {
  readonly uid: string
  readonly folder: string
  readonly title: string
  readonly model: Dashboard
}

/** Made anew at each call; the same each time. */
export const dashboards = (options: ModelOptions = { console: 'http://127.0.0.1:9900' }): Provisioned[] =>
  [host, fleet, agents, cost, alerting, slo, collectors, containers, airboss].map((board) => ({
    uid: board.uid,
    folder,
    title: board.title,
    model: modelOf(board, options),
  }))
