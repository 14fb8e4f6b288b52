// Takes request bodies: small ones as text, inserts into a file in shared memory that the engine reads.
import { closeSync, mkdirSync, openSync, rmSync, writevSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { SqlError } from './tokens.ts'

const tooLarge = (most: number): SqlError =>
  new SqlError(354, `Request body is over ${most} bytes. (TOO_LARGE_REQUEST_BODY)`)

/** The body with its Content-Encoding undone. */
export const decoded = (request: IncomingMessage): Readable => {
  const encoding = request.headers['content-encoding']?.toLowerCase() ?? ''
  const through = (stream: NodeJS.ReadWriteStream): Readable => {
    request.on('error', (error) => (stream as unknown as Readable).destroy(error))
    return request.pipe(stream) as unknown as Readable
  }
  switch (encoding) {
    case '':
    case 'identity':
      return request
    case 'gzip':
    case 'x-gzip':
      return through(createGunzip())
    case 'deflate':
      return through(createInflate())
    case 'br':
      return through(createBrotliDecompress())
    case 'zstd':
      return through(createZstdDecompress())
    default:
      throw new SqlError(89, `Unknown compression method ${encoding}. (UNKNOWN_COMPRESSION_METHOD)`)
  }
}

/** The whole body; SqlError 354 past `most` bytes. */
export const wholeBody = async (request: IncomingMessage, most: number): Promise<Buffer> => {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of decoded(request)) {
    size += (part as Buffer).length
    if (size > most) throw tooLarge(most)
    parts.push(part as Buffer)
  }
  if (!request.complete) throw new SqlError(210, 'The request ended early. (NETWORK_ERROR)')
  return Buffer.concat(parts)
}

export interface Spool {
  readonly path: string
  readonly bytes: number
  drop(): void
}

const flushAt = 4 << 20

/** Bodies said to be larger than this go to the last directory (a disk): shared memory is small in containers. */
const memoryMost = 32 << 20

const made = (dirs: readonly string[]): string[] => {
  const good: string[] = []
  let problem: unknown
  for (const dir of dirs) {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      good.push(dir)
    } catch (error) {
      problem = error
    }
  }
  if (good.length === 0)
    throw new Error(`no directory for insert data can be made: ${dirs.join(', ')}`, { cause: problem })
  return good
}

export interface Spooler {
  /** Writes `head` and the body into a file. `expected` is the body's size as its sender says it, 0 when it does not. */
  fill(head: Buffer, body: Readable | null, expected: number): Promise<Spool>
  close(): void
}

/**
 * Files for insert data, in shared memory where there is some. Writes there are copies of memory, so they are done at once and not through the
 * thread pool.
 */
export const createSpooler = (wanted: readonly string[], most: number): Spooler => {
  const dirs = made(wanted)
  let serial = 0
  return {
    fill: async (head, body, expected) => {
      const dir = expected > memoryMost ? dirs.at(-1)! : dirs[0]!
      const path = join(dir, `insert-${++serial}`)
      const file = openSync(path, 'wx', 0o600)
      const drop = (): void => rmSync(path, { force: true })
      let bytes = 0
      let held: Buffer[] = head.length > 0 ? [head] : []
      let heldBytes = head.length
      const flush = (): void => {
        for (let i = 0; i < held.length; i += 512) writeAll(file, held.slice(i, i + 512))
        bytes += heldBytes
        held = []
        heldBytes = 0
      }
      try {
        for await (const part of body ?? []) {
          held.push(part as Buffer)
          heldBytes += (part as Buffer).length
          if (bytes + heldBytes > most) throw tooLarge(most)
          if (heldBytes >= flushAt) flush()
        }
        flush()
        return { path, bytes, drop }
      } catch (error) {
        drop()
        throw error
      } finally {
        closeSync(file)
      }
    },
    close: () => {
      for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
    },
  }
}

const writeAll = (file: number, parts: readonly Buffer[]): void => {
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  const written = writevSync(file, parts)
  if (written === size) return
  // A full disk ends in an error on the next write; a short one goes on where it stopped.
  const rest = Buffer.concat(parts).subarray(written)
  writeAll(file, [rest])
}
