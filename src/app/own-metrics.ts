// Airboss's own metrics: prom-client behind the Metrics door, with the process's own figures.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Metrics } from '../model/ports/metrics.ts'

export interface OwnMetrics extends Metrics {
  /** The text exposition. */
  text(): Promise<string>
  readonly contentType: string
}

export const createOwnMetrics = (): OwnMetrics => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const made = new Map<string, unknown>()
  const once = <T>(name: string, make: () => T): T => {
    const known = made.get(name)
    if (known) return known as T
    const metric = make()
    made.set(name, metric)
    return metric
  }
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    counter: (name, help, labels = []) =>
      once(name, () => {
        const counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] })
        return { add: (by = 1, values = {}) => counter.inc(values, by) }
      }),
    gauge: (name, help, labels = []) =>
      once(name, () => {
        const gauge = new Gauge({ name, help, labelNames: [...labels], registers: [registry] })
        return { set: (value, values = {}) => gauge.set(values, value) }
      }),
    histogram: (name, help, buckets, labels = []) =>
      once(name, () => {
        const histogram = new Histogram({
          name,
          help,
          buckets: [...buckets],
          labelNames: [...labels],
          registers: [registry],
        })
        return { observe: (value, values = {}) => histogram.observe(values, value) }
      }),
  }
}
