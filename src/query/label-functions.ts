// Functions that rewrite labels or order rows by them.
import { RE2JS } from 're2js'
import { AppError, messageOf } from '../lib/errors.ts'
import { type Labels, labelOf, withLabels } from '../model/labels.ts'
import { type Block, labelsAt, relabel, takeRows } from './block.ts'

const labelName = (name: string, what: string): string => {
  if (name === '') throw new AppError('execution', `invalid destination label name in ${what}: it is empty`)
  return name
}

type Piece = { readonly text: string } | { readonly group: number }

/** Go's template for replacements: `$1`, `$name`, `${name}`, `$$`; what names no group is empty. A name is as long as it can be. */
const template = (text: string, names: Readonly<Record<string, number>>, groups: number): Piece[] => {
  const pieces: Piece[] = []
  const reference = /\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu
  let at = 0
  for (const m of text.matchAll(reference)) {
    pieces.push({ text: text.slice(at, m.index) })
    at = m.index + m[0].length
    const name = m[2] ?? m[3]
    if (name === undefined) pieces.push({ text: '$' })
    else {
      const group = /^\d+$/.test(name) ? Number(name) : names[name]
      if (group !== undefined && group <= groups) pieces.push({ group })
    }
  }
  pieces.push({ text: text.slice(at) })
  return pieces
}

/** Sets `into` to `replacement` where all of `from`'s value matches `pattern` (RE2). */
export const labelReplace = (
  block: Block,
  into: string,
  replacement: string,
  from: string,
  pattern: string,
): Block => {
  let regex: RE2JS
  try {
    regex = RE2JS.compile(`^(?s:${pattern})$`)
  } catch (error) {
    throw new AppError(
      'execution',
      `invalid regular expression in label_replace(): ${pattern}: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
  labelName(into, 'label_replace()')
  const pieces = template(replacement, regex.namedGroups(), regex.groupCount())
  const made = new Map<string, string | null>()
  const valueFor = (source: string): string | null => {
    const known = made.get(source)
    if (known !== undefined) return known
    const matcher = regex.matcher(source)
    const value = matcher.matches()
      ? pieces.map((p) => ('text' in p ? p.text : (matcher.group(p.group) ?? ''))).join('')
      : null
    made.set(source, value)
    return value
  }
  return relabel(block, (labels) => {
    const value = valueFor(labelOf(labels, from))
    return value === null ? labels : withLabels(labels, { [into]: value })
  })
}

/** Sets `into` to the values of `sources` with `separator` between. */
export const labelJoin = (
  block: Block,
  into: string,
  separator: string,
  sources: readonly string[],
): Block => {
  labelName(into, 'label_join()')
  return relabel(block, (labels) =>
    withLabels(labels, { [into]: sources.map((s) => labelOf(labels, s)).join(separator) }),
  )
}

/** Text order in which runs of digits compare as numbers. */
const natural = (a: string, b: string): number => {
  const x = a.match(/\d+|\D+/g) ?? []
  const y = b.match(/\d+|\D+/g) ?? []
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const p = x[i]!
    const q = y[i]!
    if (p === q) continue
    const numbers = /^\d/.test(p) && /^\d/.test(q)
    if (numbers && Number(p) !== Number(q)) return Number(p) - Number(q)
    return p < q ? -1 : 1
  }
  return x.length - y.length
}

export const compareLabels = (a: Labels, b: Labels): number => {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1
  return a.length - b.length
}

/** Orders an instant vector's rows; a range query's order is by labels and stays so. */
const ordered = (block: Block, compare: (a: number, b: number) => number): Block =>
  block.steps !== 1 ? block : takeRows(block, [...block.labels.keys()].sort(compare))

export const sortByLabel = (block: Block, names: readonly string[], down: boolean): Block => {
  const sign = down ? -1 : 1
  return ordered(block, (a, b) => {
    const x = labelsAt(block, a)
    const y = labelsAt(block, b)
    for (const name of names) {
      const order = natural(labelOf(x, name), labelOf(y, name))
      if (order !== 0) return order * sign
    }
    return compareLabels(x, y) * sign
  })
}

/** By value; NaN comes last either way. */
export const sortByValue = (block: Block, down: boolean): Block =>
  ordered(block, (a, b) => {
    const x = block.values[a]!
    const y = block.values[b]!
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
    return down ? y - x || 0 : x - y || 0
  })
