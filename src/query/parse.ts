// PromQL text becomes the typed tree: the official grammar reads it, precedence is settled here, what we do not evaluate is refused by name.
import { parser } from '@prometheus-io/lezer-promql'
import { AppError } from '../lib/errors.ts'
import { readGoString } from '../lib/go-string.ts'
import { comparisons, type Expr, type Matching, setOperators } from './ast.ts'
import { type Child, fail, type Node, number, parts, type Source, signed, textOf } from './nodes.ts'
import { aggregate, call, selector, string } from './operands.ts'
import { parseError } from './place.ts'
import { modify } from './postfix.ts'
import { refused, signatures } from './signatures.ts'

/** Longest expression read, in UTF-16 units, and deepest nesting. */
const longest = 100_000
const deepest = 250

/**
 * The grammar binds `offset`, `@`, `[…]` and signs loosely (`a + b offset 5m` comes out as `(a + b) offset 5m`), so a run of operands and
 * operators is laid out flat in source order and read again by precedence.
 */
type Item =
  | { readonly kind: 'operand'; readonly node: Node; readonly expr: Expr | null }
  | { readonly kind: 'sign'; readonly op: '-' | '+'; readonly from: number }
  | { readonly kind: 'binary'; readonly op: string; readonly node: Node }
  | { readonly kind: 'postfix'; readonly node: Node }

const postfixes: ReadonlySet<string> = new Set([
  'OffsetExpr',
  'StepInvariantExpr',
  'MatrixSelector',
  'SubqueryExpr',
  'AnchoredExpr',
  'SmoothedExpr',
])

const lay = (source: Source, top: Node): Item[] => {
  const items: Item[] = []
  // An explicit stack: a chain of a thousand additions nests a thousand deep.
  const todo: (Node | Item)[] = [top]
  for (let next = todo.pop(); next; next = todo.pop()) {
    if ('kind' in next) {
      items.push(next)
      continue
    }
    const node = next
    const kids = parts(node)
    if (node.name === 'BinaryExpr') {
      const op = textOf(source, kids[1]!).toLowerCase()
      todo.push(kids.at(-1)!, { kind: 'binary', op, node }, kids[0]!)
    } else if (node.name === 'UnaryExpr') {
      todo.push(kids[1]!, { kind: 'sign', op: textOf(source, kids[0]!) as '-' | '+', from: node.from })
    } else if (postfixes.has(node.name)) {
      todo.push({ kind: 'postfix', node }, kids[0]!)
    } else if (node.name === 'NumberDurationLiteral') {
      const { sign, body, from } = signed(source, node)
      if (sign)
        todo.push(
          { kind: 'operand', node, expr: number(source, body, from) },
          { kind: 'sign', op: sign, from: node.from },
        )
      else todo.push({ kind: 'operand', node, expr: number(source, body, from) })
    } else todo.push({ kind: 'operand', node, expr: null })
  }
  return items
}

const powerLevel = 6
const levels: Readonly<Record<string, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '>': 3,
  '<=': 3,
  '</': 3,
  '>/': 3,
  '>=': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  atan2: 5,
  '^': powerLevel,
}

interface Reader {
  readonly source: Source
  readonly items: readonly Item[]
  next: number
  depth: number
}

const operand = (r: Reader): Expr => {
  const item = r.items[r.next++]!
  if (item.kind === 'sign') {
    if (++r.depth > deepest) throw fail(r.source, item.from, 'expression is nested too deeply; simplify it')
    const expr = climb(r, powerLevel)
    r.depth--
    // A literal takes its sign in, as Prometheus prints it.
    if (expr.kind === 'number')
      return { ...expr, value: item.op === '-' ? -expr.value : expr.value, from: item.from }
    return { kind: 'unary', op: item.op, expr, from: item.from }
  }
  if (item.kind !== 'operand') throw fail(r.source, item.node.from, 'unexpected operator')
  let expr = item.expr ?? build(r.source, item.node)
  for (let after = r.items[r.next]; after?.kind === 'postfix'; after = r.items[r.next]) {
    expr = modify(r.source, expr, after.node)
    r.next++
  }
  return expr
}

const climb = (r: Reader, least: number): Expr => {
  let left = operand(r)
  for (;;) {
    const item = r.items[r.next]
    if (item?.kind !== 'binary') return left
    const level = levels[item.op]
    if (level === undefined)
      throw fail(r.source, item.node.from, `operator ${JSON.stringify(item.op)} is not supported`)
    if (level < least) return left
    r.next++
    if (++r.depth > deepest)
      throw fail(r.source, item.node.from, 'expression is nested too deeply; simplify it')
    const right = climb(r, level === powerLevel ? level : level + 1)
    r.depth--
    left = {
      kind: 'binary',
      op: item.op,
      left,
      right,
      ...modifiersOf(r.source, item.node, item.op),
      from: left.from,
    }
  }
}

const modifiersOf = (source: Source, node: Node, op: string): { bool: boolean; matching: Matching } => {
  let bool = false
  let matching: Matching = {
    card: setOperators.has(op) ? 'many-to-many' : 'one-to-one',
    on: false,
    labels: [],
    include: [],
  }
  for (const part of parts(node)) {
    if (part.name === 'FillModifier') throw fail(source, part.from, 'the "fill" modifiers are not supported')
    if (part.name === 'BoolModifier') {
      if (!comparisons.has(op))
        throw fail(source, part.from, 'bool modifier can only be used on comparison operators')
      bool = true
    }
    if (part.name !== 'MatchingModifierClause') continue
    const kids = parts(part)
    const lists = kids.filter((k) => k.name === 'GroupingLabels').map((k) => labelNames(source, k))
    const group = kids.find((k) => k.name === 'GroupLeft' || k.name === 'GroupRight')
    if (group && setOperators.has(op))
      throw fail(source, group.from, `no grouping allowed for "${op}" operation`)
    const on = kids[0]!.name === 'On'
    const [labels = [], include = []] = lists
    const both = on ? include.find((l) => labels.includes(l)) : undefined
    if (both !== undefined)
      throw fail(
        source,
        part.from,
        `label ${JSON.stringify(both)} must not occur in ON and GROUP clause at once`,
      )
    const card = group ? (group.name === 'GroupLeft' ? 'many-to-one' : 'one-to-many') : matching.card
    matching = { card, on, labels, include }
  }
  return { bool, matching }
}

const labelNames = (source: Source, list: Node): string[] =>
  parts(list).map((l) =>
    l.name === 'QuotedLabelName' ? string(source, parts(l)[0]!).value : textOf(source, l),
  )

const expression = (source: Source, node: Node): Expr => {
  if (++source.depth > deepest) throw fail(source, node.from, 'expression is nested too deeply; simplify it')
  const reader: Reader = { source, items: lay(source, node), next: 0, depth: source.depth }
  const expr = climb(reader, 0)
  source.depth--
  return expr
}

const build = (source: Source, node: Node): Expr => {
  const child: Child = (n) => expression(source, n)
  switch (node.name) {
    case 'VectorSelector':
      return selector(source, node)
    case 'StringLiteral':
      return { kind: 'string', value: string(source, node).value, from: node.from }
    case 'ParenExpr':
      return { kind: 'paren', expr: child(parts(node)[0]!), from: node.from }
    case 'FunctionCall':
      return call(source, node, child)
    case 'AggregateExpr':
      return aggregate(source, node, child, labelNames)
    default:
      throw fail(source, node.from, `${node.name} is not supported`)
  }
}

/** How deep a tree may be where the grammar still reads what it should; it gives up somewhat later, at no place that says so. */
const deepestTree = 400

const depthOf = (tree: Node): number => {
  const cursor = tree.cursor()
  let depth = 0
  let most = 0
  for (;;) {
    if (cursor.firstChild()) most = Math.max(most, ++depth)
    else {
      while (!cursor.nextSibling()) {
        if (!cursor.parent()) return most
        depth--
      }
    }
  }
}

/** What stands where the grammar could read no further, in words. */
const explainAt = (text: string, at: number): AppError => {
  const name = /([a-zA-Z_:][a-zA-Z0-9_:]*)\s*$/.exec(text.slice(0, at))
  if (text[at] === '(' && name && !signatures.has(name[1]!)) {
    const why = refused.get(name[1]!)
    const message = why
      ? `function ${name[1]} ${why}`
      : `unknown function with name ${JSON.stringify(name[1])}`
    return parseError(text, name.index, message)
  }
  const rest = text.slice(at).trimStart()
  if (rest === '') return parseError(text, text.trimEnd().length, 'unexpected end of input')
  const token = /^([a-zA-Z_:][a-zA-Z0-9_:]*|[0-9.]+[a-zA-Z]*|.)/su.exec(rest)?.[0] ?? ''
  return parseError(text, text.length - rest.length, `unexpected ${JSON.stringify(token)}`)
}

const explain = (text: string, tree: Node): AppError => {
  const cursor = tree.cursor()
  let errorAt = -1
  do {
    if (cursor.type.isError && errorAt < 0) errorAt = cursor.from
    if (cursor.name !== 'StringLiteral') continue
    const read = readGoString(text.slice(cursor.from, cursor.to))
    if ('wrong' in read) return parseError(text, cursor.from, read.wrong)
  } while (cursor.next())
  if (depthOf(tree) > deepestTree)
    return parseError(text, errorAt, 'expression is nested too deeply or too long; split it up')
  return explainAt(text, errorAt)
}

const hasError = (tree: Node): boolean => {
  const cursor = tree.cursor()
  do if (cursor.type.isError) return true
  while (cursor.next())
  return false
}

/** Parses one expression, without checking its types. Throws `bad_data` with line and column. */
export const parse = (text: string): Expr => {
  if (text.length > longest)
    throw new AppError(
      'bad_data',
      `the expression has ${text.length} characters; the most that is read is ${longest}`,
    )
  if (text.trim() === '') throw parseError(text, 0, 'no expression found in input')
  const top = parser.parse(text).topNode
  if (hasError(top)) throw explain(text, top)
  const source: Source = { text, depth: 0 }
  return expression(source, parts(top)[0]!)
}
