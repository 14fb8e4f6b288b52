// What a reader says of a plan that would answer more than it may.
import { AppError } from '../lib/errors.ts'
import type { Scan } from '../model/plan.ts'

/** The error of a plan that would answer more than it may. */
export const overLimit = (plan: Scan, series: boolean): AppError =>
  new AppError(
    'limit_exceeded',
    series
      ? `more than ${plan.limits.series} series match; narrow the selector`
      : `more than ${plan.limits.samples} samples match; narrow the selector or shorten the range`,
  )
