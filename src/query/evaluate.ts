// Evaluates a checked expression over a grid of steps: scalars as one column, vectors as blocks.

import { AppError } from '../lib/errors.ts'
import { metricName } from '../model/labels.ts'
import { Accumulator, accumulatorSink, streamed } from './aggregate.ts'
import { columnsOf } from './answer.ts'
import { type AggregateNode, type BinaryNode, type CallNode, type Expr, setOperators, unwrap } from './ast.ts'
import { type Block, dropName, repeat, rowBlock } from './block.ts'
import { typeOf } from './check.ts'
import { absentLabels, callOverVector, type Evaluator, scalarOf } from './functions.ts'
import { type Grid, invariant, single, subgrid, windowsOf } from './grid.ts'
import { Groups } from './groups.ts'
import { type KernelSpec, latest, latestTime } from './kernel.ts'
import { blockSink, counterCheck, type RowSink, runColumns, runSource, type Told } from './leaf.ts'
import { setOperation, vectorWithVector } from './matching.ts'
import { withoutCells } from './native-aggregate.ts'
import { negate, scalarWithScalar, vectorWithScalar } from './operators.ts'
import type { Run } from './run.ts'
import { keyOf, type Source, sourceOf } from './scan.ts'
import { best, checkParams, countValues, limit, quantile, warnQuantile } from './select.ts'
import { keepsName, windowKernel } from './window-functions.ts'

/** A leaf that can be run into any sink: a selector, or a window function over one. */
interface Leaf {
  readonly spec: KernelSpec
  readonly source: Source
  /** The window function, '' for a bare selector. */
  readonly name: string
  readonly from: number
}

const distinctNames = (source: Source): boolean =>
  source.selector.matchers.some((m) => m.name === metricName && m.op === '=' && m.value !== '')

const windowArg = (e: CallNode): number =>
  e.args.findIndex((arg) => {
    const inner = unwrap(arg)
    return inner.kind === 'matrix' || inner.kind === 'subquery'
  })

const scalars = async (run: Run, e: CallNode, grid: Grid): Promise<Float64Array[]> => {
  const out: Float64Array[] = []
  for (const arg of e.args) if (typeOf(arg) === 'scalar') out.push(await scalar(run, arg, grid))
  return out
}

const warnParams = (run: Run, e: CallNode, params: readonly Float64Array[]): void => {
  if (e.name === 'quantile_over_time')
    for (const q of new Set(params[0])) warnQuantile(run, q, e.args[0]!.from)
}

/** The leaf an expression is, or null. */
const leafOf = async (run: Run, given: Expr, grid: Grid): Promise<Leaf | null> => {
  const e = unwrap(given)
  if (e.kind === 'selector')
    return {
      spec: latest,
      source: sourceOf(e, run.deps.lookback, grid, run.ends, true),
      name: '',
      from: e.from,
    }
  if (e.kind !== 'call') return null
  const at = windowArg(e)
  const window = at < 0 ? null : unwrap(e.args[at]!)
  if (window?.kind !== 'matrix' || e.name === 'absent_over_time') return null
  const params = await scalars(run, e, grid)
  warnParams(run, e, params)
  const source = sourceOf(window.selector, window.range, grid, run.ends, false)
  return { spec: windowKernel(e.name, params), source, name: e.name, from: window.from }
}

const runLeaf = (run: Run, leaf: Leaf, sink: RowSink): Promise<void> => {
  const counted = leaf.name === 'rate' || leaf.name === 'increase'
  const told = { run, from: leaf.from }
  return runSource(told, leaf.spec, leaf.source, counted ? counterCheck(run, leaf.from, sink) : sink)
}

const leafBlock = async (run: Run, leaf: Leaf, grid: Grid): Promise<Block> => {
  const sink = blockSink(run, grid.count)
  await runLeaf(run, leaf, sink)
  const block = sink.block(distinctNames(leaf.source))
  return leaf.name === '' || keepsName.has(leaf.name) ? block : dropName(block, true)
}

/** A subquery may take one sample more than once, or miss it: what it said of resets is then not true of the samples around it. */
const unhinted = (block: Block): Block => {
  const { cells } = block
  cells?.forEach((h, k) => {
    if (h && h.hint !== 'gauge' && h.hint !== 'unknown') cells[k] = { ...h, hint: 'unknown' }
  })
  return block
}

/** A window function over a subquery: the inner expression becomes series on its own grid. */
const overSubquery = async (run: Run, e: CallNode, grid: Grid): Promise<Block> => {
  const node = unwrap(e.args[windowArg(e)]!)
  if (node.kind !== 'subquery') throw new AppError('internal', `no window in ${e.name}`)
  const params = await scalars(run, e, grid)
  warnParams(run, e, params)
  const inner = subgrid(node, grid, run.ends, run.deps.subqueryStep)
  const sink = blockSink(run, grid.count)
  let distinct = true
  if (inner.count > 0) {
    const block = await vector(run, node.expr, inner)
    distinct = block.distinct
    const windows = windowsOf(node, node.range, grid, run.ends)
    const counted = e.name === 'rate' || e.name === 'increase'
    const columns = columnsOf(run, unhinted(block), inner, false)
    await runColumns(
      { run, from: node.from },
      windowKernel(e.name, params),
      windows,
      columns,
      counted ? counterCheck(run, node.from, sink) : sink,
    )
  }
  const block = sink.block(distinct)
  return keepsName.has(e.name) ? block : dropName(block, true)
}

/** 1 at every step where no row has a value, labelled by the selector's equal matchers. */
const absence = (block: Block, arg: Expr): Block => {
  const { steps, present } = block
  const out = rowBlock(absentLabels(arg), new Float64Array(steps).fill(1))
  for (let k = 0; k < present.length; k++) if (present[k] === 1) out.present[k % steps] = 0
  return out
}

const call = async (run: Run, e: CallNode, grid: Grid): Promise<Block> => {
  if (e.name === 'absent_over_time') {
    const present: CallNode = { ...e, name: 'present_over_time' }
    return absence(await windowCall(run, present, grid), e.args[0]!)
  }
  if (windowArg(e) >= 0) return windowCall(run, e, grid)
  if (e.name === 'absent') return absence(await vector(run, e.args[0]!, grid), e.args[0]!)
  if (e.name === 'timestamp') return timestamps(run, e, grid)
  return callOverVector(run, e, grid, evaluator)
}

const windowCall = async (run: Run, e: CallNode, grid: Grid): Promise<Block> => {
  const leaf = await leafOf(run, e, grid)
  return leaf ? leafBlock(run, leaf, grid) : overSubquery(run, e, grid)
}

/** Of a selector the samples' own times; of anything else the evaluation time. */
const timestamps = async (run: Run, e: CallNode, grid: Grid): Promise<Block> => {
  const arg = unwrap(e.args[0]!)
  if (arg.kind === 'selector') {
    const leaf = (await leafOf(run, arg, grid))!
    return dropName(await leafBlock(run, { ...leaf, spec: latestTime }, grid))
  }
  const block = await vector(run, arg, grid)
  for (let k = 0; k < block.values.length; k++)
    block.values[k] = (grid.startAt + (k % grid.count) * grid.step) / 1000
  block.cells = undefined
  return dropName(block)
}

/** A block without its histograms, which is said. */
const floatsAlone = (told: Told, op: string, block: Block): Block => {
  const { present, cells } = block
  return cells ? { ...block, cells: undefined, present: withoutCells(told, op, present, cells) } : block
}

const aggregate = async (run: Run, e: AggregateNode, grid: Grid): Promise<Block> => {
  if (streamed.has(e.op)) return fused(run, e, grid)
  const param = e.param ? unwrap(e.param) : null
  const ks = param && param.kind !== 'string' ? await scalar(run, param, grid) : new Float64Array(grid.count)
  if (e.op !== 'quantile') checkParams(ks, e.op)
  const given = await vector(run, e.expr, grid)
  const keeps = e.op.startsWith('limit') || e.op === 'count_values'
  // topk and bottomk stand where their note points at, quantile points at what it is of.
  const block = keeps
    ? given
    : floatsAlone({ run, from: e.op === 'quantile' ? e.expr.from : e.from }, e.op, given)
  const groups = new Groups(e.grouping, e.without, block.nameless)
  switch (e.op) {
    case 'topk':
    case 'bottomk':
      return best(run, block, groups, e.op, ks)
    case 'quantile':
      return quantile(run, block, groups, ks, e.param!.from)
    case 'count_values':
      return countValues(run, block, groups, param?.kind === 'string' ? param.value : '')
    default:
      return limit(run, block, groups, e.op, ks, e.param!.from)
  }
}

/** One-pass aggregations; over a leaf whose window nobody else wants, its rows go by without being kept. */
const fused = async (run: Run, e: AggregateNode, grid: Grid): Promise<Block> => {
  const inner = unwrap(e.expr)
  const told = { run, from: e.expr.from }
  const leaf = grid.count > 1 && invariant(inner) ? null : await leafOf(run, inner, grid)
  if (leaf && distinctNames(leaf.source) && (run.uses.get(keyOf(leaf.source)) ?? 1) < 2) {
    const nameless = leaf.name !== '' && !keepsName.has(leaf.name)
    const accumulator = new Accumulator(told, e.op, grid.count, new Groups(e.grouping, e.without, nameless))
    await runLeaf(run, leaf, accumulatorSink(accumulator, grid.count))
    return accumulator.block()
  }
  const block = leaf ? await leafBlock(run, leaf, grid) : await vector(run, inner, grid)
  const accumulator = new Accumulator(
    told,
    e.op,
    grid.count,
    new Groups(e.grouping, e.without, block.nameless),
  )
  const rows = Math.max(1, Math.floor(200_000 / grid.count))
  const { labels, values, present, cells, steps } = block
  for (let from = 0; from < labels.length; from += rows) {
    const to = Math.min(from + rows, labels.length)
    const part = [from * steps, to * steps] as const
    accumulator.add(labels, from, to, {
      values: values.subarray(...part),
      present: present.subarray(...part),
      cells: cells?.slice(...part),
    })
    await run.pause()
  }
  return accumulator.block()
}

const binary = async (run: Run, e: BinaryNode, grid: Grid): Promise<Block> => {
  const leftScalar = typeOf(e.left) === 'scalar'
  if (leftScalar || typeOf(e.right) === 'scalar') {
    const number = await scalar(run, leftScalar ? e.left : e.right, grid)
    const block = await vector(run, leftScalar ? e.right : e.left, grid)
    return vectorWithScalar({ run, from: e.from }, block, number, e, leftScalar)
  }
  const left = await vector(run, e.left, grid)
  const right = await vector(run, e.right, grid)
  await run.pause()
  return setOperators.has(e.op)
    ? setOperation(run, e.op, left, right, e.matching!)
    : vectorWithVector(run, e, left, right)
}

/** The value of a scalar expression at every step. */
export const scalar = async (run: Run, e: Expr, grid: Grid): Promise<Float64Array> => {
  if (grid.count > 1 && e.kind !== 'number' && invariant(e)) {
    const [value] = await scalar(run, e, single(grid))
    return new Float64Array(grid.count).fill(value!)
  }
  switch (e.kind) {
    case 'number':
      return new Float64Array(grid.count).fill(e.value)
    case 'paren':
      return scalar(run, e.expr, grid)
    case 'unary': {
      const values = await scalar(run, e.expr, grid)
      return e.op === '-' ? values.map((v) => -v) : values
    }
    case 'binary':
      return scalarWithScalar(e.op, await scalar(run, e.left, grid), await scalar(run, e.right, grid))
    case 'call':
      return scalarOf(run, e, grid, evaluator)
    default:
      throw new AppError('internal', `${e.kind} is no scalar`)
  }
}

/** The value of an instant vector expression at every step. */
export const vector = async (run: Run, e: Expr, grid: Grid): Promise<Block> => {
  if (grid.count > 1 && invariant(e)) {
    const once = await vector(run, e, single(grid))
    run.reserve(once.labels.length, grid.count)
    return repeat(once, grid.count)
  }
  switch (e.kind) {
    case 'selector':
      return leafBlock(run, (await leafOf(run, e, grid))!, grid)
    case 'paren':
      return vector(run, e.expr, grid)
    case 'unary': {
      const block = await vector(run, e.expr, grid)
      return e.op === '-' ? negate(block) : block
    }
    case 'call':
      return call(run, e, grid)
    case 'aggregate':
      return aggregate(run, e, grid)
    case 'binary':
      return binary(run, e, grid)
    default:
      throw new AppError('internal', `${e.kind} is no instant vector`)
  }
}

const evaluator: Evaluator = { scalar, vector }
