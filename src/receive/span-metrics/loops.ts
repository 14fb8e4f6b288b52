// Whether an agent went in circles: judged by the steps of one invocation.

export interface Step {
  readonly kind: 'model' | 'tool'
  /** The tool's name; '' for a call to a model. */
  readonly tool: string
  /** '' where arguments are not sent. */
  readonly argumentsHash: string
  readonly startAt: number
}

export interface LoopLimits {
  readonly repeated_calls: number
  readonly repeated_sequence: number
  readonly steps: number
}

export type Loop = 'repeated_call' | 'repeated_sequence' | 'steps'

/** Longest sequence of tools that is looked for. */
const longest = 4

/** Whether a sequence of up to four names comes `times` times in a row. */
const repeats = (names: readonly string[], times: number): boolean => {
  for (let period = 1; period <= longest; period++) {
    let run = 0
    for (let i = period; i < names.length; i++) {
      run = names[i] === names[i - period] ? run + 1 : 0
      if (run >= period * (times - 1)) return true
    }
  }
  return false
}

/** Every way in which these steps are a loop, in the order in which they began. Pure. */
export const loopsIn = (steps: readonly Step[], limits: LoopLimits): Loop[] => {
  const found: Loop[] = []
  const tools = steps.filter((s) => s.kind === 'tool').sort((a, b) => a.startAt - b.startAt)
  const calls = new Map<string, number>()
  for (const { tool, argumentsHash } of tools) {
    if (argumentsHash === '') continue
    const key = `${tool}\u0000${argumentsHash}`
    calls.set(key, (calls.get(key) ?? 0) + 1)
  }
  if (calls.values().some((n) => n >= limits.repeated_calls)) found.push('repeated_call')
  // Where arguments are known, the same tools with other arguments are work, not a circle.
  const blind = tools.filter((s) => s.argumentsHash === '').map((s) => s.tool)
  if (repeats(blind, limits.repeated_sequence)) found.push('repeated_sequence')
  if (steps.length >= limits.steps) found.push('steps')
  return found
}
