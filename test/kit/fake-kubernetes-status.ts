// Errors as a Kubernetes API server words them: a Status object with reason, message and code.

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind pass through a server
export type Json = any

export class StatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: Json
  constructor(code: number, reason: string, message: string, details: Json = undefined) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }
  body(): Json {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    }
  }
}

export const expired = (message: string): StatusError => new StatusError(410, 'Expired', message)
