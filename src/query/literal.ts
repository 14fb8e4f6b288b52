// Reads PromQL's number and duration literals.
import { parseDuration } from '../lib/time.ts'

/**
 * A number's value, or null when it is none. Go's forms: decimal, exponent, `0x` hexadecimal, octal with a leading zero, `_` between
 * digits, `Inf` and `NaN` in any case, and durations (`1h30m`), whose value is in seconds.
 */
export const readNumber = (raw: string): { value: number; duration: boolean } | null => {
  const text = raw.replaceAll('_', '').toLowerCase()
  if (/^0[0-7]+$/.test(text)) return { value: Number.parseInt(text, 8), duration: false }
  if (text === 'inf' || text === '+inf') return { value: Number.POSITIVE_INFINITY, duration: false }
  if (text === 'nan') return { value: Number.NaN, duration: false }
  if (/^(0x[0-9a-f]+|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/.test(text))
    return { value: Number(text), duration: false }
  const length = parseDuration(raw)
  return length === null ? null : { value: length / 1000, duration: true }
}
