// One series of the cluster with its value, and the small readings that objects of every kind share.
import type { KubernetesObject } from '../../lib/kubernetes.ts'

export interface Row {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Counters among the metrics; the others are gauges. */
export const isCounter = (name: string): boolean => name.endsWith('_total')

/** Collects the rows of one object under the labels all of them have. */
export class Rows {
  readonly rows: Row[] = []
  readonly #base: Readonly<Record<string, string>>
  constructor(base: Readonly<Record<string, string>>) {
    this.#base = base
  }
  add(name: string, value: number, labels: Readonly<Record<string, string>> = {}): void {
    if (Number.isFinite(value)) this.rows.push({ name, labels: { ...this.#base, ...labels }, value })
  }
  /** One row for each of `states`, 1 for the present one and 0 for the others. */
  states(
    name: string,
    label: string,
    states: readonly string[],
    present: unknown,
    labels: Readonly<Record<string, string>> = {},
  ): void {
    for (const state of states) this.add(name, state === present ? 1 : 0, { ...labels, [label]: state })
  }
}

/** Text of a field; '' for what is none. */
export const textOf = (value: KubernetesObject): string => (typeof value === 'string' ? value : '')
/** A number of a status, which leaves zeros out. */
export const countOf = (value: KubernetesObject): number => (typeof value === 'number' ? value : 0)
/** Unix seconds of an RFC 3339 text; NaN for what is none. */
export const secondsOf = (value: KubernetesObject): number => {
  try {
    return typeof value === 'string'
      ? Math.floor(Temporal.Instant.from(value).epochMilliseconds / 1000)
      : Number.NaN
  } catch {
    return Number.NaN
  }
}

export const conditionStates = ['true', 'false', 'unknown']
export const conditionState = (status: KubernetesObject): string => textOf(status).toLowerCase()

export const listOf = (value: KubernetesObject): readonly KubernetesObject[] =>
  Array.isArray(value) ? value : []

export interface Owner {
  readonly kind: string
  readonly name: string
}
/** The controller that made an object; null where it has none. */
export const controllerOf = (object: KubernetesObject): Owner | null => {
  const owner = listOf(object?.metadata?.ownerReferences).find((o) => o.controller === true)
  return owner ? { kind: textOf(owner.kind), name: textOf(owner.name) } : null
}

export const addOwners = (rows: Rows, name: string, object: KubernetesObject): void => {
  const owners = listOf(object?.metadata?.ownerReferences)
  if (owners.length === 0) rows.add(name, 1, { owner_kind: '', owner_name: '', owner_is_controller: '' })
  for (const { kind, name: owner, controller } of owners)
    rows.add(name, 1, {
      owner_kind: textOf(kind),
      owner_name: textOf(owner),
      owner_is_controller: String(controller === true),
    })
}
