// Finds out which calls of models are told twice: a wrapper's span (a router, a framework) around the span of the call itself.

import { type GenAiCall, genAiOf } from '../model/gen-ai.ts'
import type { Span } from '../model/span.ts'
import { holdsCalls, type ModelCall, modelCallOf } from './model-call.ts'

/** Tokens in and out. */
interface Pair {
  input: number
  output: number
}
interface Node {
  /** Trace and span above, or ''. */
  readonly parent: string
  /** Calls beneath an agent or a tool are calls of their own, not those of a call above it. */
  readonly stops: boolean
  /** Tokens of calls beneath that were billed there. */
  readonly beneath: Pair
  /** Tokens billed here that calls beneath, should they come later, are part of. */
  readonly open: Pair
  /** What of a call is billed here, once that is settled. */
  net: Pair | null
}

const deepest = 64
/** Spans remembered, in two generations. */
const most = 50_000

/**
 * A call that has calls beneath it, with no agent or tool in between, is the sum of them: only what it has beyond them is billed. Whether the
 * inner or the outer span comes first makes no difference. Known for as long as spans are remembered (the last 50,000 to 100,000, in this process).
 */
export class Nesting {
  #young = new Map<string, Node>()
  #old = new Map<string, Node>()

  /** The calls among spans with what of each is to be billed; the same span again gives the same answer. */
  settle(spans: readonly Span[]): readonly { readonly call: ModelCall; readonly net: Pair }[] {
    if (this.#young.size > most) {
      this.#old = this.#young
      this.#young = new Map()
    }
    const calls: { call: ModelCall; node: Node }[] = []
    for (const span of spans) {
      const said = genAiOf(span)
      const call = modelCallOf(span, said)
      const node = this.#node(span, said, call)
      if (call) calls.push({ call, node })
    }
    return calls.map(({ call, node }) => ({ call, net: node.net ?? this.#net(call, node) }))
  }

  #get(key: string): Node | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  #node(span: Span, said: GenAiCall | null, call: ModelCall | null): Node {
    // The id of a span is its own within its trace alone.
    const key = span.traceId + span.spanId
    const known = this.#get(key)
    // A place held for children that came first has no parent yet.
    if (known && known.parent !== unknown) return known
    const node: Node = {
      parent: parentOf(span),
      stops: holdsCalls(said),
      beneath: known?.beneath ?? { input: 0, output: 0 },
      open: { input: 0, output: 0 },
      net: null,
    }
    this.#young.set(key, node)
    const own = call ? tokensOf(call) : { input: 0, output: 0 }
    // A wrapper stands for what is beneath it: the larger goes up, not both.
    this.#carry(node, {
      input: Math.max(own.input, node.beneath.input),
      output: Math.max(own.output, node.beneath.output),
    })
    return node
  }

  /** Tells all known above what lies beneath them. */
  #carry(from: Node, tokens: Pair): void {
    if (tokens.input + tokens.output === 0) return
    let node = from
    for (
      let depth = 0;
      depth < deepest && !node.stops && node.parent !== '' && node.parent !== unknown;
      depth++
    ) {
      let above = this.#get(node.parent)
      if (!above) {
        above = {
          parent: unknown,
          stops: false,
          beneath: { input: 0, output: 0 },
          open: { input: 0, output: 0 },
          net: null,
        }
        this.#young.set(node.parent, above)
      }
      above.beneath.input += tokens.input
      above.beneath.output += tokens.output
      // Its own tokens went further up when it came.
      if (above.net && (above.net.input > 0 || above.net.output > 0)) return
      node = above
    }
  }

  #net(call: ModelCall, node: Node): Pair {
    const own = tokensOf(call)
    const net = {
      input: Math.max(0, own.input - node.beneath.input),
      output: Math.max(0, own.output - node.beneath.output),
    }
    let above: Node | undefined = node
    for (let depth = 0; depth < deepest && (net.input > 0 || net.output > 0); depth++) {
      above = above.parent === unknown || above.parent === '' ? undefined : this.#get(above.parent)
      if (!above || above.stops) break
      for (const kind of ['input', 'output'] as const) {
        const part = Math.min(net[kind], above.open[kind])
        above.open[kind] -= part
        net[kind] -= part
      }
    }
    node.open.input = net.input
    node.open.output = net.output
    node.net = net
    return net
  }
}

const unknown = '?'
/** A span that names itself as its parent has none. */
const parentOf = ({ traceId, spanId, parentSpanId }: Span): string =>
  parentSpanId === '' || parentSpanId === spanId ? '' : traceId + parentSpanId
const tokensOf = ({ tokens }: ModelCall): Pair => ({
  input: tokens.get('input') ?? 0,
  output: tokens.get('output') ?? 0,
})
