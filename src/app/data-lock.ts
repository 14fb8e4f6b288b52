// One process a data directory: a name in the kernel that goes when the process goes, however it dies.
import { createHash } from 'node:crypto'
import { mkdirSync, realpathSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { platform } from 'node:os'
import { AppError } from '../lib/errors.ts'

/** Takes the directory; throws `conflict` when another Airboss has it. Only Linux has such names; elsewhere the engine's own lock must do. */
export const lockData = (dir: string): Promise<{ release(): void }> => {
  mkdirSync(dir, { recursive: true })
  if (platform() !== 'linux') return Promise.resolve({ release: () => {} })
  const name = createHash('sha256').update(realpathSync(dir)).digest('hex')
  return new Promise((resolve, reject) => {
    const server: Server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new AppError(
              'conflict',
              `${dir} is in use by another Airboss; stop it, or give another --data directory`,
            )
          : new AppError('unavailable', `locking ${dir}: ${error.message}`, { cause: error }),
      ),
    )
    server.listen(`\0airboss-${name}`, () => {
      server.unref()
      resolve({ release: () => server.close() })
    })
  })
}
