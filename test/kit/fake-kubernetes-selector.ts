// Label and field selectors as a Kubernetes API server reads them.
import type { Resource } from './fake-kubernetes-resources.ts'
import { type Json, StatusError } from './fake-kubernetes-status.ts'

export type Matches = (object: Json) => boolean

const bad = (text: string, why: string): StatusError =>
  new StatusError(400, 'BadRequest', `unable to parse requirement ${JSON.stringify(text)}: ${why}`)

/** Splits at commas that stand outside brackets. */
const parts = (text: string): string[] =>
  text.trim() === '' ? [] : text.split(/,(?![^(]*\))/).map((p) => p.trim())

const labelRequirement = (text: string): Matches => {
  const labels = (o: Json): Json => o.metadata?.labels ?? {}
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(text)
  if (set) {
    const values = set[3]!.split(',').map((v) => v.trim())
    const inSet = (o: Json): boolean => values.includes(labels(o)[set[1]!])
    return set[2] === 'in' ? inSet : (o) => !inSet(o)
  }
  const equal = /^([^!=\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(text)
  if (equal) {
    const [, key = '', op, value] = equal
    return op === '!=' ? (o) => labels(o)[key] !== value : (o) => labels(o)[key] === value
  }
  const not = /^!\s*([\w./-]+)$/.exec(text)
  if (not) return (o) => labels(o)[not[1]!] === undefined
  if (/^[\w./-]+$/.test(text)) return (o) => labels(o)[text] !== undefined
  throw bad(text, 'found unexpected operator')
}

const fieldRequirement = (text: string, { fields, namespaced, plural }: Resource): Matches => {
  const m = /^([^!=]+)(==|=|!=)(.*)$/.exec(text)
  if (!m) throw bad(text, 'invalid field selector')
  const [, path = '', op, value = ''] = m
  const known = [...fields, 'metadata.name', ...(namespaced ? ['metadata.namespace'] : [])]
  if (!known.includes(path))
    throw new StatusError(400, 'BadRequest', `field label not supported: ${path} (${plural})`)
  const read = (o: Json): string => {
    const found = path.split('.').reduce<Json>((at, key) => at?.[key], o)
    if (found === undefined || found === null) return path === 'spec.unschedulable' ? 'false' : ''
    return String(found)
  }
  return op === '!=' ? (o) => read(o) !== value : (o) => read(o) === value
}

export const selectorOf = (resource: Resource, query: URLSearchParams, namespace: string): Matches => {
  const all = [
    ...parts(query.get('labelSelector') ?? '').map(labelRequirement),
    ...parts(query.get('fieldSelector') ?? '').map((p) => fieldRequirement(p, resource)),
  ]
  return (o) => (namespace === '' || o.metadata.namespace === namespace) && all.every((matches) => matches(o))
}
