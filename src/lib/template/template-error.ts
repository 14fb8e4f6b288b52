// A template's errors: each names the template, line, column and what is wrong.
import { AppError } from '../errors.ts'
import type { Offset, Source } from './ast.ts'

/** `template name:line:column: message`, line and column from 1. */
export const templateError = (source: Source, at: Offset, message: string, cause?: unknown): AppError => {
  const before = source.text.slice(0, at)
  const line = before.split('\n').length
  const column = at - before.lastIndexOf('\n')
  return new AppError(
    'bad_data',
    `template ${source.name}:${line}:${column}: ${message}`,
    cause === undefined ? {} : { cause },
  )
}
