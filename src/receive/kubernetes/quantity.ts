// Kubernetes quantities (`250m`, `1.5Gi`, `12e6`) as numbers, and resources under the names and units of kube-state-metrics.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import type { Rows } from './row.ts'

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}
/** Thousandths are divided, so that 250m is 0.25 and not its neighbour. */
const parts: Readonly<Record<string, number>> = { n: 1e9, u: 1e6, m: 1e3 }

/** A quantity as a number; NaN for what is none. */
export const quantityOf = (text: unknown): number => {
  const m = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/.exec(
    String(text),
  )
  if (!m) return Number.NaN
  const [, number = '', exponent, suffix = ''] = m
  if (exponent !== undefined) return Number(`${number}e${exponent}`)
  return suffix in parts ? Number(number) / parts[suffix]! : Number(number) * factors[suffix]!
}

const unitOf = (resource: string): string | null => {
  if (resource === 'cpu') return 'core'
  if (resource === 'pods') return 'integer'
  if (['memory', 'storage', 'ephemeral-storage'].includes(resource)) return 'byte'
  if (resource.startsWith('hugepages-') || resource.startsWith('attachable-volumes-')) return 'byte'
  // Extended resources have a domain, such as nvidia.com/gpu.
  return resource.includes('/') ? 'integer' : null
}

/** A row for each resource of a list such as requests, limits or allocatable. */
export const addResources = (
  rows: Rows,
  name: string,
  resources: KubernetesObject,
  labels: Readonly<Record<string, string>> = {},
): void => {
  for (const [resource, quantity] of Object.entries(resources ?? {})) {
    const unit = unitOf(resource)
    if (unit === null) continue
    rows.add(name, quantityOf(quantity), {
      ...labels,
      resource: resource.replace(/[^a-zA-Z0-9_]/g, '_'),
      unit,
    })
  }
}
