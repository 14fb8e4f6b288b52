// Arithmetic and comparison, between columns and scalars.

import { times } from '../model/native-arithmetic.ts'
import { type BinaryNode, comparisons } from './ast.ts'
import { type Block, dropName, floatsOnly } from './block.ts'
import type { Told } from './leaf.ts'
import { isTrim, meet } from './native-operators.ts'
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

/** Points that are histograms, or that an operator for histograms finds: answered one by one, those without an answer go. */
const mixedWithScalar = (told: Told, block: Block, scalar: Float64Array, op: string, left: boolean): void => {
  const { values, present, steps } = block
  const cells = block.cells ?? new Array<undefined>(present.length)
  for (let k = 0; k < present.length; k++) {
    if (present[k] === 0 || !(cells[k] || isTrim(op))) continue
    const cell = cells[k] ?? values[k]!
    const number = scalar[k % steps]!
    const made = left ? meet(told, op, number, cell) : meet(told, op, cell, number)
    if (!made) present[k] = 0
    else if (typeof made.value !== 'number') cells[k] = made.value
  }
}

/** A vector with a scalar, in place; `left` says that the scalar stands left. A filter keeps the vector's values and names. */
export const vectorWithScalar = (
  told: Told,
  block: Block,
  scalar: Float64Array,
  { op, bool }: BinaryNode,
  left: boolean,
): Block => {
  const { values, present } = block
  if (block.cells || isTrim(op)) mixedWithScalar(told, block, scalar, op, left)
  if (isTrim(op)) return block
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

/** A function of each value that is a float, in place; histograms go. */
export const mapValues = (given: Block, f: (v: number, t: number) => number): Block => {
  const block = floatsOnly(given)
  const { values } = block
  points(block, (k, t) => {
    values[k] = f(values[k]!, t)
  })
  return dropName(block)
}

export const negate = (block: Block): Block => {
  const { values, cells } = block
  points(block, (k) => {
    values[k] = -values[k]!
    if (cells?.[k]) cells[k] = times(cells[k], -1)
  })
  return dropName(block)
}
