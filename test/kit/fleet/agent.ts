// One process of the demo fleet: takes tasks from its queue, works on them with tools and a model's stand-in, and reports all of it.
import { randomUUID } from 'node:crypto'
import { createTelemetry, type Exporter, type Identity, type Part } from './telemetry.ts'
import { cutShort, type Document, readDocuments, score, summarize, type Tool, tools } from './work.ts'

export interface AgentOptions extends Identity {
  readonly exporter: Exporter
  /** Kinds of tokens that it counts by themselves, as shares of input or output; null = the older histogram. */
  readonly counters: Readonly<Partial<Record<Part, number>>> | null
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly exportEvery: number
  readonly root: string
  /** Tasks that arrive a second. */
  readonly tasks: number
  readonly workers: number
  /** How long a model takes to answer, beside the work itself; milliseconds. */
  readonly think: number
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
const telemetry = createTelemetry(options)
const queue: Document[] = []
const events: object[] = []
let tasks = options.tasks
let workers = options.workers
let running = 0
let broken = false
let ending = false
let next = 0

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : 'Error')

const timed = async <T>(
  run: () => T | Promise<T>,
): Promise<{ value?: T; seconds: number; error: string }> => {
  const from = performance.now()
  const since = (): number => (performance.now() - from) / 1000
  try {
    const value = await run()
    return { value, seconds: since(), error: '' }
  } catch (error) {
    return { seconds: since(), error: nameOf(error) }
  }
}

const think = async (text: string): Promise<string> => {
  const called = await timed(async () => {
    const said = summarize(text)
    // Models differ from call to call; by the document, so that runs of the demo resemble each other.
    await sleep(options.think * (0.7 + (text.length % 61) / 100))
    return said
  })
  telemetry.call(called)
  const { answer = '', input = 0, output = 0 } = called.value ?? {}
  telemetry.tokens(input, output)
  return answer
}

const use = async (tool: Tool, text: string): Promise<string> => {
  const done = await timed(() => tools[tool](text))
  telemetry.tool(tool, done)
  return done.error
}

/** Tries a tool up to three times with a pause, as agents do; gives the last error. */
const insist = async (tool: Tool, text: string): Promise<string> => {
  let error = ''
  for (let attempt = 1; attempt <= 3; attempt++) {
    error = await use(tool, text)
    if (error === '') return ''
    await sleep(60 * attempt)
  }
  return error
}

const work = async (document: Document): Promise<void> => {
  const text = broken ? cutShort(document.text) : document.text
  const from = performance.now()
  let error = await insist('parse', text)
  for (const tool of ['sort', 'compress', 'hash'] as const) error ||= await use(tool, text)
  const answer = await think(text)
  const quality = score(document.text, answer)
  telemetry.score('coverage', quality)
  const seconds = (performance.now() - from) / 1000
  telemetry.run({ seconds, error })
  events.push({
    id: randomUUID(),
    name: options.event,
    value: Math.round(quality * 100) / 100,
    agent: options.agent,
    version: options.version,
    outcome: error === '' ? 'done' : 'failed',
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
  for (; owed >= 1; owed--) queue.push(documents[next++ % documents.length]!)
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
