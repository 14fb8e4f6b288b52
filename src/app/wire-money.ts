// Money: what was spent is told, and machines are charged to the agents that use them.
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import { createInfrastructure } from '../money/infrastructure.ts'
import type { PricerService } from '../money/pricer.ts'
import { createCostReports } from '../money/report.ts'
import type { Context } from './context.ts'
import type { Keep } from './wire-keep.ts'

interface Parts {
  readonly keep: Keep
  readonly querier: Querier
  readonly pricer: PricerService
}

/** The service is to be started once queries are answered. */
export const wireMoney = (
  context: Context,
  { keep, querier, pricer }: Parts,
): { readonly costs: CostReports; readonly machines: Service } => {
  const { settings, clock, metrics } = context
  const { name, costs, prices } = settings.config
  const log = context.log.child({ room: 'money' })
  return {
    costs: createCostReports({
      reader: keep.store.money,
      querier,
      unpriced: () => pricer.unpriced(),
      account: { id: costs.billing_account_id ?? name, name: costs.billing_account_name ?? name },
      clock,
    }),
    machines: createInfrastructure({
      config: prices.infrastructure,
      querier,
      sink: pricer,
      clock,
      log,
      metrics,
    }),
  }
}
