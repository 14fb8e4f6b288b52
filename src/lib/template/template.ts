// Go's text/template over plain values: parse once, render often, within limits.
import { AppError } from '../errors.ts'
import type { Definition } from './ast.ts'
import { builtins } from './builtins.ts'
import { type Environment, Evaluation, type Functions, type Limits, type Steps } from './evaluate.ts'
import { parse } from './parser.ts'

export type { Functions } from './evaluate.ts'
export { Verbatim } from './value.ts'

export interface TemplateOptions {
  /** A missing key of a map: `default` prints `<no value>`, `zero` is the empty text (Alertmanager), `error` throws. */
  readonly missingKey?: 'default' | 'zero' | 'error'
  /** A function `include name data` that renders another template to text; Prometheus calls it `tmpl`. */
  readonly include?: string
  /** Variables (`$labels`) that `render` is given beside the data. */
  readonly variables?: readonly string[]
  readonly limits?: Partial<Limits>
  /** Makes a value's text fit what is written: for HTML. A `Verbatim` is left alone. */
  readonly escape?: (text: string, before: string) => string
}

const defaultLimits: Limits = { steps: 100_000, output: 1 << 20, depth: 100 }

export interface Template {
  /** Text for `data` (the dot). Throws `bad_data` naming template, line, column; also when a function answers with a promise. */
  render(data: unknown, variables?: Readonly<Record<string, unknown>>): string
  /** As `render`, and waits for functions that answer later. */
  renderAsync(data: unknown, variables?: Readonly<Record<string, unknown>>): Promise<string>
}

/** Templates that may call each other, as Alertmanager's `templates:` files do. */
export interface TemplateSet {
  /** Reads a file of `{{ define }}`s; later definitions of a name replace earlier ones. Throws `bad_data`. */
  add(text: string, name: string): void
  /** A template that may call those of the set, and its own `define`s before them. Throws `bad_data`. */
  compile(text: string, name: string): Template
  has(name: string): boolean
}

const settleNow = <T>(steps: Steps<T>): T => {
  const { done, value } = steps.next()
  if (done) return value as T
  // The promise is not waited for: its failure must not end the process.
  void (value as PromiseLike<unknown>).then(undefined, () => {})
  throw new AppError('internal', 'a function of this template answers later: render it with renderAsync')
}

const settleLater = async <T>(steps: Steps<T>): Promise<T> => {
  let turn = steps.next()
  while (!turn.done) {
    try {
      const value = await turn.value
      turn = steps.next(value)
    } catch (error) {
      turn = steps.throw(error)
    }
  }
  return turn.value
}

export const createTemplateSet = (functions: Functions, options: TemplateOptions = {}): TemplateSet => {
  const shared = new Map<string, Definition>()
  const include = options.include ?? null
  const known = (name: string): boolean =>
    Object.hasOwn(functions, name) ||
    Object.hasOwn(builtins, name) ||
    name === 'and' ||
    name === 'or' ||
    name === include
  const read = (text: string, name: string, into: Map<string, Definition>): Definition => {
    const definitions = parse({ name, text }, known, options.variables)
    for (const definition of definitions) {
      // A redefinition by nothing but white space keeps what was there, as in Go.
      const blank = definition.nodes.every((n) => n.kind === 'text' && n.text.trim() === '')
      if (!blank || !into.has(definition.name)) into.set(definition.name, definition)
    }
    return definitions.at(-1)!
  }
  const compile = (text: string, name: string): Template => {
    const own = new Map<string, Definition>()
    const main = read(text, name, own)
    const env: Environment = {
      functions,
      include,
      missingKey: options.missingKey ?? 'default',
      limits: { ...defaultLimits, ...options.limits },
      escape: options.escape,
      definition: (wanted) => own.get(wanted) ?? shared.get(wanted),
    }
    const steps = (data: unknown, variables: Readonly<Record<string, unknown>> = {}): Steps<string> =>
      new Evaluation(env).render(main, data, variables)
    return {
      render: (data, variables) => settleNow(steps(data, variables)),
      renderAsync: (data, variables) => settleLater(steps(data, variables)),
    }
  }
  return { add: (text, name) => void read(text, name, shared), compile, has: (name) => shared.has(name) }
}

/** One template on its own. */
export const createTemplate = (
  text: string,
  name: string,
  functions: Functions = {},
  options: TemplateOptions = {},
): Template => createTemplateSet(functions, options).compile(text, name)
