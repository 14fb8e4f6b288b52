// What stands in for a provider of models: it really takes time, keeps prompts in a cache, refuses who asks too often, and thinks before it speaks.
import type { ModelName, Usage } from './vocabulary.ts'

export class RateLimitError extends Error {
  override readonly name = 'RateLimitError'
}

/** Cut off in the middle of an answer: what was used up to then is paid for. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError'
  readonly usage: Usage
  constructor(message: string, usage: Usage) {
    super(message)
    this.usage = usage
  }
}

export interface ModelOptions extends ModelName {
  /** How long it takes to answer, beside the work itself; milliseconds. */
  readonly think: number
  /** Calls a second that it takes, with a store for twice as many; left out: any number. */
  readonly perSecond?: number | undefined
}

export interface Answer extends ModelName {
  readonly text: string
  readonly usage: Usage
  /** Seconds until the first part of the answer was there. */
  readonly firstChunk: number
}

/** What a model makes of a prompt: what it weighed on the way, and its answer. */
export type Thought = (prompt: string) => { readonly weighed: string; readonly answer: string }

export interface Model {
  ask(thought: Thought, instructions: string, prompt: string): Promise<Answer>
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
/** About four letters are a token. */
const tokensOf = (text: string): number => Math.ceil(text.length / 4)
/** Prompts that the cache holds. */
const cached = 12

export const createModel = ({ model, provider, think, perSecond }: ModelOptions): Model => {
  const seen: string[] = []
  let left = (perSecond ?? 0) * 2
  let filledAt = performance.now()
  /** Whether there is room for a whole answer. */
  const admit = (): boolean => {
    if (perSecond === undefined) return true
    const now = performance.now()
    left = Math.min(perSecond * 2, left + ((now - filledAt) / 1000) * perSecond)
    filledAt = now
    if (left < 1) throw new RateLimitError(`${model}: more than ${perSecond} calls a second`)
    left--
    return left > 0.2
  }
  /** Tokens of a part of the prompt that are in the cache, and those that go in. */
  const remember = (part: string): { read: number; write: number } => {
    const at = seen.indexOf(part)
    if (at >= 0) seen.splice(at, 1)
    seen.push(part)
    if (seen.length > cached) seen.shift()
    return at >= 0 ? { read: tokensOf(part), write: 0 } : { read: 0, write: tokensOf(part) }
  }
  return {
    ask: async (thought, instructions, prompt) => {
      const from = performance.now()
      const room = admit()
      const { weighed, answer } = thought(prompt)
      // Models differ from call to call; by the prompt, so that runs of the demo resemble each other.
      const takes = think * (0.7 + (prompt.length % 61) / 100)
      await sleep(takes * 0.4)
      const firstChunk = (performance.now() - from) / 1000
      const parts = [remember(instructions), remember(prompt)]
      const reasoning = tokensOf(weighed)
      const usage = {
        input: tokensOf(instructions) + tokensOf(prompt),
        output: reasoning + (room ? tokensOf(answer) : 0),
        cacheRead: parts.reduce((n, p) => n + p.read, 0),
        cacheWrite: parts.reduce((n, p) => n + p.write, 0),
        reasoning,
      }
      if (!room) throw new OverloadedError(`${model}: overloaded, the answer was cut off`, usage)
      await sleep(takes * 0.6)
      return { text: answer, model, provider, firstChunk, usage }
    },
  }
}
