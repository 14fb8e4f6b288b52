// The parsed form of a PromQL expression, as the evaluator wants it: no parse-tree nodes, times in milliseconds.
import type { Matcher } from '../model/matcher.ts'

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string'

/** A fixed evaluation time: `@ <seconds>`, in milliseconds, or the query's start or end. */
export type Anchor = { readonly kind: 'time'; readonly at: number } | { readonly kind: 'start' | 'end' }

interface Placed {
  /** Where the node begins in the expression's text, in UTF-16 units from 0. */
  readonly from: number
}
export interface NumberNode extends Placed {
  readonly kind: 'number'
  readonly value: number
  /** Written as a duration (`5m`), so printed as one. */
  readonly duration: boolean
}
export interface StringNode extends Placed {
  readonly kind: 'string'
  readonly value: string
}
export interface SelectorNode extends Placed {
  readonly kind: 'selector'
  /** The metric name written before the braces or quoted inside, '' without one; it is among the matchers too. */
  readonly name: string
  readonly matchers: readonly Matcher[]
  readonly offset: number
  readonly anchor: Anchor | null
}
export interface MatrixNode extends Placed {
  readonly kind: 'matrix'
  readonly selector: SelectorNode
  readonly range: number
}
export interface SubqueryNode extends Placed {
  readonly kind: 'subquery'
  readonly expr: Expr
  readonly range: number
  /** 0 = the default resolution. */
  readonly step: number
  readonly offset: number
  readonly anchor: Anchor | null
}
export interface CallNode extends Placed {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expr[]
}
export interface AggregateNode extends Placed {
  readonly kind: 'aggregate'
  readonly op: string
  readonly without: boolean
  readonly grouping: readonly string[]
  readonly param: Expr | null
  readonly expr: Expr
}
export type Cardinality = 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many'
export interface Matching {
  readonly card: Cardinality
  readonly on: boolean
  readonly labels: readonly string[]
  readonly include: readonly string[]
}
export interface BinaryNode extends Placed {
  readonly kind: 'binary'
  readonly op: string
  readonly left: Expr
  readonly right: Expr
  readonly bool: boolean
  /** Null where nothing was written and a side is a scalar. */
  readonly matching: Matching | null
}
export interface UnaryNode extends Placed {
  readonly kind: 'unary'
  readonly op: '-' | '+'
  readonly expr: Expr
}
export interface ParenNode extends Placed {
  readonly kind: 'paren'
  readonly expr: Expr
}
export type Expr =
  | NumberNode
  | StringNode
  | SelectorNode
  | MatrixNode
  | SubqueryNode
  | CallNode
  | AggregateNode
  | BinaryNode
  | UnaryNode
  | ParenNode

export const setOperators: ReadonlySet<string> = new Set(['and', 'or', 'unless'])
export const comparisons: ReadonlySet<string> = new Set(['==', '!=', '>', '<', '>=', '<='])
/** Aggregations that take a parameter, and its type. */
export const paramTypes: Readonly<Record<string, ValueType>> = {
  topk: 'scalar',
  bottomk: 'scalar',
  quantile: 'scalar',
  limitk: 'scalar',
  limit_ratio: 'scalar',
  count_values: 'string',
}

export const unwrap = (expr: Expr): Expr => (expr.kind === 'paren' ? unwrap(expr.expr) : expr)

/** The nodes directly below one. */
export const childrenOf = (expr: Expr): readonly Expr[] => {
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'selector':
      return []
    case 'matrix':
      return [expr.selector]
    case 'subquery':
    case 'unary':
    case 'paren':
      return [expr.expr]
    case 'call':
      return expr.args
    case 'aggregate':
      return expr.param ? [expr.param, expr.expr] : [expr.expr]
    case 'binary':
      return [expr.left, expr.right]
  }
}

/** Every selector in an expression, in the order written. */
export const selectorsOf = (expr: Expr): SelectorNode[] =>
  expr.kind === 'selector' ? [expr] : childrenOf(expr).flatMap(selectorsOf)
