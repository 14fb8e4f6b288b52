// What every receiver counts about itself, under one set of names.
import type { Rejection } from '../model/batch-builder.ts'
import type { Metrics } from '../model/ports/metrics.ts'

export interface ReceiveMetrics {
  samples(n: number): void
  rejections(list: readonly Rejection[]): void
  /** Something well-formed that is not kept, by what it is. */
  dropped(what: string, n: number): void
  answered(status: number): void
}

export const receiveMetrics = (metrics: Metrics, protocol: string): ReceiveMetrics => {
  const samples = metrics.counter('airboss_receive_samples_total', 'Samples accepted and safe on disk.', [
    'protocol',
  ])
  const refused = metrics.counter('airboss_receive_refused_total', 'Samples or points refused, by reason.', [
    'protocol',
    'reason',
  ])
  const dropped = metrics.counter(
    'airboss_receive_dropped_total',
    'Parts of requests that are not kept yet.',
    ['protocol', 'what'],
  )
  const requests = metrics.counter('airboss_receive_requests_total', 'Requests answered, by status.', [
    'protocol',
    'code',
  ])
  return {
    samples: (n) => samples.add(n, { protocol }),
    rejections: (list) => {
      for (const { reason, count } of list) refused.add(count, { protocol, reason })
    },
    dropped: (what, n) => dropped.add(n, { protocol, what }),
    answered: (status) => requests.add(1, { protocol, code: String(status) }),
  }
}
