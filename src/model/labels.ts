// A series' label set: name, value, name, value … sorted by name, without empty values.

/** Flat and sorted by name: `['__name__', 'up', 'job', 'node']`. Never mutated. Empty values are left out (missing = empty). */
export type Labels = readonly string[]

export const metricName = '__name__'
export const noLabels: Labels = []

/** Labels of a record; empty values fall away. */
export const labelsOf = (record: Readonly<Record<string, string>>): Labels => {
  const out: string[] = []
  for (const name of Object.keys(record).sort()) {
    const value = record[name]!
    if (value !== '') out.push(name, value)
  }
  return out
}

/** A label's value, '' when it is not there. */
export const labelOf = (labels: Labels, name: string): string => {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1]!
  return ''
}

export const recordOf = (labels: Labels): Record<string, string> => {
  const out: Record<string, string> = {}
  for (let i = 0; i < labels.length; i += 2) out[labels[i]!] = labels[i + 1]!
  return out
}

/** A text that two label sets share only when they are equal. */
export const labelsKey = (labels: Labels): string => {
  // ÿ may stand in a value too; then the parts are told apart the slow way. No name is empty, so no other key begins with two.
  for (let i = 0; i < labels.length; i++)
    if (labels[i]!.includes('\u00ff')) return `\u00ff\u00ff${JSON.stringify(labels)}`
  return labels.join('\u00ff')
}

/** Only (`keep`) or all but (`!keep`) the named labels. */
export const pick = (labels: Labels, names: ReadonlySet<string>, keep: boolean): Labels => {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2)
    if (names.has(labels[i]!) === keep) out.push(labels[i]!, labels[i + 1]!)
  return out
}

const nameOnly: ReadonlySet<string> = new Set([metricName])
export const withoutName = (labels: Labels): Labels =>
  labels[0] === metricName ? labels.slice(2) : pick(labels, nameOnly, false)

/** With the given labels set; an empty value removes one. */
export const withLabels = (labels: Labels, set: Readonly<Record<string, string>>): Labels =>
  labelsOf({ ...recordOf(labels), ...set })

/** `name{a="b"}`, as Prometheus prints it. */
export const printLabels = (labels: Labels): string => {
  const name = labelOf(labels, metricName)
  const pairs: string[] = []
  for (let i = 0; i < labels.length; i += 2)
    if (labels[i] !== metricName) pairs.push(`${labels[i]}=${JSON.stringify(labels[i + 1])}`)
  return pairs.length > 0 || name === '' ? `${name}{${pairs.join(', ')}}` : name
}
