// Starts the embedded engine's process, watches it, starts it again when it dies, and stops it.
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backoff } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import { createHttp } from '../../lib/http.ts'
import type { Logger } from '../../lib/log.ts'
import { duration, second } from '../../lib/time.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { EngineMessage, EngineOptions } from './process.ts'

export interface EngineDeps {
  /** Data directory; made when it is not there. */
  readonly dir: string
  /** Cap of the engine's memory, in bytes. */
  readonly memoryBytes: number
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Parallel reads. */
  readonly readers?: number
  /** Threads one query may use. */
  readonly threads?: number
}

export interface Credentials {
  readonly user: string
  readonly password: string
}

export interface Engine extends Service {
  /** Where the engine listens; null while it is starting, stalled or dead. */
  url(): string | null
  readonly credentials: Credentials
  pid(): number | null
}

const startWithin = duration(30_000)
const checkEvery = duration(1000)
const checkWithin = duration(3000)
/** A process that answered no check for this long is ended and started again. */
const stalledFor = duration(60_000)
// What was inserted is on disk: an engine that takes longer only holds up the end.
const stopWithin = duration(3000)

type Exit = (why: string) => void

class EngineProcess implements Engine {
  readonly credentials: Credentials = {
    user: 'airboss',
    password: randomBytes(24).toString('base64url'),
  }
  readonly #deps: EngineDeps
  readonly #restarts
  readonly #up
  readonly #http = createHttp({ connections: 1 })
  #child: ChildProcess | null = null
  #port = 0
  #answers = false
  #stopping = false
  #failures = 0
  #stop = new AbortController()
  #exited: Promise<void> = Promise.resolve()

  constructor(deps: EngineDeps) {
    this.#deps = deps
    this.#restarts = deps.metrics.counter(
      'airboss_engine_restarts_total',
      'Times the embedded engine was started again after it ended by itself',
    )
    this.#up = deps.metrics.gauge('airboss_engine_up', 'Whether the embedded engine answers')
  }

  url(): string | null {
    return this.#answers ? `http://127.0.0.1:${this.#port}` : null
  }

  pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Resolves when the engine answers; rejects `unavailable` when it cannot be started at all. */
  async start(): Promise<void> {
    this.#stopping = false
    this.#stop = new AbortController()
    mkdirSync(this.#deps.dir, { recursive: true, mode: 0o700 })
    const { clock } = this.#deps
    const until = clock.monotonic() + startWithin
    // The process of a run that was killed a moment ago may still hold the directory.
    for (let n = 1; ; n++) {
      try {
        await this.#spawn()
        return
      } catch (error) {
        if (clock.monotonic() >= until || !(error instanceof AppError && error.retryable)) throw error
        await clock.sleep(backoff({ first: duration(100), most: second }, n), this.#stop.signal)
      }
    }
  }

  async drain(): Promise<void> {
    this.#stopping = true
    this.#stop.abort()
    const child = this.#child
    if (child) {
      // One that does not answer would not hear either.
      if (this.#answers && child.connected) child.send('stop', () => {})
      else child.kill('SIGKILL')
      this.#mark(false)
      const ended = new AbortController()
      const late = this.#deps.clock
        .sleep(stopWithin, ended.signal)
        .then(() => child.kill('SIGKILL'))
        .catch(() => false)
      await this.#exited
      ended.abort()
      await late
    }
    await this.#http.close()
  }

  #options(): EngineOptions {
    return {
      dir: resolve(this.#deps.dir),
      memoryBytes: this.#deps.memoryBytes,
      readers: this.#deps.readers ?? 4,
      threads: this.#deps.threads ?? 4,
      queue: 200,
      maxBodyBytes: 256 << 20,
      ...this.credentials,
    }
  }

  #spawn(): Promise<void> {
    const here = fileURLToPath(import.meta.url)
    // Beside this file: .ts in a checkout, .js in the package.
    const entry = fileURLToPath(new URL(`./process${extname(here)}`, import.meta.url))
    const child = fork(entry, ['--airboss-engine', resolve(this.#deps.dir)], {
      env: {
        PATH: '/usr/bin:/bin',
        TZ: 'UTC',
        UV_THREADPOOL_SIZE: '24',
        AIRBOSS_ENGINE: JSON.stringify(this.#options()),
      },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child = child
    this.#exited = new Promise((gone) => child.once('exit', () => gone()))
    this.#listenTo(child)
    return new Promise((started, failed) => {
      let settled = false
      let up = false
      const give: Exit = (why) => {
        if (settled) return
        settled = true
        failed(new AppError('unavailable', `the embedded engine did not start: ${why}`, { retryable: true }))
      }
      const late = this.#deps.clock.after(startWithin, () => child.kill('SIGKILL'))
      child.once('message', (message: EngineMessage) => {
        late.cancel()
        if (message.kind === 'failed') return give(message.message)
        settled = true
        up = true
        this.#port = message.port
        this.#failures = 0
        this.#mark(true)
        this.#deps.log.info({ pid: child.pid, port: message.port }, 'embedded engine is up')
        void this.#watch(child)
        started()
      })
      child.once('error', (error) => give(messageOf(error)))
      child.once('exit', (code, signal) => {
        late.cancel()
        give(`it ended with ${signal ?? code}`)
        if (this.#child === child) this.#child = null
        this.#mark(false)
        if (up && !this.#stopping) this.#again(signal ?? `code ${code}`)
      })
    })
  }

  #listenTo(child: ChildProcess): void {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n'))
        if (line.trim() !== '') this.#deps.log.warn({ line: line.slice(0, 2000) }, 'embedded engine says')
    })
  }

  #again(why: string): void {
    this.#restarts.add()
    const { clock, log } = this.#deps
    const attempt = async (): Promise<void> => {
      while (!this.#stopping) {
        try {
          await this.#spawn()
          return
        } catch (error) {
          this.#failures++
          log.warn({ err: error, attempt: this.#failures }, 'embedded engine did not start again')
          await clock.sleep(
            backoff({ first: duration(200), most: duration(10_000) }, this.#failures),
            this.#stop.signal,
          )
        }
      }
    }
    log.error({ why }, 'embedded engine ended; it is started again')
    attempt().catch((error: unknown) => {
      if (!this.#stopping) log.error({ err: error }, 'embedded engine is no longer started')
    })
  }

  #mark(up: boolean): void {
    this.#answers = up
    this.#up.set(up ? 1 : 0)
  }

  /** Asks for a ping every second; no answer makes `url()` null until there is one again. */
  async #watch(child: ChildProcess): Promise<void> {
    const { clock, log } = this.#deps
    const url = `http://127.0.0.1:${this.#port}/ping`
    let silentSince: number | null = null
    while (this.#child === child && !this.#stopping) {
      const asked = clock.monotonic()
      const good = await this.#http
        .send({ url, signal: clock.timeout(checkWithin) })
        .then((answer) => answer.status === 200)
        .catch(() => false)
      if (this.#child !== child || this.#stopping) return
      if (good !== this.#answers)
        log.warn(
          { pid: child.pid },
          good ? 'embedded engine answers again' : 'embedded engine does not answer',
        )
      this.#mark(good)
      silentSince = good ? null : (silentSince ?? asked)
      if (silentSince !== null && clock.monotonic() - silentSince > stalledFor) {
        log.error({ pid: child.pid }, 'embedded engine was silent too long and is ended')
        child.kill('SIGKILL')
        return
      }
      await clock.sleep(checkEvery).catch(() => undefined)
    }
  }
}

/** The embedded engine. `start` resolves when it answers; afterwards it is kept up until `drain`. */
export const createEngine = (deps: EngineDeps): Engine => new EngineProcess(deps)
