// Takes costs that others know: rows into the batch, which the pricer behind the sink turns into counters.

import type { Clock } from '../../lib/clock.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { type Duration, second } from '../../lib/time.ts'
import type { AdmissionLimits } from '../../model/batch-builder.ts'
import type { HttpHandler } from '../../model/ports/http-handler.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Sink } from '../../model/ports/sink.ts'
import { checkPost, errorAnswer, itemAnswer } from '../item-answer.ts'
import { decodeCosts, defaultCostLimits, type PriceUsage } from './decode.ts'

export interface CostsDeps {
  /** A sink that counts `batch.costs` once by id. */
  readonly sink: Sink
  readonly limits: AdmissionLimits
  readonly price: PriceUsage
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

const pushTime = (10 * second) as Duration

/** `POST /api/ops/v1/costs`. `accepted` counts items taken, among them any whose id had been seen before: those change nothing. */
export const createCosts = (deps: CostsDeps): HttpHandler => {
  const { sink, limits, price, clock, log, metrics } = deps
  const taken = metrics.counter('airboss_costs_received_total', 'Costs taken over the API.')
  const refused = metrics.counter('airboss_costs_refused_total', 'Costs not taken over the API.')
  return {
    maxBytes: 8 << 20,
    handle: async (request, signal) => {
      try {
        checkPost(request.method, request.headers['content-type'])
        const bounds = { ...defaultCostLimits, maxAhead: limits.maxAhead }
        const { costs, problems } = decodeCosts(request.body, clock.now(), bounds, price)
        if (costs.length > 0) {
          await sink.push(
            {
              ref: new Uint32Array(0),
              at: new Float64Array(0),
              value: new Float64Array(0),
              metadata: [],
              events: [],
              costs,
            },
            clock.timeout(pushTime, signal),
          )
        }
        taken.add(costs.length)
        if (problems.length > 0) refused.add(problems.length)
        return itemAnswer(costs.length, 0, problems)
      } catch (error) {
        const answer = errorAnswer(error)
        if (answer.status >= 500) log.warn({ why: messageOf(error) }, 'costs not taken')
        return answer
      }
    },
  }
}
