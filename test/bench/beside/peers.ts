// Starts Airboss and Prometheus as they are run, each with a directory of its own, and reads what they use from /proc.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** How far back in time samples are taken; what is loaded as history is older than the default of an hour. */
const acceptedAge = '4h'

export interface Peer {
  readonly name: 'airboss' | 'prometheus'
  /** Where its HTTP API listens. */
  readonly url: string
  /** From the start of the process until it takes requests, in ms. */
  readonly startedIn: number
  /** CPU seconds of every process of it so far. */
  cpu(): number
  /** Resident memory of every process of it, in MB. */
  rss(): number
  /** Makes these rules, and no others, the ones it evaluates every `interval` seconds; null for none. */
  rules(text: string | null): Promise<void>
  /** Rows it took that are not in its store yet. */
  waiting(): Promise<number>
  stop(): Promise<void>
}

const stat = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ')

/** The processes of a session: a peer and whatever it started. */
const processesOf = (session: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return Number(stat(pid)[3]) === session
      } catch {
        // It has ended since the list was read.
        return false
      }
    })

/** A figure of every process of a session that is still there, added up. */
const total = (session: number, figure: (pid: number) => number): number =>
  processesOf(session).reduce((sum, pid) => {
    try {
      return sum + figure(pid)
    } catch {
      return sum
    }
  }, 0)

// Linux counts these in hundredths of a second on every platform Node runs on.
const cpuOf = (pid: number): number => (Number(stat(pid)[11]) + Number(stat(pid)[12])) / 100
const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024

const begin = (
  command: string,
  args: readonly string[],
): { child: ChildProcess; said: () => string; ended: () => boolean } => {
  // A session of its own, so that what it starts is counted and ended with it.
  const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-20_000)
    })
  return { child, said: () => text, ended: () => child.exitCode !== null || child.signalCode !== null }
}

const until = async <T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | null> | T | null,
): Promise<T> => {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const found = await ask()
    if (found !== null) return found
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`)
    await sleep(5)
  }
}

const end = async (child: ChildProcess): Promise<void> => {
  const session = child.pid!
  if (child.exitCode === null) child.kill('SIGTERM')
  await until('stop', 30, () => (processesOf(session).length === 0 ? true : null)).catch(() => {
    for (const pid of processesOf(session)) process.kill(pid, 'SIGKILL')
  })
}

/** Sum of a metric's samples on `/metrics`. */
const metric = async (url: string, name: string): Promise<number> => {
  const text = await (await fetch(`${url}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

const reload = async (child: ChildProcess, url: string, groups: number): Promise<void> => {
  child.kill('SIGHUP')
  await until('reload', 30, async () => {
    const answer = (await (await fetch(`${url}/api/v1/rules`)).json()) as { data: { groups: unknown[] } }
    return answer.data.groups.length === groups ? true : null
  })
}

export const airbossConfig = `host: { enabled: false }
rule_files: [rules.yaml]
self: { interval: 1h }
storage: { out_of_order_time_window: ${acceptedAge} }
`
/** `node` options for the profile of a run: AIRBOSS_BENCH_NODE="--cpu-prof --cpu-prof-dir=/tmp/p". */
const nodeOptions = (process.env['AIRBOSS_BENCH_NODE'] ?? '').split(' ').filter(Boolean)
const noRules = 'groups: []\n'

export const startAirboss = async (dir: string): Promise<Peer> => {
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'airboss.yaml')
  const rules = join(dir, 'rules.yaml')
  writeFileSync(config, airbossConfig)
  writeFileSync(rules, noRules)
  const any = ['--listen', '--otlp-http', '--otlp-grpc', '--clickhouse'].flatMap((flag) => [
    flag,
    '127.0.0.1:0',
  ])
  const begunAt = performance.now()
  const { child, said, ended } = begin(process.execPath, [
    ...nodeOptions,
    'src/main.ts',
    'serve',
    '--config',
    config,
    '--data',
    join(dir, 'data'),
    ...any,
  ])
  const ready = await until('Airboss', 60, () => {
    if (ended()) throw new Error(`Airboss ended:\n${said()}`)
    const line = said()
      .split('\n')
      .find((l) => l.includes('"msg":"ready"') && l.endsWith('}'))
    return line ? (JSON.parse(line) as { http: string }) : null
  })
  const startedIn = performance.now() - begunAt
  const url = ready.http
  return {
    name: 'airboss',
    url,
    startedIn,
    cpu: () => total(child.pid!, cpuOf),
    rss: () => total(child.pid!, rssOf),
    rules: async (text) => {
      writeFileSync(rules, text ?? noRules)
      await reload(child, url, text ? 1 : 0)
    },
    waiting: async () =>
      (await metric(url, 'airboss_log_samples_total')) - (await metric(url, 'airboss_log_stored_rows_total')),
    stop: () => end(child),
  }
}

export const prometheusConfig = `global: { scrape_interval: 1h, evaluation_interval: 4s }
rule_files: [rules.yaml]
storage: { tsdb: { out_of_order_time_window: ${acceptedAge} } }
`

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** First line of `prometheus --version`; null where there is none. */
export const prometheusVersion = (): string | null => {
  const { status, stdout } = spawnSync('prometheus', ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0]!.replace(/ \(branch.*/, '') : null
}

export const startPrometheus = async (dir: string): Promise<Peer> => {
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'prometheus.yml')
  const rules = join(dir, 'rules.yaml')
  writeFileSync(config, prometheusConfig)
  writeFileSync(rules, noRules)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const begunAt = performance.now()
  const { child, said, ended } = begin('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--web.enable-remote-write-receiver',
    '--log.level=warn',
  ])
  await until('Prometheus', 60, async () => {
    if (ended()) throw new Error(`Prometheus ended:\n${said()}`)
    return await fetch(`${url}/-/ready`).then(
      (answer) => (answer.ok ? true : null),
      () => null,
    )
  })
  const startedIn = performance.now() - begunAt
  return {
    name: 'prometheus',
    url,
    startedIn,
    cpu: () => total(child.pid!, cpuOf),
    rss: () => total(child.pid!, rssOf),
    rules: async (text) => {
      writeFileSync(rules, text ?? noRules)
      await reload(child, url, text ? 1 : 0)
    },
    // What it has answered is in its head and log, which is where it stays for hours.
    waiting: () => Promise.resolve(0),
    stop: () => end(child),
  }
}
