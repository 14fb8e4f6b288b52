// Back-pressure: how many bytes of requests may be worked on at once.
import { AppError } from './errors.ts'

export interface InFlight {
  /** Takes room for `bytes`; call what it returns when the request is answered. Throws `unavailable` (503) when there is none. */
  enter(bytes: number): () => void
  readonly bytes: number
}

/** Room for `maxBytes` in all. One request alone always gets in, however large. */
export const createInFlight = (maxBytes: number): InFlight => {
  let held = 0
  return {
    get bytes() {
      return held
    },
    enter: (bytes) => {
      if (held > 0 && held + bytes > maxBytes)
        throw new AppError(
          'unavailable',
          `${held} bytes of requests are being worked on, at most ${maxBytes}; send it again`,
          {
            retryAfter: 1000,
          },
        )
      held += bytes
      let open = true
      return () => {
        if (open) held -= bytes
        open = false
      }
    },
  }
}
