// What a call cost by itself, and what it cost with everything beneath it: the money of one trace as a tree.
import type { CostBranch, CostNode } from '../model/ports/cost-reports.ts'

/**
 * The calls of a model that failed and after which another was made under the same parent: the tries of a router or a retry loop. They were
 * paid for all the same.
 */
export const retriedIn = <T extends CostNode>(siblings: readonly T[]): readonly T[] => {
  const calls = siblings.filter((n) => n.model)
  if (calls.length < 2) return []
  const last = Math.max(...calls.map((n) => n.startAt))
  return calls.filter((n) => n.failed && n.usd !== 0 && n.startAt < last)
}

/** No tree is deeper, so that whoever reads one need not fear for their stack. */
const deepestTree = 200

interface Place<T> {
  readonly node: T
  readonly depth: number
  /** Under which span its children hang: its own, or, too deep down, that of the last above it that may have any. */
  readonly holder: string
}

/** Every span that can be reached, parents before children, and the children of each. Circles are cut. */
const placed = <T extends CostNode>(roots: readonly T[], beneath: ReadonlyMap<string, readonly T[]>) => {
  const places: Place<T>[] = roots.map((node) => ({ node, depth: 1, holder: node.spanId }))
  const seen = new Set(roots.map((n) => n.spanId))
  const children = new Map<string, T[]>()
  for (const { node, depth, holder } of places)
    for (const child of beneath.get(node.spanId) ?? []) {
      if (seen.has(child.spanId)) continue
      seen.add(child.spanId)
      const deeper = depth + 1
      places.push({ node: child, depth: deeper, holder: deeper < deepestTree ? child.spanId : holder })
      const family = children.get(holder)
      if (family) family.push(child)
      else children.set(holder, [child])
    }
  return { places, children }
}

/** The trees of a trace, one for each span whose parent is not there, the earliest first. Circles are cut, and what lies too deep is lifted. */
export const costTrees = <T extends CostNode>(nodes: readonly T[]): readonly CostBranch<T>[] => {
  const ids = new Set(nodes.map((n) => n.spanId))
  const beneath = new Map<string, T[]>()
  const roots: T[] = []
  for (const n of nodes) {
    const family = beneath.get(n.parentSpanId)
    if (n.parentSpanId === '' || !ids.has(n.parentSpanId) || n.parentSpanId === n.spanId) roots.push(n)
    else if (family) family.push(n)
    else beneath.set(n.parentSpanId, [n])
  }
  roots.sort((a, b) => a.startAt - b.startAt)
  const { places, children } = placed(roots, beneath)
  const grown = new Map<string, CostBranch<T>>()
  for (const { node } of places.reverse()) {
    const own = (children.get(node.spanId) ?? []).sort((a, b) => a.startAt - b.startAt)
    const branches = own.map((n) => grown.get(n.spanId)!)
    const sum = (of: (b: CostBranch<T>) => number): number => branches.reduce((all, b) => all + of(b), 0)
    grown.set(node.spanId, {
      node,
      direct: node.usd,
      inclusive: node.usd + sum((b) => b.inclusive),
      retried: retriedIn(own).reduce((all, n) => all + n.usd, 0) + sum((b) => b.retried),
      failed: (node.failed ? node.usd : 0) + sum((b) => b.failed),
      children: branches,
    })
  }
  return roots.map((n) => grown.get(n.spanId)!)
}

const deepest = 256

/** What each agent's invocations cost with everything beneath them; a dollar counts for every agent above it, once for each. */
export const inclusiveByAgent = (nodes: ReadonlyMap<string, CostNode>): Map<string, number> => {
  const sums = new Map<string, number>()
  for (const spent of nodes.values()) {
    if (spent.usd === 0) continue
    const agents = new Set([spent.agent])
    let at: CostNode | undefined = spent
    for (let depth = 0; at && depth < deepest; depth++) {
      if (at.invokes !== '') agents.add(at.invokes)
      at = at.parentSpanId === '' ? undefined : nodes.get(at.parentSpanId)
    }
    agents.delete('')
    for (const agent of agents) sums.set(agent, (sums.get(agent) ?? 0) + spent.usd)
  }
  return sums
}

/** What each agent spent on calls that failed and were made again. */
export const retriedByAgent = (nodes: ReadonlyMap<string, CostNode>): Map<string, number> => {
  const families = new Map<string, CostNode[]>()
  for (const n of nodes.values()) {
    if (!n.model || n.parentSpanId === '') continue
    const family = families.get(n.parentSpanId)
    if (family) family.push(n)
    else families.set(n.parentSpanId, [n])
  }
  const sums = new Map<string, number>()
  for (const family of families.values())
    for (const n of retriedIn(family)) sums.set(n.agent, (sums.get(n.agent) ?? 0) + n.usd)
  return sums
}
