// Arithmetic and comparison, between columns and scalars.

import { comparisons } from './ast.ts'
import type { Block } from './block.ts'
import { dropName } from './block.ts'
import { power } from './numeric.ts'

export type Arithmetic = (a: number, b: number) => number
export type Comparison = (a: number, b: number) => boolean

const arithmetics: Readonly<Record<string, Arithmetic>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '^': power,
  atan2: (a, b) => Math.atan2(a, b),
}
const tests: Readonly<Record<string, Comparison>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
}

export const arithmeticOf = (op: string): Arithmetic => arithmetics[op]!
export const comparisonOf = (op: string): Comparison => tests[op]!

export const scalarWithScalar = (op: string, a: Float64Array, b: Float64Array): Float64Array => {
  if (comparisons.has(op)) {
    const test = comparisonOf(op)
    return a.map((v, t) => (test(v, b[t]!) ? 1 : 0))
  }
  const f = arithmeticOf(op)
  return a.map((v, t) => f(v, b[t]!))
}

/** Runs over all points with the step each is at. */
const points = (block: Block, visit: (k: number, t: number) => void): void => {
  const { steps, present } = block
  for (let k = 0, t = 0; k < present.length; k++) {
    if (present[k] === 1) visit(k, t)
    if (++t === steps) t = 0
  }
}

/** A vector with a scalar, in place; `left` says that the scalar stands left. A filter keeps the vector's values and names. */
export const vectorWithScalar = (
  block: Block,
  scalar: Float64Array,
  op: string,
  bool: boolean,
  left: boolean,
): Block => {
  const { values, present } = block
  if (comparisons.has(op)) {
    const test = comparisonOf(op)
    const holds = left
      ? (k: number, t: number) => test(scalar[t]!, values[k]!)
      : (k: number, t: number) => test(values[k]!, scalar[t]!)
    if (!bool) {
      points(block, (k, t) => {
        if (!holds(k, t)) present[k] = 0
      })
      return block
    }
    points(block, (k, t) => {
      values[k] = holds(k, t) ? 1 : 0
    })
    return dropName(block)
  }
  const f = arithmeticOf(op)
  points(
    block,
    left
      ? (k, t) => {
          values[k] = f(scalar[t]!, values[k]!)
        }
      : (k, t) => {
          values[k] = f(values[k]!, scalar[t]!)
        },
  )
  return dropName(block)
}

/** A function of each value, in place. */
export const mapValues = (block: Block, f: (v: number, t: number) => number): Block => {
  const { values } = block
  points(block, (k, t) => {
    values[k] = f(values[k]!, t)
  })
  return dropName(block)
}

export const negate = (block: Block): Block => mapValues(block, (v) => -v)
