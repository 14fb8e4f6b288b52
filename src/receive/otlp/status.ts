// What an OTLP receiver answers: the export response with partial success, and google.rpc.Status for errors, in protobuf and JSON.
import { type AppError, asAppError } from '../../lib/errors.ts'
import { bytesField, varintField } from '../../lib/protobuf.ts'
import type { Exported, Signal } from './exported.ts'

export type Encoding = 'protobuf' | 'json'

/** google.rpc.Code, those that are used. */
const rpcCodes = {
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
  canceled: 1,
} as const

export const rpcCodeOf = (error: AppError): number => {
  if (error.status === 401) return rpcCodes.unauthenticated
  if (error.status === 403) return rpcCodes.permissionDenied
  if (error.status === 404) return rpcCodes.notFound
  if (error.status === 413) return rpcCodes.resourceExhausted
  if (error.status === 499) return rpcCodes.canceled
  // What a client may send again must be a code that OTLP names retryable.
  if (error.status === 429 || error.status >= 502) return rpcCodes.unavailable
  return error.status < 500 ? rpcCodes.invalidArgument : rpcCodes.internal
}

const rejectedField: Readonly<Record<Signal, string>> = {
  metrics: 'rejectedDataPoints',
  traces: 'rejectedSpans',
  logs: 'rejectedLogRecords',
}

/** The export response: empty when everything was taken, as the protocol demands. */
export const exportResponse = (
  signal: Signal,
  encoding: Encoding,
  { rejected, message }: Exported,
): Buffer => {
  const full = rejected === 0 && message === ''
  if (encoding === 'json') {
    const partialSuccess = { [rejectedField[signal]]: String(rejected), errorMessage: message }
    return Buffer.from(JSON.stringify(full ? {} : { partialSuccess }))
  }
  return full
    ? Buffer.alloc(0)
    : bytesField(
        1,
        Buffer.concat([varintField(1, rejected), message === '' ? Buffer.alloc(0) : bytesField(2, message)]),
      )
}

/** How long a client should wait, in whole milliseconds; null where trying again cannot help. */
const retryDelay = (error: AppError): number | null =>
  error.retryable ? Math.max(1, Math.ceil(error.retryAfter ?? 1000)) : null

/** google.rpc.Status in protobuf, with RetryInfo where the client may try again. */
export const statusBytes = (thrown: unknown): Buffer => {
  const error = asAppError(thrown)
  const delay = retryDelay(error)
  const details: Buffer[] = []
  if (delay !== null) {
    const wait = Buffer.concat([
      varintField(1, Math.floor(delay / 1000)),
      varintField(2, (delay % 1000) * 1e6),
    ])
    const any = [
      bytesField(1, 'type.googleapis.com/google.rpc.RetryInfo'),
      bytesField(2, bytesField(1, wait)),
    ]
    details.push(bytesField(3, Buffer.concat(any)))
  }
  return Buffer.concat([varintField(1, rpcCodeOf(error)), bytesField(2, error.message), ...details])
}

export const statusJson = (thrown: unknown): Buffer => {
  const error = asAppError(thrown)
  return Buffer.from(JSON.stringify({ code: rpcCodeOf(error), message: error.message }))
}
