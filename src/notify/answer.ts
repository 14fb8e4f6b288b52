// What an HTTP answer means for a delivery.
import { asAppError } from '../lib/errors.ts'
import type { HttpResponse } from '../lib/http.ts'
import { type Duration, duration, type Instant } from '../lib/time.ts'
import type { Delivery } from '../model/ports/notifier.ts'

/** The wait a Retry-After header asks for (seconds, or an HTTP date), or null. */
export const retryAfter = (header: string | undefined, now: Instant): Duration | null => {
  if (header === undefined) return null
  if (/^\d+$/.test(header.trim())) return duration(Number(header) * 1000)
  const m = /^\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}:\d{2}:\d{2}) GMT$/.exec(header.trim())
  const month = m ? 'JanFebMarAprMayJunJulAugSepOctNovDec'.indexOf(m[2]!) / 3 + 1 : 0
  if (!m || month < 1) return null
  const at = Temporal.Instant.from(`${m[3]}-${String(month).padStart(2, '0')}-${m[1]}T${m[4]}Z`)
  return duration(Math.max(at.epochMilliseconds - now, 0))
}

/** 2xx is done; 429 and 5xx are worth another try; anything else is refused with the start of the receiver's own words. */
export const deliveryOf = (answer: HttpResponse, now: Instant): Delivery => {
  const { status } = answer
  if (status >= 200 && status < 300) return { outcome: 'sent' }
  const words = answer.body.toString('utf8', 0, 400).replaceAll(/\s+/g, ' ').trim()
  const why = `answered ${status}${words ? `: ${words}` : ''}`
  if (status === 429 || status >= 500)
    return { outcome: 'retry', why, after: retryAfter(answer.headers['retry-after'], now) }
  return { outcome: 'refused', why }
}

/** A thrown error as a delivery: what the network did is worth another try, what our own configuration did is not. */
export const deliveryOfError = (error: unknown): Delivery => {
  const { message, retryable, retryAfter: after } = asAppError(error)
  return retryable
    ? { outcome: 'retry', why: message, after: after === undefined ? null : duration(after) }
    : { outcome: 'refused', why: message }
}
