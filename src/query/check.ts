// Checks the types of an expression and gives its own.

import { comparisons, type Expr, paramTypes, setOperators, unwrap, type ValueType } from './ast.ts'
import { parseError } from './place.ts'
import { signatures } from './signatures.ts'

const names: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
}

/** The type of an expression whose parts are known to be right. */
export const typeOf = (e: Expr): ValueType => {
  switch (e.kind) {
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'selector':
    case 'aggregate':
      return 'vector'
    case 'matrix':
    case 'subquery':
      return 'matrix'
    case 'call':
      return signatures.get(e.name)!.returns
    case 'unary':
    case 'paren':
      return typeOf(e.expr)
    case 'binary':
      return typeOf(e.left) === 'scalar' && typeOf(e.right) === 'scalar' ? 'scalar' : 'vector'
  }
}

const expectType = (text: string, e: Expr, wanted: ValueType, where: string): void => {
  const got = checkNode(text, e)
  if (got !== wanted)
    throw parseError(text, e.from, `expected type ${names[wanted]} in ${where}, got ${names[got]}`)
}

const call = (text: string, e: Expr & { kind: 'call' }): ValueType => {
  const { args, optional, returns } = signatures.get(e.name)!
  const least = optional === -1 ? args.length - 1 : args.length - optional
  const most = optional === -1 ? Number.POSITIVE_INFINITY : args.length
  if (e.args.length < least || e.args.length > most) {
    const wanted = e.args.length < least ? least : most
    const how = least === most ? '' : e.args.length < least ? 'at least ' : 'at most '
    throw parseError(
      text,
      e.from,
      `expected ${how}${wanted} argument(s) in call to "${e.name}", got ${e.args.length}`,
    )
  }
  e.args.forEach((arg, i) => {
    expectType(text, arg, args[Math.min(i, args.length - 1)]!, `call to function "${e.name}"`)
  })
  return returns
}

const binary = (text: string, e: Expr & { kind: 'binary' }): ValueType => {
  const left = checkNode(text, e.left)
  const right = checkNode(text, e.right)
  const wrong = (message: string): Error => parseError(text, e.from, message)
  const usable = (type: ValueType): boolean => type === 'scalar' || type === 'vector'
  if (!usable(left))
    throw parseError(text, e.left.from, 'binary expression must contain only scalar and instant vector types')
  if (!usable(right))
    throw parseError(
      text,
      e.right.from,
      'binary expression must contain only scalar and instant vector types',
    )
  if (left === 'scalar' && right === 'scalar' && comparisons.has(e.op) && !e.bool)
    throw wrong('comparisons between scalars must use BOOL modifier')
  if (left === 'scalar' || right === 'scalar') {
    const m = e.matching
    if (m && (m.on || m.labels.length > 0 || (m.card !== 'one-to-one' && m.card !== 'many-to-many')))
      throw wrong('vector matching only allowed between instant vectors')
    if (setOperators.has(e.op)) throw wrong(`set operator "${e.op}" not allowed in binary scalar expression`)
  }
  return left === 'scalar' && right === 'scalar' ? 'scalar' : 'vector'
}

const checkNode = (text: string, e: Expr): ValueType => {
  switch (e.kind) {
    case 'call':
      return call(text, e)
    case 'binary':
      return binary(text, e)
    case 'paren':
      return checkNode(text, e.expr)
    case 'subquery': {
      const type = checkNode(text, e.expr)
      if (type !== 'vector')
        throw parseError(
          text,
          e.from,
          `subquery is only allowed on instant vector, got ${names[type]} instead`,
        )
      return 'matrix'
    }
    case 'unary': {
      const type = checkNode(text, e.expr)
      if (type !== 'scalar' && type !== 'vector')
        throw parseError(
          text,
          e.from,
          `unary expression only allowed on expressions of type scalar or instant vector, got ${names[type]}`,
        )
      return type
    }
    case 'aggregate': {
      if (e.param) expectType(text, e.param, paramTypes[e.op]!, `aggregation parameter of "${e.op}"`)
      expectType(text, e.expr, 'vector', `aggregation expression of "${e.op}"`)
      const name = e.param ? unwrap(e.param) : null
      if (e.op === 'count_values' && name?.kind === 'string' && name.value === '')
        throw parseError(text, e.from, `invalid label name ""`)
      return 'vector'
    }
    default:
      return typeOf(e)
  }
}

/** The type of an expression. Throws `bad_data` with line and column where types or counts of arguments do not fit. */
export const check = (text: string, e: Expr): ValueType => checkNode(text, e)
