// What a call cost by itself, and what it cost with everything beneath it: the money of one trace as a tree.
import type { CostBranch, CostNode } from '../model/ports/cost-reports.ts'

/**
 * The calls of a model that failed and after which another was made under the same parent: the tries of a router or a retry loop. They were
 * paid for all the same.
 */
export const retriedIn = <T extends CostNode>(siblings: readonly T[]): readonly T[] => {
  const calls = siblings.filter((n) => n.model)
  if (calls.length < 2) return []
  const last = calls.reduce((latest, n) => Math.max(latest, n.startAt), Number.NEGATIVE_INFINITY)
  return calls.filter((n) => n.failed && n.usd !== 0 && n.startAt < last)
}

const deepest = 256

/**
 * The trees of a trace, one for each span whose parent is not there, the earliest first. Circles are cut at their earliest span. What lies
 * more than 256 deep stands side by side beneath the last one above it, so that a reader's walk down has an end.
 */
export const costTrees = <T extends CostNode>(nodes: readonly T[]): readonly CostBranch<T>[] => {
  const ids = new Set(nodes.map((n) => n.spanId))
  const beneath = new Map<string, T[]>()
  const byStart = nodes.toSorted((a, b) => a.startAt - b.startAt)
  const roots: T[] = []
  for (const n of byStart) {
    if (n.parentSpanId === '' || !ids.has(n.parentSpanId) || n.parentSpanId === n.spanId) roots.push(n)
    else beneath.getOrInsertComputed(n.parentSpanId, () => []).push(n)
  }
  const grown = new Set<T>()
  const grow = (root: T): CostBranch<T> => {
    // Without recursion: a trace may be as deep as it has spans. Down first, then every branch is closed after those beneath it.
    grown.add(root)
    const found: Place<T>[] = [{ node: root, depth: 0, beneath: [] }]
    for (let i = 0; i < found.length; i++) {
      const place = found[i]!
      for (const node of beneath.get(place.node.spanId) ?? []) {
        if (grown.has(node)) continue
        grown.add(node)
        const below = { node, depth: place.depth + 1, beneath: [] }
        place.beneath.push(below)
        found.push(below)
      }
    }
    const branches = new Map<Place<T>, CostBranch<T>>()
    for (const place of found.toReversed()) {
      const { node, depth } = place
      const branch = branchOf(
        node,
        place.beneath.map((p) => branches.get(p)!),
      )
      branches.set(place, depth === deepest ? { ...branch, children: flat(place, branches) } : branch)
    }
    return branches.get(found[0]!)!
  }
  const trees = roots.map(grow)
  for (const n of byStart) if (!grown.has(n)) trees.push(grow(n))
  return trees
}

interface Place<T> {
  readonly node: T
  readonly depth: number
  readonly beneath: Place<T>[]
}

/** All that is beneath a place, side by side. */
const flat = <T extends CostNode>(
  top: Place<T>,
  branches: ReadonlyMap<Place<T>, CostBranch<T>>,
): CostBranch<T>[] => {
  const all = [...top.beneath]
  for (let i = 0; i < all.length; i++) for (const below of all[i]!.beneath) all.push(below)
  return all.map((place) => ({ ...branches.get(place)!, children: [] }))
}

const branchOf = <T extends CostNode>(node: T, children: readonly CostBranch<T>[]): CostBranch<T> => {
  const again = retriedIn(children.map((b) => b.node)).reduce((sum, n) => sum + n.usd, 0)
  const sum = (of: (b: CostBranch<T>) => number): number => children.reduce((all, b) => all + of(b), 0)
  return {
    node,
    direct: node.usd,
    inclusive: node.usd + sum((b) => b.inclusive),
    retried: again + sum((b) => b.retried),
    failed: (node.failed ? node.usd : 0) + sum((b) => b.failed),
    children,
  }
}

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
