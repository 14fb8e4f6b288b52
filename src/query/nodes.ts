// Reads the grammar's tree: children without comments, text, numbers and durations with their limits.
import type { parser } from '@prometheus-io/lezer-promql'
import type { AppError } from '../lib/errors.ts'
import type { Expr, NumberNode } from './ast.ts'
import { readNumber } from './literal.ts'
import { parseError } from './place.ts'

export type Node = ReturnType<typeof parser.parse>['topNode']
/** The expression's text, and how deep the reading of it stands. */
export interface Source {
  readonly text: string
  depth: number
}
export type Child = (node: Node) => Expr

export const fail = (source: Source, at: number, message: string): AppError =>
  parseError(source.text, at, message)
export const textOf = (source: Source, node: Node): string => source.text.slice(node.from, node.to)

/** A node's children without comments. */
export const parts = (node: Node): Node[] => {
  const out: Node[] = []
  for (let c = node.firstChild; c; c = c.nextSibling) if (c.name !== 'LineComment') out.push(c)
  return out
}

/** A literal that may carry a sign inside (`- 1`): the sign, the rest, and where the rest begins. */
export const signed = (source: Source, node: Node): { sign: '-' | '+' | ''; body: string; from: number } => {
  const raw = textOf(source, node)
  const c = raw[0]
  if (c !== '-' && c !== '+') return { sign: '', body: raw, from: node.from }
  // Comments may stand between the sign and the number.
  const body = raw.slice(1).replace(/^(\s+|#[^\n]*\n)+/, '')
  return { sign: c, body, from: node.to - body.length }
}

export const number = (source: Source, body: string, from: number): NumberNode => {
  const read = readNumber(body)
  if (!read) throw fail(source, from, `cannot read ${JSON.stringify(body)} as a number`)
  return { kind: 'number', value: read.value, duration: read.duration, from }
}

/** 2^63 nanoseconds, as Prometheus bounds a duration. */
const most = 9_223_372_036_854

/** Milliseconds of a duration node: a plain number is seconds. Arithmetic and step(), range() in it are refused. */
export const duration = (source: Source, node: Node, what: string): number => {
  const kids = parts(node)
  let sign = 1
  let inner = kids[0]!
  if (inner.name === 'UnaryOp') {
    sign = textOf(source, inner) === '-' ? -1 : 1
    inner = kids[1]!
  }
  if (inner.name === 'OffsetDurationExpr' || inner.name === 'DurationExpr') {
    // Parentheses and signs nest as nodes of their own; anything with an operator in the middle is arithmetic.
    if (kids.length > (sign === 1 && inner === kids[0] ? 1 : 2))
      throw fail(source, node.from, 'duration expressions are not supported; write the duration out')
    return sign * duration(source, inner, what)
  }
  if (inner.name !== 'NumberDurationLiteralInDurationContext' || kids.length > 2)
    throw fail(source, node.from, 'duration expressions are not supported; write the duration out')
  const read = readNumber(textOf(source, inner))
  const ms = read ? Math.round(read.value * 1000) : Number.NaN
  if (!(Math.abs(ms) <= most))
    throw fail(source, node.from, `${what} ${textOf(source, inner)} is out of range`)
  return sign * ms
}

/** A duration that must be above zero: a range or a subquery's step. */
export const positive = (source: Source, node: Node, what: string): number => {
  const ms = duration(source, node, what)
  if (ms <= 0) throw fail(source, node.from, 'duration must be greater than 0')
  return ms
}
