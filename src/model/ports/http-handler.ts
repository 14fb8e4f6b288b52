// HTTP without a framework, so that receivers own none.

export interface HandlerRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}
export interface HandlerResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}
export interface HttpHandler {
  /** Longest body this handler takes, in bytes; more is answered 413 before it is read whole. */
  readonly maxBytes: number
  handle(request: HandlerRequest, signal: AbortSignal): Promise<HandlerResponse>
}
