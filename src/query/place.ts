// Errors that say where in an expression something is wrong, by line and column.
import { AppError } from '../lib/errors.ts'

/** `line:column`, both from 1, of an offset into a text; columns count code points. */
export const placeOf = (text: string, offset: number): string => {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return `${line}:${[...before.slice(before.lastIndexOf('\n') + 1)].length + 1}`
}

/** A `bad_data` error in Prometheus's form: `1:5: parse error: …`. */
export const parseError = (text: string, offset: number, message: string): AppError =>
  new AppError('bad_data', `${placeOf(text, offset)}: parse error: ${message}`)
