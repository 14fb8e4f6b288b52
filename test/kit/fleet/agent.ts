// One process of the demo fleet: takes tasks from its queue, works on them with tools and a model's stand-in, and reports all of it.
import { randomUUID } from 'node:crypto'
import { createMind, findNeeds, type ModelPlan, sumUp } from './errands.ts'
import { createTelemetry, type TelemetryOptions } from './telemetry.ts'
import type { Who } from './vocabulary.ts'
import { readDocuments, readInstructions, readPackages } from './work.ts'

export interface AgentOptions extends Omit<TelemetryOptions, 'model' | 'provider'>, ModelPlan {
  readonly http: string
  readonly root: string
  readonly errand: 'summary' | 'needs'
  /** Judges every third summary, as an agent of its own. */
  readonly critic?: Who & ModelPlan
  /** Tasks that arrive a second. */
  readonly tasks: number
  readonly workers: number
  /** What each task is told as to the business. */
  readonly event: string
}

/** What the fleet tells an agent. */
export type Order =
  | { readonly do: 'break' }
  | { readonly do: 'tasks'; readonly perSecond: number }
  | { readonly do: 'workers'; readonly n: number }
  | { readonly do: 'end' }

const options = JSON.parse(process.argv[2] ?? '{}') as AgentOptions
const documents = readDocuments(options.root)
const packages = readPackages(options.root)
const names = [...packages].filter(([, needs]) => needs.length > 0).map(([name]) => name)
const instructions = readInstructions(options.root)
const telemetry = createTelemetry(options)
const mind = createMind(options, instructions)
const critic = options.critic
  ? { who: options.critic, mind: createMind(options.critic, 'Say what is missing.') }
  : null
const queue: number[] = []
const events: object[] = []
let tasks = options.tasks
let workers = options.workers
let running = 0
let broken = false
let ending = false
let next = 0

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const work = async (task: number): Promise<void> => {
  // Five tasks are one conversation.
  const conversation = `${options.instance}-${Math.floor(task / 5)}`
  let worth = 0
  let outcome = 'done'
  try {
    worth = await telemetry.run(options, conversation, (run) =>
      options.errand === 'needs'
        ? findNeeds(run, packages, names[task % names.length]!, { mind, forgets: broken })
        : sumUp(run, documents[task % documents.length]!, {
            mind,
            broken,
            critic: task % 3 === 0 ? critic : null,
          }),
    )
  } catch {
    // Its span has the reason.
    outcome = 'failed'
  }
  events.push({
    id: randomUUID(),
    name: options.event,
    value: Math.round(worth * 100) / 100,
    agent: options.agent,
    version: options.version,
    outcome,
  })
}

const pump = (): void => {
  while (running < workers && queue.length > 0 && !ending) {
    running++
    void work(queue.shift()!).finally(() => {
      running--
      pump()
    })
  }
}

const post = async (): Promise<void> => {
  const batch = events.splice(0, 500)
  if (batch.length === 0) return
  try {
    const answer = await fetch(`${options.http}/api/ops/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ events: batch }),
      signal: AbortSignal.timeout(5000),
    })
    await answer.arrayBuffer()
    // Each has an id: sending again counts once.
    if (answer.status >= 500) events.unshift(...batch)
  } catch {
    events.unshift(...batch.slice(0, 5000))
  }
}

telemetry.observe('agent.queue.depth', '{task}', () => queue.length)
telemetry.observe('agent.workers', '{worker}', () => workers)

let owed = 0
const beat = setInterval(() => {
  owed += tasks / 10
  for (; owed >= 1; owed--) queue.push(next++)
  pump()
}, 100)
const posting = setInterval(() => void post(), 1000)

const end = async (): Promise<void> => {
  if (ending) return
  ending = true
  clearInterval(beat)
  clearInterval(posting)
  await Promise.race([Promise.allSettled([post(), telemetry.end()]), sleep(2000)])
  process.exit(0)
}
process.on('message', (order: Order) => {
  if (order.do === 'break') broken = true
  else if (order.do === 'tasks') tasks = order.perSecond
  else if (order.do === 'workers') workers = order.n
  else void end()
})
// Ctrl-C reaches every process of the terminal; the fleet says when to end.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => void end())
process.on('disconnect', () => void end())
