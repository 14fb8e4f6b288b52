// Money: what passes is priced, what agents cost in all is followed, and both are told.
import type { Batch } from '../model/batch.ts'
import type { NewSpans } from '../model/new-spans.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { MoneyReader } from '../model/ports/money-reader.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { createInclusive } from '../money/inclusive.ts'
import { createInfrastructure } from '../money/infrastructure.ts'
import { createPricer } from '../money/pricer.ts'
import { createPrices, type Prices } from '../money/prices.ts'
import { createCostReports } from '../money/report.ts'
import type { Context } from './context.ts'

export interface Money extends Service {
  readonly prices: Prices
  /** Before the log: what goes in here is priced. */
  readonly sink: Sink<Batch>
  readonly producers: readonly Producer[]
  reports(reader: MoneyReader, querier: Querier): CostReports
  /** What machines cost, charged to agents; to be started once queries are answered. */
  infrastructure(querier: Querier): Service
}

export const wireMoney = (context: Context, newSpans: NewSpans, kept: Sink<Batch>): Money => {
  const { settings, table, limits, clock, metrics } = context
  const { config } = settings
  const log = context.log.child({ room: 'money' })
  const common = { sink: kept, table, clock, metrics, log }
  const prices = createPrices(config.prices, settings.priceMaps)
  const pricer = createPricer({ ...common, prices, limits })
  const inclusive = createInclusive({ ...common, fresh: (batch) => newSpans.of(batch) })
  return {
    prices,
    sink: pricer,
    producers: [pricer, inclusive],
    reports: (reader, querier) =>
      createCostReports({
        reader,
        querier,
        unpriced: () => pricer.unpriced(),
        account: {
          id: config.costs.billing_account_id ?? config.name,
          name: config.costs.billing_account_name ?? config.name,
        },
        clock,
      }),
    infrastructure: (querier) =>
      createInfrastructure({ ...common, sink: pricer, config: config.prices.infrastructure, querier }),
    start: async () => {
      await pricer.start()
      await inclusive.start()
    },
    drain: async () => {
      await inclusive.drain()
      await pricer.drain()
    },
  }
}
