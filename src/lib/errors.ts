// Errors with codes: what went wrong, in words with the mend, and whether trying again can help.

/** Every code an error of ours may carry, with the HTTP status it maps to. */
export const codes = {
  bad_data: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unsupported_media: 415,
  execution: 422,
  limit_exceeded: 422,
  too_many: 429,
  canceled: 499,
  internal: 500,
  unavailable: 503,
  timeout: 503,
  storage_full: 503,
} as const

export type Code = keyof typeof codes

export interface AppErrorOptions {
  readonly retryable?: boolean
  readonly status?: number
  readonly cause?: unknown
  /** How long a client should wait before it tries again, in milliseconds. */
  readonly retryAfter?: number
}

export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: Code
  readonly retryable: boolean
  readonly status: number
  readonly retryAfter: number | undefined
  constructor(code: Code, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = options.status ?? codes[code]
    this.retryable = options.retryable ?? (this.status === 429 || this.status >= 502)
    this.retryAfter = options.retryAfter
  }
}

/** The message of anything thrown, for people. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** An AppError as it is; anything else wrapped as `internal`. */
export const asAppError = (error: unknown): AppError =>
  error instanceof AppError ? error : new AppError('internal', messageOf(error), { cause: error })
