// Metrics that tests can read.
import type { Metrics } from '../../src/model/ports/metrics.ts'

export const fakeMetrics = (): Metrics & { readonly values: Map<string, number> } => {
  const values = new Map<string, number>()
  const key = (name: string, labels: Readonly<Record<string, string>> = {}): string =>
    `${name}{${Object.entries(labels)
      .map(([k, v]) => `${k}="${v}"`)
      .join(',')}}`
  return {
    values,
    counter: (name) => ({
      add: (by = 1, labels) => void values.set(key(name, labels), (values.get(key(name, labels)) ?? 0) + by),
    }),
    gauge: (name) => ({ set: (value, labels) => void values.set(key(name, labels), value) }),
    histogram: (name) => ({ observe: (value, labels) => void values.set(key(name, labels), value) }),
  }
}
