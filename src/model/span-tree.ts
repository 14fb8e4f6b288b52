// Spans of one trace in the order of their tree: each before its children, siblings by their start.

interface TreeSpan {
  readonly spanId: string
  readonly parentSpanId: string
  readonly startAt: number
}

export interface Placed<S> {
  readonly span: S
  /** 0 for those without a parent, or whose parent is not here. */
  readonly depth: number
}

/** Every span once; spans that are each other's ancestors are cut loose at the earliest of them. */
export const treeOrder = <S extends TreeSpan>(spans: readonly S[]): Placed<S>[] => {
  const byStart = spans.toSorted((a, b) => a.startAt - b.startAt)
  const ids = new Set(spans.map((s) => s.spanId))
  const children = new Map<string, S[]>()
  const roots: S[] = []
  for (const span of byStart) {
    if (!ids.has(span.parentSpanId) || span.parentSpanId === span.spanId) roots.push(span)
    else {
      const siblings = children.get(span.parentSpanId)
      if (siblings) siblings.push(span)
      else children.set(span.parentSpanId, [span])
    }
  }
  const placed: Placed<S>[] = []
  const seen = new Set<S>()
  const walk = (from: S): void => {
    const stack: Placed<S>[] = [{ span: from, depth: 0 }]
    for (let next = stack.pop(); next; next = stack.pop()) {
      if (seen.has(next.span)) continue
      seen.add(next.span)
      placed.push(next)
      const { depth } = next
      const below = children.get(next.span.spanId) ?? []
      for (const span of below.toReversed()) stack.push({ span, depth: depth + 1 })
    }
  }
  for (const root of roots) walk(root)
  for (const span of byStart) walk(span)
  return placed
}
