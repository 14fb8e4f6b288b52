// Walks a template's tree over data, with a limit on steps and on what it writes. A function may answer later: the walk then waits.

import { messageOf } from '../errors.ts'
import type { Command, Definition, Node, Offset, Operand, Pipe, Source } from './ast.ts'
import { builtins } from './builtins.ts'
import { templateError } from './template-error.ts'
import { entriesOf, hasMethod, isEmpty, isRecord, isTrue, lookup, show, typeName, Verbatim } from './value.ts'

export interface Limits {
  /** Nodes, calls and loop rounds of one rendering. */
  readonly steps: number
  /** UTF-16 units written by one rendering, and by any function in it. */
  readonly output: number
  /** Templates that call templates. */
  readonly depth: number
}

export type Functions = Readonly<Record<string, (...args: never[]) => unknown>>

export interface Environment {
  readonly functions: Functions
  readonly limits: Limits
  /** What a missing key of a map is: no value, the empty text, or an error. */
  readonly missingKey: 'default' | 'zero' | 'error'
  /** Name of the function that renders another template to text (Prometheus's `tmpl`). */
  readonly include: string | null
  /** What becomes of a value's text before it is written after `before`; left out: nothing. */
  readonly escape?: ((text: string, before: string) => string) | undefined
  definition(name: string): Definition | undefined
}

/** Yields promises and is handed what they resolve to. */
export type Steps<T> = Generator<PromiseLike<unknown>, T, unknown>

type Jump = 'break' | 'continue' | null
interface Variable {
  readonly name: string
  value: unknown
}
/** What no data gives: prints as `<no value>` where null from a literal would not. */
const none = undefined

export class Evaluation {
  readonly #env: Environment
  #steps = 0
  #written = 0

  constructor(env: Environment) {
    this.#env = env
  }

  *render(
    definition: Definition,
    data: unknown,
    variables: Readonly<Record<string, unknown>>,
  ): Steps<string> {
    const frame = new Frame(this, this.#env, definition.source, 0)
    frame.declare('$', data)
    for (const [name, value] of Object.entries(variables)) frame.declare(name, value)
    yield* frame.walk(definition.nodes, data)
    return frame.text
  }

  step(source: Source, at: Offset, cost = 1): void {
    this.#steps += cost
    if (this.#steps > this.#env.limits.steps)
      throw templateError(source, at, `takes more than ${this.#env.limits.steps} steps`)
  }

  wrote(source: Source, at: Offset, length: number): void {
    this.#written += length
    if (this.#written > this.#env.limits.output)
      throw templateError(source, at, `writes more than ${this.#env.limits.output} characters`)
  }
}

/** One template being walked: its variables and its text so far. */
class Frame {
  readonly #run: Evaluation
  readonly #env: Environment
  readonly #source: Source
  readonly #depth: number
  readonly #variables: Variable[] = []
  text = ''

  constructor(run: Evaluation, env: Environment, source: Source, depth: number) {
    this.#run = run
    this.#env = env
    this.#source = source
    this.#depth = depth
  }

  declare(name: string, value: unknown): void {
    this.#variables.push({ name, value })
  }

  #fail(at: Offset, message: string, cause?: unknown): never {
    throw templateError(this.#source, at, message, cause)
  }

  #write(text: string, at: Offset): void {
    this.#run.wrote(this.#source, at, text.length)
    this.text += text
  }

  *walk(nodes: readonly Node[], dot: unknown): Steps<Jump> {
    const outer = this.#variables.length
    for (const node of nodes) {
      const jump = yield* this.#node(node, dot)
      if (jump) {
        this.#variables.length = outer
        return jump
      }
    }
    return null
  }

  *#node(node: Node, dot: unknown): Steps<Jump> {
    switch (node.kind) {
      case 'text':
        this.#write(node.text, 0)
        return null
      case 'action': {
        const value = yield* this.#pipe(node.pipe, dot)
        if (node.pipe.declares.length === 0) this.#write(this.#shown(value), node.pipe.at)
        return null
      }
      case 'template':
        this.#write(
          yield* this.#template(node.name, node.pipe ? yield* this.#pipe(node.pipe, dot) : none, node.at),
          node.at,
        )
        return null
      case 'break':
      case 'continue':
        return node.kind
      case 'range':
        return yield* this.#range(node, dot)
      default: {
        const outer = this.#variables.length
        const value = yield* this.#pipe(node.pipe, dot)
        const jump = isTrue(value)
          ? yield* this.walk(node.body, node.kind === 'with' ? value : dot)
          : yield* this.walk(node.otherwise, dot)
        this.#variables.length = outer
        return jump
      }
    }
  }

  #shown(value: unknown): string {
    const text = isEmpty(value) ? '<no value>' : show(value)
    return value instanceof Verbatim ? text : (this.#env.escape?.(text, this.text) ?? text)
  }

  *#template(name: string, data: unknown, at: Offset): Steps<string> {
    this.#run.step(this.#source, at)
    const definition = this.#env.definition(name)
    if (!definition) this.#fail(at, `template ${JSON.stringify(name)} is not defined`)
    if (this.#depth >= this.#env.limits.depth)
      this.#fail(at, `templates call each other more than ${this.#env.limits.depth} deep`)
    const frame = new Frame(this.#run, this.#env, definition.source, this.#depth + 1)
    frame.declare('$', data)
    yield* frame.walk(definition.nodes, data)
    return frame.text
  }

  *#range(node: Extract<Node, { kind: 'if' | 'with' | 'range' }>, dot: unknown): Steps<Jump> {
    const outer = this.#variables.length
    const { declares, assigns } = node.pipe
    const value = yield* this.#pipe({ ...node.pipe, declares: [], assigns: false }, dot)
    const items = this.#items(value, node.pipe.at)
    const bind = (name: string, bound: unknown): void =>
      assigns ? this.#assign(name, bound, node.pipe.at) : this.declare(name, bound)
    let any = false
    for (const [key, item] of items) {
      any = true
      this.#run.step(this.#source, node.at)
      if (declares.length === 1) bind(declares[0]!, item)
      else if (declares.length === 2) {
        bind(declares[0]!, key)
        bind(declares[1]!, item)
      }
      const jump = yield* this.walk(node.body, item)
      this.#variables.length = outer
      if (jump === 'break') break
    }
    const jump = any ? null : yield* this.walk(node.otherwise, dot)
    this.#variables.length = outer
    return jump
  }

  #items(value: unknown, at: Offset): Iterable<[unknown, unknown]> {
    if (isEmpty(value)) return []
    if (Array.isArray(value)) return value.map((v, i): [unknown, unknown] => [BigInt(i), v])
    if (value instanceof Map || isRecord(value)) return entriesOf(value)
    if (typeof value === 'bigint') return counting(value)
    return this.#fail(at, `range cannot go over a value of type ${typeName(value)}`)
  }

  #assign(name: string, value: unknown, at: Offset): void {
    const variable = this.#variables.findLast((v) => v.name === name)
    if (!variable) this.#fail(at, `undefined variable ${name}`)
    variable.value = value
  }

  *#pipe(pipe: Pipe, dot: unknown): Steps<unknown> {
    let value: unknown
    for (const [i, command] of pipe.commands.entries())
      value = yield* this.#command(command, dot, i > 0 ? [value] : [])
    for (const name of pipe.declares)
      if (pipe.assigns) this.#assign(name, value, pipe.at)
      else this.declare(name, value)
    return value
  }

  *#command(command: Command, dot: unknown, last: readonly unknown[]): Steps<unknown> {
    this.#run.step(this.#source, command.at)
    const [first, ...rest] = command.operands as [Operand, ...Operand[]]
    if (first.kind === 'function') {
      if (first.name === 'and' || first.name === 'or') return yield* this.#logic(first, rest, dot, last)
      const args = yield* this.#args(rest, dot, last)
      return yield* this.#call(first, args)
    }
    if (first.kind === 'field' || first.kind === 'variable' || first.kind === 'chain') {
      const args = yield* this.#args(rest, dot, last)
      return yield* this.#path(first, dot, args)
    }
    if (rest.length > 0 || last.length > 0)
      this.#fail(first.at, 'arguments given to something that is no function')
    if (first.kind === 'nil') this.#fail(first.at, 'nil is not a command')
    return yield* this.#operand(first, dot)
  }

  *#args(operands: readonly Operand[], dot: unknown, last: readonly unknown[]): Steps<unknown[]> {
    const args: unknown[] = []
    for (const operand of operands) args.push(yield* this.#operand(operand, dot))
    args.push(...last)
    return args
  }

  *#logic(
    fn: Extract<Operand, { kind: 'function' }>,
    operands: readonly Operand[],
    dot: unknown,
    last: readonly unknown[],
  ): Steps<unknown> {
    if (operands.length + last.length === 0)
      this.#fail(fn.at, `wrong number of arguments for ${fn.name}: want at least 1, got 0`)
    let value: unknown
    for (const operand of operands) {
      value = yield* this.#operand(operand, dot)
      if (isTrue(value) === (fn.name === 'or')) return value
    }
    return last.length > 0 ? last[0] : value
  }

  *#call(fn: Extract<Operand, { kind: 'function' }>, args: readonly unknown[]): Steps<unknown> {
    this.#run.step(this.#source, fn.at)
    if (fn.name === this.#env.include) {
      if (args.length !== 2 || typeof args[0] !== 'string')
        this.#fail(fn.at, `${fn.name} wants the name of a template and its data`)
      return yield* this.#template(args[0] as string, args[1], fn.at)
    }
    const own = Object.hasOwn(this.#env.functions, fn.name)
    const run = (own ? this.#env.functions[fn.name] : builtins[fn.name]) as (...args: unknown[]) => unknown
    return yield* this.#apply(() => run(...(own ? args.map(plain) : args)), fn.name, fn.at)
  }

  *#apply(run: () => unknown, name: string, at: Offset): Steps<unknown> {
    try {
      let value = run()
      if (isPromise(value)) value = yield value
      if (typeof value === 'string') this.#charge(value, at)
      return value
    } catch (error) {
      if (messageOf(error).startsWith('template ')) throw error
      return this.#fail(at, `error calling ${name}: ${messageOf(error)}`, error)
    }
  }

  /** Text that a function makes costs as if it were written, so that doubling it again and again ends. */
  #charge(text: string, at: Offset): void {
    if (text.length > this.#env.limits.output)
      this.#fail(at, `makes a text of more than ${this.#env.limits.output} characters`)
    this.#run.step(this.#source, at, text.length >> 8)
  }

  *#operand(operand: Operand, dot: unknown): Steps<unknown> {
    switch (operand.kind) {
      case 'literal':
        return operand.value
      case 'nil':
        return null
      case 'dot':
        return dot
      case 'pipe': {
        const outer = this.#variables.length
        const value = yield* this.#pipe(operand.pipe, dot)
        this.#variables.length = outer
        return value
      }
      case 'function':
        if (operand.name === 'and' || operand.name === 'or') return yield* this.#logic(operand, [], dot, [])
        return yield* this.#call(operand, [])
      default:
        return yield* this.#path(operand, dot, [])
    }
  }

  *#path(
    operand: Extract<Operand, { path: readonly string[] }>,
    dot: unknown,
    args: readonly unknown[],
  ): Steps<unknown> {
    let value: unknown = dot
    if (operand.kind === 'variable') {
      const variable = this.#variables.findLast((v) => v.name === operand.name)
      if (!variable) this.#fail(operand.at, `undefined variable ${operand.name}`)
      value = variable.value
    } else if (operand.kind === 'chain') value = yield* this.#operand(operand.of, dot)
    const { path } = operand
    if (path.length === 0 && args.length > 0)
      this.#fail(operand.at, 'arguments given to something that is no function')
    for (const [i, name] of path.entries())
      value = yield* this.#field(value, name, i === path.length - 1 ? args : [], operand.at)
    return value
  }

  *#field(of: unknown, name: string, args: readonly unknown[], at: Offset): Steps<unknown> {
    this.#run.step(this.#source, at)
    if (isEmpty(of)) {
      if (this.#env.missingKey === 'error') this.#fail(at, `nothing to take field ${name} of`)
      return none
    }
    if (!(of instanceof Map) && !isRecord(of) && !hasMethod(of, name))
      this.#fail(at, `cannot take field ${name} of a value of type ${typeName(of)}`)
    const { found, value } = lookup(of, name)
    if (typeof value === 'function')
      return yield* this.#apply(() => (value as (...a: unknown[]) => unknown)(...args.map(plain)), name, at)
    if (args.length > 0) this.#fail(at, `${name} is no method but has arguments`)
    if (found) return value
    if (this.#env.missingKey === 'error')
      this.#fail(at, `the map has no entry for key ${JSON.stringify(name)}`)
    return this.#env.missingKey === 'zero' ? '' : none
  }
}

/** Functions from outside see numbers; only the template's own tell integers from floats. */
const plain = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value)

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

function* counting(n: bigint): Iterable<[unknown, unknown]> {
  for (let i = 0n; i < n; i++) yield [i, i]
}
