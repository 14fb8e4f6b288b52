// Attributes of resource, scope and point become one label set, by the rules of Prometheus's OTLP receiver.
import { type Labels, labelsOf, metricName } from '../../model/labels.ts'
import type { OtlpConfig } from './config.ts'
import { type LabelNaming, labelName } from './names.ts'
import type { Attribute } from './points.ts'

const identifying: ReadonlySet<string> = new Set(['service.name', 'service.namespace', 'service.instance.id'])

export interface ScopeLabels {
  readonly name: string
  readonly version: string
  readonly schemaUrl: string
  readonly attributes: readonly Attribute[]
}

/** What a resource gives to every series of its own. */
export interface ResourceLabels {
  /** Label names already translated, with values; a point's own attribute of the same name goes first. */
  readonly promoted: readonly Attribute[]
  /** `job`, `instance`: they win over everything. */
  readonly target: readonly Attribute[]
  /** The labels of its `target_info`; null where it has nothing to say or nobody to say it of. */
  readonly info: Labels | null
}

const attributeOf = (attributes: readonly Attribute[], key: string): string | null =>
  attributes.findLast((a) => a.key === key)?.value ?? null

const byKey = (a: Attribute, b: Attribute): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

export class LabelMaker {
  readonly #config: OtlpConfig
  readonly #naming: LabelNaming
  readonly #names = new Map<string, string>()

  constructor(config: OtlpConfig) {
    this.#config = config
    this.#naming = {
      strategy: config.translation_strategy,
      underscoreSanitization: config.label_name_underscore_sanitization,
      preserveMultipleUnderscores: config.label_name_preserve_multiple_underscores,
    }
  }

  /** A label's name, remembered: attribute keys are few and come always again. */
  #name(key: string): string {
    const known = this.#names.get(key)
    if (known !== undefined) return known
    if (this.#names.size >= 10_000) this.#names.clear()
    const name = labelName(key, this.#naming)
    this.#names.set(key, name)
    return name
  }

  /** Translated names; keys that meet in one name have their values joined with `;` in the order of the keys. A string says why not. */
  #translate(attributes: readonly Attribute[]): Map<string, string> | string {
    const out = new Map<string, string>()
    const sorted = attributes.toSorted(byKey)
    for (let i = 0; i < sorted.length; i++) {
      const { key, value } = sorted[i]!
      // One key twice is against the protocol; the last one counts.
      if (sorted[i + 1]?.key === key) continue
      const name = this.#name(key)
      if (name === '') return `the attribute ${JSON.stringify(key)} makes no label name`
      const before = out.get(name)
      out.set(name, before === undefined ? value : `${before};${value}`)
    }
    return out
  }

  resource(attributes: readonly Attribute[]): ResourceLabels | string {
    const service = attributeOf(attributes, 'service.name')
    const namespace = attributeOf(attributes, 'service.namespace')
    const instance = attributeOf(attributes, 'service.instance.id')
    const target: Attribute[] = []
    if (service !== null)
      target.push({ key: 'job', value: namespace === null ? service : `${namespace}/${service}` })
    if (instance !== null) target.push({ key: 'instance', value: instance })
    const { promote_all_resource_attributes: all } = this.#config
    const named = new Set(
      all ? this.#config.ignore_resource_attributes : this.#config.promote_resource_attributes,
    )
    const promoted: Attribute[] = []
    for (const { key, value } of attributes.toSorted(byKey)) {
      if (named.has(key) === all) continue
      const name = this.#name(key)
      if (name !== '') promoted.push({ key: name, value })
    }
    const info = this.#info(attributes, target)
    return typeof info === 'string' ? info : { promoted, target, info }
  }

  #info(attributes: readonly Attribute[], target: readonly Attribute[]): Labels | null | string {
    const told = attributes.filter((a) => !identifying.has(a.key))
    if (told.length === 0 || target.length === 0) return null
    const labels = this.#translate(this.#config.keep_identifying_resource_attributes ? attributes : told)
    if (typeof labels === 'string') return labels
    for (const { key, value } of target) labels.set(key, value)
    labels.set(metricName, 'target_info')
    return labelsOf(Object.fromEntries(labels))
  }

  /** The labels that an exemplar's attributes make; a string says why there are none. */
  exemplar(attributes: readonly Attribute[]): Map<string, string> | string {
    return this.#translate(attributes)
  }

  /** All labels of a point but its metric's name; a string says why there are none. */
  point(
    attributes: readonly Attribute[],
    resource: ResourceLabels,
    scope: ScopeLabels | null,
  ): Map<string, string> | string {
    const labels = this.#translate(attributes)
    if (typeof labels === 'string') return labels
    for (const { key, value } of resource.promoted) if (!labels.has(key)) labels.set(key, value)
    if (scope !== null && scope.name !== '') {
      labels.set('otel_scope_name', scope.name)
      labels.set('otel_scope_version', scope.version)
      labels.set('otel_scope_schema_url', scope.schemaUrl)
      for (const { key, value } of scope.attributes) labels.set(this.#name(`otel_scope_${key}`), value)
    }
    for (const { key, value } of resource.target) labels.set(key, value)
    return labels
  }
}

/** A point's labels with a metric's name, and `le` or `quantile` where there is one. */
export const seriesLabels = (
  labels: ReadonlyMap<string, string>,
  name: string,
  extra?: readonly [name: string, value: string],
): Labels => {
  const record: Record<string, string> = Object.fromEntries(labels)
  if (extra) record[extra[0]] = extra[1]
  record[metricName] = name
  return labelsOf(record)
}
