// The product as its users run it: a process of its own on free ports, with an engine under it, started, asked, killed and swept away.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { until } from './until.ts'
import { type SentSeries, writeBody } from './write-request.ts'

const root = resolve(import.meta.dirname, '../..')
const pinned = join(root, 'node_modules/.bin/node')
/** The Node that the product ships with, whichever one runs the tests. */
export const node = existsSync(pinned) ? pinned : process.execPath

export interface ProductOptions {
  /** Files beside each other, by name; `airboss.yaml` is given as the configuration, other files it may name. */
  readonly files?: Readonly<Record<string, string>>
  /** A directory of an earlier run, to start again on; else a fresh one that goes with `dispose`. */
  readonly dir?: string
  readonly env?: Readonly<Record<string, string>>
  /** Further flags. */
  readonly args?: readonly string[]
  /** Milliseconds to the ready line. */
  readonly patience?: number
}

export interface QueryRow {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

export interface Product {
  readonly pid: number
  /** Addresses, `http://host:port`; `otlpGrpc` and `clickhouse` as the ready line says them. */
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly clickhouse: string
  /** Holds the files; the data is in `data` beneath it. */
  readonly dir: string
  readonly dataDir: string
  /** All it has said so far, standard output and error. */
  said(): string
  /** Changes a file of the configuration. */
  write(name: string, text: string): void
  /** A request to the main address; `path` begins with `/`. */
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** The rows of an instant vector, now or at a time in milliseconds; throws what the product says when it cannot answer. */
  query(expr: string, at?: number): Promise<QueryRow[]>
  /** The first value, or null where nothing matches. */
  value(expr: string, at?: number): Promise<number | null>
  /** Sends samples; throws unless they were taken. */
  remoteWrite(series: readonly SentSeries[]): Promise<void>
  /** Living processes: the product, its engine, and whatever else they started. */
  pids(): number[]
  enginePid(): number | null
  /** Sends a signal to the main process alone, or to everything. */
  signal(signal: NodeJS.Signals, whom?: 'main' | 'all'): void
  /** Signals the main process and resolves with its exit code when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** Ends what still runs and removes the directory, if it was made here. */
  dispose(): Promise<void>
}

/** The fields of /proc/PID/stat after the name, which may hold anything. */
const statOf = (pid: number): string[] | null => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(') ') + 2).split(' ')
  } catch {
    return null
  }
}

/** Processes of a session that are not dead already. */
const ofSession = (session: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const stat = statOf(pid)
      return stat !== null && Number(stat[3]) === session && stat[0] !== 'Z'
    })

const isEngine = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--airboss-engine')
  } catch {
    return false
  }
}

const killed = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

interface Ready {
  readonly pid: number
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly clickhouse: string
}

const readyIn = (said: string): Ready | null => {
  for (const line of said.split('\n')) {
    if (!line.startsWith('{"msg":"ready"') || !line.endsWith('}')) continue
    return JSON.parse(line) as Ready
  }
  return null
}

/** Runs a command of the product to its end. */
export const runProduct = async (
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> => {
  const child = spawn(node, [join(root, 'src/main.ts'), ...args], {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const code = await new Promise<number | null>((done) => child.once('close', (c) => done(c)))
  return { code, out, err }
}

const launch = (dir: string, options: ProductOptions): { child: ChildProcess; said: () => string } => {
  const config = join(dir, 'airboss.yaml')
  const free = ['--listen', '--otlp-http', '--otlp-grpc', '--clickhouse'].flatMap((f) => [f, '127.0.0.1:0'])
  const args = ['serve', '--data', join(dir, 'data'), ...free, ...(options.args ?? [])]
  if (existsSync(config)) args.push('--config', config)
  // A session of its own, so that all it starts can be found and ended, even when it is dead itself.
  const child = spawn(node, [join(root, 'src/main.ts'), ...args], {
    cwd: root,
    detached: true,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  return { child, said: () => said }
}

const write = (dir: string, name: string, text: string): void => {
  mkdirSync(dirname(join(dir, name)), { recursive: true })
  writeFileSync(join(dir, name), text)
}

/** Ends every process of the session, hard, and waits until they are gone. */
const sweep = (session: number): Promise<unknown> =>
  until(`the end of session ${session}`, () => {
    const left = ofSession(session)
    for (const pid of left) killed(pid, 'SIGKILL')
    return left.length === 0
  })

const asker = (http: string): Pick<Product, 'fetch' | 'query' | 'value' | 'remoteWrite'> => {
  const query: Product['query'] = async (expr, at) => {
    const body = new URLSearchParams({ query: expr })
    if (at !== undefined) body.set('time', String(at / 1000))
    const answer = await fetch(`${http}/api/v1/query`, { method: 'POST', body })
    const said = (await answer.json()) as { status: string; error?: string; data?: { result: QueryRow[] } }
    if (said.status !== 'success') throw new Error(`${expr}: ${said.error}`)
    return said.data!.result
  }
  return {
    fetch: (path, init) => fetch(`${http}${path}`, init),
    query,
    value: async (expr, at) => {
      const [row] = await query(expr, at)
      return row === undefined ? null : Number(row.value[1])
    },
    remoteWrite: async (series) => {
      const answer = await fetch(`${http}/api/v1/write`, { method: 'POST', ...writeBody(series) })
      if (!answer.ok) throw new Error(`remote write: ${answer.status} ${await answer.text()}`)
    },
  }
}

/** Starts the product and waits for its ready line; throws what it said when that does not come. */
export const startProduct = async (options: ProductOptions = {}): Promise<Product> => {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'airboss-product-'))
  for (const [name, text] of Object.entries(options.files ?? {})) write(dir, name, text)
  const { child, said } = launch(dir, options)
  const session = child.pid!
  let code: number | null | undefined
  const ended = new Promise<number | null>((done) =>
    child.once('exit', (c) => {
      code = c
      done(c)
    }),
  )
  const dispose = async (): Promise<void> => {
    await sweep(session)
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true })
  }
  const ready = await until(
    'the ready line',
    () => code !== undefined || readyIn(said()),
    options.patience ?? 60_000,
  )
    .then(() => readyIn(said()))
    .catch(() => null)
  if (!ready) {
    await dispose()
    throw new Error(`the product did not start (exit code ${code ?? 'none'}): ${said().slice(-2000)}`)
  }
  const pids = (): number[] => ofSession(session)
  return {
    ...asker(ready.http),
    pid: ready.pid,
    http: ready.http,
    otlpHttp: ready.otlpHttp,
    otlpGrpc: ready.otlpGrpc,
    clickhouse: ready.clickhouse,
    dir,
    dataDir: join(dir, 'data'),
    said,
    write: (name, text) => write(dir, name, text),
    pids,
    enginePid: () => pids().find(isEngine) ?? null,
    signal: (signal, whom = 'main') => {
      for (const pid of whom === 'main' ? [ready.pid] : pids()) killed(pid, signal)
    },
    stop: async (signal = 'SIGTERM') => {
      killed(ready.pid, signal)
      return ended
    },
    dispose,
  }
}
