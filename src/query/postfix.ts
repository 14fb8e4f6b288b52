// Puts offset, @, ranges and subqueries onto the operand they follow.
import type { Anchor, Expr } from './ast.ts'
import { duration, fail, type Node, number, parts, positive, type Source, signed, textOf } from './nodes.ts'

const must = 'must be preceded by an instant vector selector or range vector selector or a subquery'

const offset = (source: Source, expr: Expr, node: Node): Expr => {
  const ms = duration(source, parts(node).at(-1)!, 'offset')
  const again = fail(source, node.from, 'offset may not be set multiple times')
  if (expr.kind === 'matrix') {
    if (expr.selector.offset !== 0) throw again
    return { ...expr, selector: { ...expr.selector, offset: ms } }
  }
  if (expr.kind !== 'selector' && expr.kind !== 'subquery')
    throw fail(source, expr.from, `offset modifier ${must}`)
  if (expr.offset !== 0) throw again
  return { ...expr, offset: ms }
}

const anchorOf = (source: Source, node: Node): Anchor => {
  const value = parts(node)[2]!
  if (value.name === 'AtModifierPreprocessors')
    return { kind: textOf(source, value).toLowerCase() as 'start' | 'end' }
  const { sign, body, from } = signed(source, value)
  const seconds = number(source, body, from).value * (sign === '-' ? -1 : 1)
  const at = Math.round(seconds * 1000)
  if (!(Math.abs(at) <= Number.MAX_SAFE_INTEGER))
    throw fail(source, value.from, `timestamp ${textOf(source, value)} after @ is out of range`)
  return { kind: 'time', at }
}

const anchor = (source: Source, expr: Expr, node: Node): Expr => {
  const at = anchorOf(source, node)
  const again = fail(source, node.from, '@ <timestamp> may not be set multiple times')
  if (expr.kind === 'matrix') {
    if (expr.selector.anchor) throw again
    return { ...expr, selector: { ...expr.selector, anchor: at } }
  }
  if (expr.kind !== 'selector' && expr.kind !== 'subquery')
    throw fail(source, expr.from, `@ modifier ${must}`)
  if (expr.anchor) throw again
  return { ...expr, anchor: at }
}

const matrix = (source: Source, expr: Expr, node: Node): Expr => {
  if (expr.kind !== 'selector') throw fail(source, expr.from, 'ranges only allowed for vector selectors')
  if (expr.offset !== 0) throw fail(source, expr.from, 'no offset modifiers allowed before range')
  if (expr.anchor) throw fail(source, expr.from, 'no @ modifiers allowed before range')
  return {
    kind: 'matrix',
    selector: expr,
    range: positive(source, parts(node)[1]!, 'range'),
    from: expr.from,
  }
}

const subquery = (source: Source, expr: Expr, node: Node): Expr => {
  const [, range, step] = parts(node)
  return {
    kind: 'subquery',
    expr,
    range: positive(source, range!, 'range'),
    step: step ? positive(source, step, 'step') : 0,
    offset: 0,
    anchor: null,
    from: expr.from,
  }
}

/** The operand with one modifier put on. Throws `bad_data` where it cannot stand. */
export const modify = (source: Source, expr: Expr, node: Node): Expr => {
  switch (node.name) {
    case 'OffsetExpr':
      return offset(source, expr, node)
    case 'StepInvariantExpr':
      return anchor(source, expr, node)
    case 'MatrixSelector':
      return matrix(source, expr, node)
    case 'SubqueryExpr':
      return subquery(source, expr, node)
    default: {
      const name = node.name === 'SmoothedExpr' ? 'smoothed' : 'anchored'
      throw fail(source, node.lastChild?.from ?? node.from, `the "${name}" modifier is not supported`)
    }
  }
}
