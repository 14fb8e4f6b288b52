// Turns the tokens of a template into its tree; every mistake that shows without data is found here.
import type { Command, Definition, Node, Offset, Operand, Pipe, Source } from './ast.ts'
import { lex, type Token, type TokenKind } from './lexer.ts'
import { charValue, numberValue, stringValue } from './literal.ts'
import { templateError } from './template-error.ts'

const keywords = new Set([
  'if',
  'else',
  'end',
  'range',
  'with',
  'template',
  'define',
  'block',
  'break',
  'continue',
])
/** Nesting of parentheses and blocks that is still read: deeper would only exhaust the stack. */
const deepest = 200

/** The template itself and those it defines. `known` says whether a function exists. */
export const parse = (
  source: Source,
  known: (name: string) => boolean,
  variables: readonly string[] = [],
): Definition[] => new Parser(source, known, variables).all()

class Parser {
  readonly #source: Source
  readonly #known: (name: string) => boolean
  readonly #tokens: Token[]
  #next = 0
  #depth = 0
  #loops = 0
  #variables: string[]
  readonly #defined: Definition[] = []

  constructor(source: Source, known: (name: string) => boolean, variables: readonly string[]) {
    this.#source = source
    this.#known = known
    this.#tokens = lex(source)
    this.#variables = ['$', ...variables]
  }

  all(): Definition[] {
    const nodes: Node[] = []
    for (;;) {
      const stop = this.#list(nodes, true)
      if (stop === null) break
      this.#fail(stop.at, `unexpected {{${stop.text}}}: nothing is open that it could close`)
    }
    return [...this.#defined, { name: this.#source.name, source: this.#source, nodes }]
  }

  #fail(at: Offset, message: string): never {
    throw templateError(this.#source, at, message)
  }

  #peek(): Token {
    return this.#tokens[this.#next]!
  }
  #take(): Token {
    return this.#tokens[this.#next++]!
  }
  #skipSpace(): void {
    while (this.#peek().kind === 'space') this.#next++
  }
  #expect(kind: TokenKind, what: string): Token {
    this.#skipSpace()
    const token = this.#take()
    if (token.kind !== kind) this.#fail(token.at, `expected ${what}, found ${shown(token)}`)
    return token
  }
  #close(what: string): void {
    this.#expect('close', `}} after ${what}`)
  }

  /** Nodes up to {{end}} or {{else}}, which is returned (already taken, but for what follows its word); null at the end of the text. */
  #list(into: Node[], top = false): Token | null {
    if (++this.#depth > deepest) this.#fail(this.#peek().at, `blocks nest deeper than ${deepest}`)
    try {
      for (;;) {
        const token = this.#take()
        if (token.kind === 'end') return null
        if (token.kind === 'text') {
          into.push({ kind: 'text', text: token.text })
          continue
        }
        this.#skipSpace()
        const word = this.#peek()
        if (word.kind === 'identifier' && (word.text === 'end' || word.text === 'else')) return this.#take()
        if (word.kind === 'identifier' && word.text === 'define') this.#define(this.#take(), top)
        else into.push(this.#action())
      }
    } finally {
      this.#depth--
    }
  }

  #action(): Node {
    const word = this.#peek()
    if (word.kind === 'identifier' && keywords.has(word.text)) {
      this.#take()
      switch (word.text) {
        case 'if':
        case 'with':
        case 'range':
          return this.#control(word.text, word.at)
        case 'template':
          return this.#template(word)
        case 'block':
          return this.#block(word)
        default:
          if (this.#loops === 0) this.#fail(word.at, `{{${word.text}}} outside {{range}}`)
          this.#close(word.text)
          return { kind: word.text as 'break' | 'continue', at: word.at }
      }
    }
    const pipe = this.#pipe('an action', 'close', false)
    return { kind: 'action', pipe }
  }

  #control(kind: 'if' | 'with' | 'range', at: Offset): Node {
    const outer = this.#variables.length
    const pipe = this.#pipe(kind, 'close', kind === 'range')
    if (kind === 'range') this.#loops++
    const body: Node[] = []
    let stop = this.#list(body)
    if (kind === 'range') this.#loops--
    const otherwise: Node[] = []
    if (stop?.text === 'else') {
      this.#skipSpace()
      const word = this.#peek()
      if (word.kind === 'identifier' && (word.text === 'if' || word.text === 'with') && kind === word.text) {
        this.#take()
        otherwise.push(this.#control(word.text, word.at))
        this.#variables.length = outer
        return { kind, pipe, body, otherwise, at }
      }
      this.#close('else')
      stop = this.#list(otherwise)
      if (stop?.text === 'else') this.#fail(stop.at, `a second {{else}} in one {{${kind}}}`)
    }
    if (stop === null) this.#fail(at, `{{${kind}}} is not closed; add {{end}}`)
    this.#close('end')
    this.#variables.length = outer
    return { kind, pipe, body, otherwise, at }
  }

  #name(what: string): string {
    const token = this.#expect('string', `the name of the template in quotes after ${what}`)
    return stringValue(this.#source, token)
  }

  #template(word: Token): Node {
    const name = this.#name('template')
    this.#skipSpace()
    if (this.#peek().kind === 'close') {
      this.#take()
      return { kind: 'template', name, pipe: null, at: word.at }
    }
    return { kind: 'template', name, pipe: this.#pipe('template', 'close', false), at: word.at }
  }

  #body(name: string, at: Offset, what: string): void {
    const outer = this.#variables
    const loops = this.#loops
    this.#variables = ['$']
    this.#loops = 0
    const nodes: Node[] = []
    const stop = this.#list(nodes)
    if (stop === null) this.#fail(at, `{{${what} ${JSON.stringify(name)}}} is not closed; add {{end}}`)
    if (stop.text === 'else') this.#fail(stop.at, `unexpected {{else}} in {{${what}}}`)
    this.#close('end')
    this.#variables = outer
    this.#loops = loops
    this.#defined.push({ name, source: this.#source, nodes })
  }

  #define(word: Token, top: boolean): void {
    if (!top) this.#fail(word.at, '{{define}} may only stand at the top level of a template')
    const name = this.#name('define')
    this.#close('define')
    this.#body(name, word.at, 'define')
  }

  #block(word: Token): Node {
    const name = this.#name('block')
    const pipe = this.#pipe('block', 'close', false)
    this.#body(name, word.at, 'block')
    return { kind: 'template', name, pipe, at: word.at }
  }

  #declaration(range: boolean): { declares: string[]; assigns: boolean } {
    const start = this.#next
    const declares: string[] = []
    for (;;) {
      this.#skipSpace()
      const token = this.#take()
      if (token.kind !== 'variable') break
      declares.push(token.text)
      this.#skipSpace()
      const sign = this.#take()
      if (sign.kind === 'declare' || sign.kind === 'assign') {
        const assigns = sign.kind === 'assign'
        for (const name of assigns ? declares : [])
          if (!this.#variables.includes(name)) this.#fail(token.at, `undefined variable ${name}`)
        return { declares, assigns }
      }
      if (sign.kind !== 'comma') break
      if (!range || declares.length > 1) this.#fail(sign.at, 'too many variables declared')
    }
    this.#next = start
    return { declares: [], assigns: false }
  }

  #pipe(what: string, closes: 'close' | 'right', range: boolean): Pipe {
    if (++this.#depth > deepest) this.#fail(this.#peek().at, `parentheses nest deeper than ${deepest}`)
    this.#skipSpace()
    const at = this.#peek().at
    const { declares, assigns } = this.#declaration(range)
    const commands: Command[] = []
    for (;;) {
      this.#skipSpace()
      const token = this.#peek()
      if (token.kind === closes) {
        this.#take()
        break
      }
      commands.push(this.#command(what))
    }
    if (commands.length === 0) this.#fail(at, `missing value for ${what}`)
    if (!assigns) this.#variables.push(...declares)
    for (const [i, command] of commands.entries()) {
      const first = command.operands[0]!
      if (i > 0 && (first.kind === 'literal' || first.kind === 'dot' || first.kind === 'nil'))
        this.#fail(first.at, `stage ${i + 1} of the pipeline is no function`)
    }
    this.#depth--
    return { declares, assigns, commands, at }
  }

  /** Operands up to `|` (taken), or `}}` or `)` (left for the pipe). */
  #command(what: string): Command {
    this.#skipSpace()
    const at = this.#peek().at
    const operands: Operand[] = []
    for (;;) {
      this.#skipSpace()
      const token = this.#peek()
      if (token.kind === 'close' || token.kind === 'right') break
      if (token.kind === 'pipe') {
        this.#take()
        this.#skipSpace()
        const after = this.#peek()
        if (after.kind === 'close' || after.kind === 'right')
          this.#fail(token.at, 'nothing follows the last | of the pipeline')
        break
      }
      operands.push(this.#operand(what))
      const next = this.#peek().kind
      if (next !== 'space' && next !== 'close' && next !== 'right' && next !== 'pipe')
        this.#fail(this.#peek().at, `unexpected ${shown(this.#peek())} right after an operand`)
    }
    if (operands.length === 0) this.#fail(at, `empty command in ${what}`)
    return { operands, at }
  }

  #path(): string[] {
    const path: string[] = []
    while (this.#peek().kind === 'field') path.push(this.#take().text.slice(1))
    return path
  }

  #operand(what: string): Operand {
    const term = this.#term(what)
    if (this.#peek().kind !== 'field') return term
    if (term.kind === 'literal' || term.kind === 'nil' || term.kind === 'dot')
      this.#fail(term.at, `unexpected field after ${term.kind}`)
    return { kind: 'chain', of: term, path: this.#path(), at: term.at }
  }

  #term(what: string): Operand {
    const token = this.#take()
    const { at, text } = token
    switch (token.kind) {
      case 'identifier':
        if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true', at }
        if (text === 'nil') return { kind: 'nil', at }
        if (keywords.has(text)) return this.#fail(at, `unexpected {{${text}}} in ${what}`)
        if (!this.#known(text)) this.#fail(at, `function ${JSON.stringify(text)} is not defined`)
        return { kind: 'function', name: text, at }
      case 'variable':
        if (!this.#variables.includes(text)) this.#fail(at, `undefined variable ${text}`)
        return { kind: 'variable', name: text, path: this.#path(), at }
      case 'field':
        return { kind: 'field', path: [text.slice(1), ...this.#path()], at }
      case 'dot':
        return { kind: 'dot', at }
      case 'string':
        return { kind: 'literal', value: stringValue(this.#source, token), at }
      case 'char':
        return { kind: 'literal', value: charValue(this.#source, token), at }
      case 'number':
        return { kind: 'literal', value: numberValue(this.#source, token), at }
      case 'left':
        return { kind: 'pipe', pipe: this.#pipe('parentheses', 'right', false), at }
      default:
        return this.#fail(at, `unexpected ${shown(token)} in ${what}`)
    }
  }
}

const shown = (token: Token): string =>
  token.kind === 'end' ? 'the end of the template' : JSON.stringify(token.text)
