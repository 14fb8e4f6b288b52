// Sends an answer piece by piece, at the client's pace.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Asked } from './asked.ts'
import { failureOf } from './errors.ts'
import { SqlError } from './tokens.ts'

/** Resolves when `out` takes more, rejects when the client has gone. */
const drained = async (out: NodeJS.WritableStream, response: ServerResponse): Promise<void> => {
  const stop = new AbortController()
  try {
    await Promise.race([
      new Promise<void>((resolve) => out.once('drain', resolve)),
      finished(response, { signal: stop.signal }),
    ])
  } finally {
    stop.abort()
  }
  if (response.destroyed) throw new SqlError(210, 'The client has gone. (NETWORK_ERROR)')
}

/** Sends pieces as they come; an error after the first piece is told in the body under a tag, as servers since 25.11 do. */
export const sendPieces = async (
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked,
  pieces: AsyncGenerator<Buffer>,
  headers: Readonly<Record<string, string>>,
  version: string,
): Promise<void> => {
  const first = await pieces.next()
  const tag = randomBytes(8).toString('hex')
  const gzip =
    asked.url.get('enable_http_compression') === '1' &&
    /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
  response.writeHead(200, {
    ...headers,
    'x-clickhouse-exception-tag': tag,
    ...(gzip ? { 'content-encoding': 'gzip' } : {}),
  })
  const out = gzip ? createGzip({ level: 1 }) : response
  if (gzip) out.pipe(response)
  try {
    for (let piece = first; !piece.done; piece = await pieces.next()) {
      if (!out.write(piece.value)) await drained(out, response)
    }
  } catch (error) {
    const text = `${failureOf(error, version).text}\n`
    out.write(`\r\n__exception__\r\n${tag}\r\n${text}${Buffer.byteLength(text)} ${tag}\r\n__exception__\r\n`)
  } finally {
    await pieces.return(undefined)
  }
  out.end()
}
