// A small real fleet: five processes instrumented with the OpenTelemetry SDK; one version breaks, one agent loops, load rises, and actions take effect.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { AgentOptions, Order } from './agent.ts'

export interface FleetOptions {
  /** Addresses as the ready line gives them. */
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  /** The checkout whose files are worked on. */
  readonly root: string
  /** How often each process exports, in milliseconds. */
  readonly exportEvery?: number
  /** When the new version of the pilot breaks, in milliseconds from the start. */
  readonly breakAfter?: number
  /** When the ranger begins to look the same thing up again and again. */
  readonly loopAfter?: number
  /** When seven times the tasks arrive at the clerk. */
  readonly loadAfter?: number
  /** Ends by itself after so many seconds; left out = at `stop()`. */
  readonly seconds?: number
  readonly say?: (line: string) => void
}

export interface Fleet {
  /** Carries out what Airboss asks for. Subjects that are not here are left alone. */
  act(action: { kind: string; subject: string; params: Record<string, unknown> }): void
  stop(): Promise<void>
  readonly members: readonly { agent: string; version: string; instance: string; pid: number }[]
}

type Role = Omit<AgentOptions, 'http' | 'otlpHttp' | 'otlpGrpc' | 'root' | 'exportEvery'>

const claude = { model: 'claude-sonnet-4-5', provider: 'anthropic' }
const haiku = { model: 'claude-haiku-4-5', provider: 'anthropic' }
const pilot = {
  agent: 'pilot',
  ...claude,
  owner: 'search',
  transport: 'proto',
  speaks: 'newest',
  meters: 'histogram',
  errand: 'summary',
  // A model of the house: nobody has given it a price.
  critic: { agent: 'critic', version: '1.0.0', model: 'house-judge-1', provider: 'internal', think: 20 },
  tasks: 3,
  workers: 2,
  think: 60,
  event: 'document.summarized',
} as const

const roles: Readonly<Record<string, Role>> = {
  pilot: { ...pilot, version: '2.0.0', instance: 'pilot-1' },
  canary: { ...pilot, version: '2.1.0', instance: 'pilot-2' },
  // Its model refuses when it asks too often; then it asks again, and then another one.
  scout: {
    agent: 'scout',
    version: '1.4.0',
    ...haiku,
    perSecond: 1.4,
    fallback: { model: 'gpt-5-mini', provider: 'openai' },
    owner: 'search',
    instance: 'scout-1',
    transport: 'grpc',
    speaks: 'newest',
    meters: ['cache_read.input', 'cache_write.input', 'reasoning.output'],
    errand: 'summary',
    tasks: 2,
    workers: 1,
    think: 40,
    event: 'page.read',
  },
  clerk: {
    agent: 'clerk',
    version: '0.9.0',
    model: 'gemini-2.5-flash',
    provider: 'gcp.gemini',
    owner: 'support',
    instance: 'clerk-1',
    transport: 'json',
    speaks: 'older',
    meters: 'none',
    errand: 'summary',
    tasks: 2,
    workers: 1,
    think: 250,
    event: 'ticket.closed',
  },
  ranger: {
    agent: 'ranger',
    version: '0.3.0',
    model: 'gpt-5-mini',
    provider: 'openai',
    owner: 'platform',
    instance: 'ranger-1',
    transport: 'proto',
    speaks: 'newest',
    meters: 'none',
    errand: 'needs',
    tasks: 1,
    workers: 1,
    think: 15,
    event: 'needs.found',
  },
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })

/** Starts the processes. They end with `stop()`, and by themselves when this process is gone. */
export const startFleet = (options: FleetOptions): Fleet => {
  const { exportEvery = 1000, breakAfter = 30_000, loopAfter = 20_000, loadAfter = 40_000 } = options
  const { say = () => undefined } = options
  const { http, otlpHttp, otlpGrpc, root } = options
  const children = new Map<string, ChildProcess>()
  const timers: NodeJS.Timeout[] = []
  let stopping = false
  for (const [name, role] of Object.entries(roles)) {
    const told: AgentOptions = { ...role, http, otlpHttp, otlpGrpc, root, exportEvery }
    const child = fork(fileURLToPath(new URL('./agent.ts', import.meta.url)), [JSON.stringify(told)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
    })
    children.set(name, child)
    child.once('exit', (code, signal) => {
      children.delete(name)
      if (!stopping && code !== 0) say(`${role.agent} ${role.version} ended (${signal ?? code})`)
    })
  }
  const order = (name: string, what: Order): void => {
    const child = children.get(name)
    if (child?.connected) child.send(what, () => undefined)
  }
  const later = (ms: number, run: () => void): void => {
    timers.push(setTimeout(run, ms))
  }
  later(breakAfter, () => {
    say('pilot 2.1.0 breaks: it reads only the beginning of each document')
    order('canary', { do: 'break' })
  })
  later(loopAfter, () => {
    say('ranger 0.3.0 forgets where it has been: it looks the same package up again and again')
    order('ranger', { do: 'break' })
  })
  later(loadAfter, () => {
    say('load rises: seven times the tasks arrive at the clerk')
    order('clerk', { do: 'tasks', perSecond: 14 })
  })
  const act: Fleet['act'] = ({ kind, subject, params }) => {
    if (kind === 'rollback' && subject === 'pilot') order('canary', { do: 'end' })
    if (kind === 'scale' && subject === 'clerk')
      order('clerk', { do: 'workers', n: Number(params['replicas']) })
  }
  const stop = async (): Promise<void> => {
    stopping = true
    for (const timer of timers) clearTimeout(timer)
    const all = [...children.values()]
    for (const name of children.keys()) order(name, { do: 'end' })
    const late = setTimeout(() => {
      for (const child of all) child.kill('SIGKILL')
    }, 4000)
    await Promise.all(all.map(ended))
    clearTimeout(late)
  }
  if (options.seconds !== undefined) later(options.seconds * 1000, () => void stop())
  const members = [...children].flatMap(([name, { pid }]) => {
    const { agent, version, instance } = roles[name]!
    return pid === undefined ? [] : [{ agent, version, instance, pid }]
  })
  return { act, stop, members }
}
