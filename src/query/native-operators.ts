// Binary operators where a side is a native histogram.
import { added, over, sameHistogram, times } from '../model/native-arithmetic.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import type { Told } from './leaf.ts'
import { reconciled, resetCollision, wrongLayouts, wrongTypes } from './native-notes.ts'
import { trimmed } from './native-trim.ts'

/** One value of a vector. */
export type Cell = number | NativeHistogram

export const isTrim = (op: string): boolean => op === '</' || op === '>/'

const typeOf = (cell: Cell): string => (typeof cell === 'number' ? 'float' : 'histogram')

const refuse = ({ run, from }: Told, op: string, a: Cell, b: Cell): null => {
  run.inform(wrongTypes(op, typeOf(a), typeOf(b)), from)
  return null
}

const plusMinus = (
  told: Told,
  op: '+' | '-',
  a: NativeHistogram,
  b: NativeHistogram,
): NativeHistogram | null => {
  const { run, from } = told
  const made = added(a, b, op === '+' ? 1 : -1)
  if (!made) {
    run.warn(wrongLayouts(op), from)
    return null
  }
  const what = op === '+' ? 'addition' : 'subtraction'
  if (made.collision) run.warn(resetCollision(what), from)
  if (made.reconciled) run.inform(reconciled(what), from)
  return op === '+' ? made.value : { ...made.value, hint: 'gauge' }
}

/**
 * What comes of an operator between two values of which one is a histogram (or of a trim): null with a note where Prometheus has no answer.
 * `holds` is what a comparison comes to.
 */
export const meet = (
  told: Told,
  op: string,
  a: Cell,
  b: Cell,
): { readonly value: Cell; readonly holds: boolean } | null => {
  if (typeof a === 'number') {
    if (typeof b !== 'number' && op === '*') return { value: times(b, a), holds: true }
    return refuse(told, op, a, b)
  }
  if (typeof b === 'number') {
    if (op === '*') return { value: times(a, b), holds: true }
    if (op === '/') return { value: over(a, b), holds: true }
    if (isTrim(op)) return { value: trimmed(a, b, op === '</'), holds: true }
    return refuse(told, op, a, b)
  }
  if (op === '==') return { value: a, holds: sameHistogram(a, b) }
  if (op === '!=') return { value: a, holds: !sameHistogram(a, b) }
  if (op !== '+' && op !== '-') return refuse(told, op, a, b)
  const value = plusMinus(told, op, a, b)
  return value && { value, holds: true }
}
