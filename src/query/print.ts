// Prints an expression as Prometheus prints it.
import { duration, formatDuration } from '../lib/time.ts'
import type { Matcher } from '../model/matcher.ts'
import type { AggregateNode, Anchor, BinaryNode, Expr, SelectorNode } from './ast.ts'

const legacyLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const legacyMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

/** A number without an exponent, in the shortest digits that read back to it; infinities and NaN as Go writes them. */
export const formatNumber = (value: number): string => {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  const text = String(value)
  const m = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (!m) return text
  const [, sign = '', head = '', tail = '', power = '0'] = m
  const n = Number(power)
  const digits = head + tail
  if (n < 0) return `${sign}0.${'0'.repeat(-n - 1)}${digits}`
  return sign + digits.padEnd(n + 1, '0')
}

const quoted = (text: string): string => JSON.stringify(text)
const labelText = (name: string): string => (legacyLabel.test(name) ? name : quoted(name))
const labelList = (names: readonly string[]): string => names.map(labelText).join(', ')
const matcherText = (m: Matcher): string => `${labelText(m.name)}${m.op}${quoted(m.value)}`
const span = (ms: number): string => formatDuration(duration(ms))

const modifiers = (offset: number, anchor: Anchor | null): string => {
  const at =
    anchor === null
      ? ''
      : anchor.kind === 'time'
        ? ` @ ${(anchor.at / 1000).toFixed(3)}`
        : ` @ ${anchor.kind}()`
  return offset === 0 ? at : `${at} offset ${span(offset)}`
}

const selectorBody = (s: SelectorNode): string => {
  const plain = legacyMetric.test(s.name)
  const rest = s.matchers.filter((m) => s.name === '' || m.name !== '__name__' || m.op !== '=')
  const inside = rest.map(matcherText)
  if (s.name !== '' && !plain) inside.unshift(quoted(s.name))
  if (plain && inside.length === 0) return s.name
  return `${plain ? s.name : ''}{${inside.join(',')}}`
}

const aggregate = (e: AggregateNode): string => {
  const group = e.without
    ? ` without (${labelList(e.grouping)}) `
    : e.grouping.length > 0
      ? ` by (${labelList(e.grouping)}) `
      : ''
  return `${e.op}${group}(${e.param ? `${print(e.param)}, ` : ''}${print(e.expr)})`
}

const binary = (e: BinaryNode): string => {
  let how = e.bool ? ' bool' : ''
  const m = e.matching
  const grouped = m?.card === 'many-to-one' || m?.card === 'one-to-many'
  if (m && (m.on || m.labels.length > 0 || grouped)) {
    how += ` ${m.on ? 'on' : 'ignoring'} (${labelList(m.labels)})`
    if (grouped)
      how += ` ${m.card === 'many-to-one' ? 'group_left' : 'group_right'} (${labelList(m.include)})`
  }
  return `${print(e.left)} ${e.op}${how} ${print(e.right)}`
}

/** The expression's text in Prometheus's own form; it parses back to the same expression. */
export const print = (e: Expr): string => {
  switch (e.kind) {
    case 'number':
      return e.duration && e.value >= 0 ? span(e.value * 1000) : formatNumber(e.value)
    case 'string':
      return quoted(e.value)
    case 'selector':
      return selectorBody(e) + modifiers(e.offset, e.anchor)
    case 'matrix':
      return `${selectorBody(e.selector)}[${span(e.range)}]${modifiers(e.selector.offset, e.selector.anchor)}`
    case 'subquery':
      return `${print(e.expr)}[${span(e.range)}:${e.step > 0 ? span(e.step) : ''}]${modifiers(e.offset, e.anchor)}`
    case 'call':
      return `${e.name}(${e.args.map(print).join(', ')})`
    case 'aggregate':
      return aggregate(e)
    case 'binary':
      return binary(e)
    case 'unary':
      return `${e.op}${print(e.expr)}`
    case 'paren':
      return `(${print(e.expr)})`
  }
}
