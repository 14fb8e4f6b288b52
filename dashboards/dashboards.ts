// All dashboards that come with Airboss, as Grafana's models.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { airboss } from './airboss.ts'
import { modelOf } from './dashboard.ts'
import { fleet } from './fleet.ts'
import { host } from './host.ts'

/** Title of the folder they lie in. */
export const folder = 'Airboss'

export interface Provisioned {
  readonly uid: string
  readonly folder: string
  readonly title: string
  readonly model: Dashboard
}

/** Made anew at each call; the same each time. */
export const dashboards = (): Provisioned[] =>
  [host, fleet, airboss].map((board) => ({
    uid: board.uid,
    folder,
    title: board.title,
    model: modelOf(board),
  }))
