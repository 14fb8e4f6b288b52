// Selectors, calls and aggregations: the operands of an expression.

import { AppError } from '../lib/errors.ts'
import { readGoString } from '../lib/go-string.ts'
import { metricName } from '../model/labels.ts'
import type { Matcher, MatchOp } from '../model/matcher.ts'
import { valueTest } from '../model/matcher.ts'
import { type Expr, paramTypes, type SelectorNode } from './ast.ts'
import { type Child, fail, type Node, parts, type Source, textOf } from './nodes.ts'
import { refused, signatures } from './signatures.ts'

export const string = (source: Source, node: Node): { value: string } => {
  const read = readGoString(textOf(source, node))
  if ('wrong' in read) throw fail(source, node.from, read.wrong)
  return read
}

const matcherOf = (source: Source, node: Node): Matcher => {
  const [name, op, value] = parts(node)
  const label =
    name!.name === 'QuotedLabelName' ? string(source, parts(name!)[0]!).value : textOf(source, name!)
  const matcher: Matcher = {
    name: label,
    op: textOf(source, op!) as MatchOp,
    value: string(source, value!).value,
  }
  try {
    valueTest(matcher)
  } catch (error) {
    throw fail(source, value!.from, error instanceof AppError ? error.message : String(error))
  }
  return matcher
}

export const selector = (source: Source, node: Node): SelectorNode => {
  let name = ''
  const matchers: Matcher[] = []
  const naming = (found: string, at: number): void => {
    if (name !== '')
      throw fail(
        source,
        at,
        `metric name must not be set twice: ${JSON.stringify(name)} or ${JSON.stringify(found)}`,
      )
    name = found
  }
  for (const part of parts(node)) {
    if (part.name === 'Identifier') naming(textOf(source, part), part.from)
    else
      for (const m of parts(part)) {
        if (m.name === 'QuotedLabelName') naming(string(source, parts(m)[0]!).value, m.from)
        else {
          const matcher = matcherOf(source, m)
          if (matcher.name === metricName && matcher.op === '=' && name !== '') naming(matcher.value, m.from)
          matchers.push(matcher)
        }
      }
  }
  if (name !== '') matchers.push({ name: metricName, op: '=', value: name })
  if (matchers.every((m) => valueTest(m)('')))
    throw fail(source, node.from, 'vector selector must contain at least one non-empty matcher')
  return { kind: 'selector', name, matchers, offset: 0, anchor: null, from: node.from }
}

export const call = (source: Source, node: Node, child: Child): Expr => {
  const [identifier, body] = parts(node)
  const name = textOf(source, identifier!)
  const why = refused.get(name)
  if (why) throw fail(source, node.from, `function ${name} ${why}`)
  if (!signatures.has(name))
    throw fail(source, node.from, `unknown function with name ${JSON.stringify(name)}`)
  return { kind: 'call', name, args: parts(body!).map(child), from: node.from }
}

export const aggregate = (
  source: Source,
  node: Node,
  child: Child,
  labelNames: (source: Source, list: Node) => string[],
): Expr => {
  const kids = parts(node)
  const op = textOf(source, kids[0]!).toLowerCase()
  const modifier = kids.find((k) => k.name === 'AggregateModifier')
  const args = parts(kids.find((k) => k.name === 'FunctionCallBody')!).map(child)
  const wanted = paramTypes[op] ? 2 : 1
  if (args.length === 0) throw fail(source, node.from, 'no arguments for aggregate expression provided')
  if (args.length !== wanted)
    throw fail(
      source,
      node.from,
      `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
    )
  const [how, list] = modifier ? parts(modifier) : []
  return {
    kind: 'aggregate',
    op,
    without: how?.name === 'Without',
    grouping: list ? labelNames(source, list) : [],
    param: wanted === 2 ? args[0]! : null,
    expr: args.at(-1)!,
    from: node.from,
  }
}
