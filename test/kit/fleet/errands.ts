// What demo agents are sent to do: sum up a document, and find everything a package needs; with models that refuse and agents that go astray.
import { type Answer, createModel, type Model, OverloadedError, RateLimitError } from './model.ts'
import type { Run } from './telemetry.ts'
import type { ModelName, Who } from './vocabulary.ts'
import { cutShort, type Document, score, summarize, type Tool, tools } from './work.ts'

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export interface ModelPlan extends ModelName {
  readonly think: number
  readonly perSecond?: number
  /** Asked when the first one refused twice. */
  readonly fallback?: ModelName
}

/** Asks a model: once more after a pause when it refuses, then another one. */
export const createMind = ({ think, perSecond, fallback, ...first }: ModelPlan, instructions: string) => {
  const models: readonly (readonly [ModelName, Model])[] = [first, ...(fallback ? [fallback] : [])].map(
    (m, i) => [m, createModel({ ...m, think, perSecond: i === 0 ? perSecond : undefined })],
  )
  const attempts = [0, 0, ...(fallback ? [1] : [])]
  return async (run: Run, prompt: string, thought: typeof summarize): Promise<Answer> => {
    for (const [i, which] of attempts.entries()) {
      const [name, model] = models[which]!
      try {
        return await run.call(name, () => model.ask(thought, instructions, prompt))
      } catch (error) {
        const passes = error instanceof RateLimitError || error instanceof OverloadedError
        if (!passes || i === attempts.length - 1) throw error
        const next = models[attempts[i + 1]!]![0]
        run.say('WARN', `${name.model} refused: ${error.message}; asks ${next.model}`, {
          attempt: i + 1,
          next: next.model,
        })
        await sleep(150)
      }
    }
    throw new Error('no model was asked')
  }
}
export type Mind = ReturnType<typeof createMind>

/** Tries a tool up to three times with a pause, as agents do; throws the last error. */
const insist = async (run: Run, tool: Tool, { name, text }: Document): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      await run.tool(tool, { document: name }, () => tools[tool](text))
      return
    } catch (error) {
      run.say(attempt < 3 ? 'WARN' : 'ERROR', `${tool} failed: ${(error as Error).message}`, {
        attempt,
        tool,
      })
      if (attempt === 3) throw error
      await sleep(60 * attempt)
    }
  }
}

/** Sums a document up; gives how good the summary is, 0 to 1. A broken agent reads only the beginning. */
export const sumUp = async (
  run: Run,
  document: Document,
  { mind, broken, critic }: { mind: Mind; broken: boolean; critic: { who: Who; mind: Mind } | null },
): Promise<number> => {
  const text = broken ? cutShort(document.text) : document.text
  let failure: unknown = null
  // It goes on with what it has, and says at the end that it failed.
  await insist(run, 'parse', { ...document, text }).catch((error: unknown) => {
    failure = error
  })
  if (!failure)
    for (const tool of ['sort', 'compress', 'hash'] as const) await insist(run, tool, { ...document, text })
  const answer = await mind(run, text, summarize)
  const quality = score(document.text, answer.text)
  run.score('coverage', quality)
  if (critic)
    await run.delegate(critic.who, async (inner) => {
      const verdict = await critic.mind(inner, answer.text, summarize)
      inner.score('brevity', 1 - Math.min(verdict.text.length / document.text.length, 1))
    })
  if (failure) throw failure
  run.say('INFO', `summed up ${document.name}`, { document: document.name, coverage: quality })
  return quality
}

export class StepLimitError extends Error {
  override readonly name = 'StepLimitError'
}
/** Steps after which an agent gives up. */
const patience = 24

/** Finds what a package needs, one look at a time; gives how many were found. One that forgets looks the same package up until it gives up. */
export const findNeeds = async (
  run: Run,
  packages: ReadonlyMap<string, readonly string[]>,
  start: string,
  { mind, forgets }: { mind: Mind; forgets: boolean },
): Promise<number> => {
  const found = new Set<string>()
  let open = [start]
  for (let step = 1; open.length > 0 && found.size < 5; step++) {
    if (step > patience) {
      run.say('ERROR', `gave up on ${start} after ${patience} steps`, { package: start })
      throw new StepLimitError(`gave up after ${patience} steps`)
    }
    const name = open[0]!
    await mind(run, `${start}: ${open.join(' ')}`, (said) => ({ weighed: said, answer: name }))
    const needs = await run.tool('lookup', { package: name }, () => packages.get(name) ?? [])
    if (forgets) continue
    found.add(name)
    open = [...open.slice(1), ...needs.filter((n) => !found.has(n))]
  }
  run.say('INFO', `${start} needs ${found.size} packages`, { package: start, found: found.size })
  return found.size
}
