// The embedded engine's own process: opens the data directory and serves the ClickHouse HTTP interface on a loopback port.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../lib/clock.ts'
import { createFront, type Front } from './front.ts'
import { openSessions, type Sessions } from './sessions.ts'

/** What the parent sends in the environment, as JSON, so that no password stands on the command line. */
export interface EngineOptions {
  readonly dir: string
  readonly memoryBytes: number
  readonly readers: number
  readonly threads: number
  readonly queue: number
  readonly maxBodyBytes: number
  readonly user: string
  readonly password: string
}

export type EngineMessage =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly message: string }

const tell = (message: EngineMessage): Promise<void> =>
  new Promise((resolve) => (process.connected ? process.send!(message, () => resolve()) : resolve()))

/** Ends this process when the one that started it is gone, whichever way it is noticed first. */
const followParent = (end: () => void): void => {
  const parent = process.ppid
  process.on('disconnect', end)
  setInterval(() => {
    if (process.ppid !== parent) end()
  }, 500).unref()
}

const spoolRoots = (): string[] => ['/dev/shm', tmpdir()]
const spoolName = 'airboss-engine-'
const spoolDirs = (): string[] => spoolRoots().map((dir) => join(dir, `${spoolName}${process.pid}`))

/** Insert data of an engine that was killed stay in shared memory until somebody sweeps. */
const sweep = (): void => {
  for (const root of spoolRoots()) {
    if (!existsSync(root)) continue
    for (const name of readdirSync(root)) {
      const pid = name.startsWith(spoolName) ? Number(name.slice(spoolName.length)) : 0
      if (pid > 0 && !runs(pid)) rmSync(join(root, name), { recursive: true, force: true })
    }
  }
}

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is there, but somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Says which process holds a data directory, and which process that one belongs to. */
interface Holder {
  readonly pid: number
  readonly parent: number
}

/**
 * An engine that stands still (SIGSTOP, a frozen disk) when its parent dies cannot notice and would hold the directory for ever: the
 * next engine ends it. One whose parent lives is left alone.
 */
const takeOver = (dir: string): void => {
  const path = join(dir, 'airboss-engine.json')
  if (existsSync(path)) {
    const { pid, parent } = JSON.parse(readFileSync(path, 'utf8') || '{}') as Partial<Holder>
    const cmdline = `/proc/${pid}/cmdline`
    const ours =
      pid !== undefined && existsSync(cmdline) && readFileSync(cmdline, 'utf8').includes('--airboss-engine')
    if (ours && parent !== undefined && !runs(parent)) {
      process.kill(pid, 'SIGKILL')
      for (const root of spoolRoots())
        rmSync(join(root, `${spoolName}${pid}`), { recursive: true, force: true })
    }
  }
  const holder: Holder = { pid: process.pid, parent: process.ppid }
  writeFileSync(`${path}.new`, JSON.stringify(holder))
  renameSync(`${path}.new`, path)
}

const open = async (options: EngineOptions): Promise<{ sessions: Sessions; front: Front }> => {
  const sessions = openSessions(options)
  const never = new AbortController().signal
  const lease = await sessions.acquire('control', never)
  const row = (
    await lease.session.queryAsync('SELECT version(), timezone()', { format: 'TabSeparated' })
  ).text()
  lease.release()
  const [version = '', timezone = 'UTC'] = row.trim().split('\t')
  const front = createFront({
    runner: {
      sessions,
      clock: systemClock,
      warn: (message, error) => console.error(`${message}: ${String(error)}`),
    },
    user: options.user,
    password: options.password,
    version,
    timezone,
    spoolDirs: spoolDirs(),
    maxBodyBytes: options.maxBodyBytes,
  })
  return { sessions, front }
}

const main = async (): Promise<void> => {
  const dropFiles = (): void => {
    for (const dir of spoolDirs()) rmSync(dir, { recursive: true, force: true })
  }
  // Inserts are on disk when they are answered, so ending at once is safe; closing connections under running queries is not.
  followParent(() => {
    dropFiles()
    process.kill(process.pid, 'SIGKILL')
  })
  // The parent decides when the engine ends: a Ctrl-C or a service manager's SIGTERM reaches the whole group.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  let stop = (): void => process.exit(0)
  process.on('message', (message) => {
    if (message === 'stop') stop()
  })
  try {
    sweep()
    const { AIRBOSS_ENGINE: given } = process.env
    const options = JSON.parse(given ?? '{}') as EngineOptions
    Reflect.deleteProperty(process.env, 'AIRBOSS_ENGINE')
    takeOver(options.dir)
    const { sessions, front } = await open(options)
    const server = createServer({ keepAliveTimeout: 30_000, requestTimeout: 0 }, (request, response) =>
      front.handle(request, response),
    )
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      void tell({ kind: 'listening', port })
    })
    stop = () => {
      server.close(() => {
        front.close()
        sessions.close()
        process.exit(0)
      })
      server.closeIdleConnections()
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    dropFiles()
    await tell({ kind: 'failed', message })
    process.exit(3)
  }
}

void main()
