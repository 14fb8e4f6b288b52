// Airboss as its users run it: a process of its own, started from this checkout.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'

export interface Product {
  readonly pid: number
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly clickhouse: string
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>
  stop(): Promise<void>
}

export interface ProductOptions {
  readonly root: string
  readonly data: string
  readonly config: string
  /** Where its log goes. */
  readonly log: string
  /** Free ports instead of the usual ones. */
  readonly anyPorts: boolean
}

const taken = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
  })

/** One that nobody holds at this moment: links that people get name the port, so it must be known before the start. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** The usual port where nobody listens, else a free one. */
const address = async (port: number, any: boolean): Promise<string> =>
  `127.0.0.1:${any || (await taken(port)) ? await freePort() : port}`

const readyLine = (
  child: ChildProcess,
  seconds: number,
  lastWords: () => string,
): Promise<Omit<Product, 'ended' | 'stop'>> =>
  new Promise((resolve, reject) => {
    let said = ''
    const late = setTimeout(
      () => reject(new Error(`Airboss was not ready within ${seconds} s`)),
      seconds * 1000,
    )
    child.stdout!.on('data', (part) => {
      said += part
      const line = said.split('\n').find((l) => l.includes('"msg":"ready"') && l.endsWith('}'))
      if (!line) return
      clearTimeout(late)
      resolve(JSON.parse(line))
    })
    child.once('close', (code) => {
      clearTimeout(late)
      reject(new Error(`Airboss ended with ${code} before it was ready:\n${lastWords()}`))
    })
  })

/** Starts it and waits for its ready line. It is ended by `stop()`: a terminal's Ctrl-C does not reach it. */
export const startProduct = async (options: ProductOptions): Promise<Product> => {
  const { root, data, config, anyPorts } = options
  const flags = {
    '--config': config,
    '--data': data,
    '--listen': await address(9900, anyPorts),
    '--otlp-http': await address(4318, anyPorts),
    '--otlp-grpc': await address(4317, anyPorts),
    '--clickhouse': await address(8123, anyPorts),
    '--log-level': 'info',
  }
  const args = [join(root, 'src/main.ts'), 'serve', ...Object.entries(flags).flat()]
  const child = spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = createWriteStream(options.log)
  child.stderr.pipe(log)
  let lastWords = ''
  child.stderr.on('data', (part) => {
    lastWords = `${lastWords}${part}`.slice(-1000)
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(late)
  }
  try {
    const ready = await readyLine(child, 60, () => lastWords)
    return { ...ready, ended, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
