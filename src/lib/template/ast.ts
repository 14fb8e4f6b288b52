// The tree of a parsed template.

/** A place in the source: an offset into its text. */
export type Offset = number

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | bigint | boolean; readonly at: Offset }
  | { readonly kind: 'nil'; readonly at: Offset }
  | { readonly kind: 'dot'; readonly at: Offset }
  | { readonly kind: 'field'; readonly path: readonly string[]; readonly at: Offset }
  | {
      readonly kind: 'variable'
      readonly name: string
      readonly path: readonly string[]
      readonly at: Offset
    }
  | { readonly kind: 'function'; readonly name: string; readonly at: Offset }
  | {
      readonly kind: 'chain'
      readonly of: Operand
      readonly path: readonly string[]
      readonly at: Offset
    }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly at: Offset }

/** `operand operand …`: the first is called with the rest. */
export interface Command {
  readonly operands: readonly Operand[]
  readonly at: Offset
}

export interface Pipe {
  readonly declares: readonly string[]
  /** `=` on a known variable, not `:=`. */
  readonly assigns: boolean
  readonly commands: readonly Command[]
  readonly at: Offset
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipe: Pipe
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
      readonly at: Offset
    }
  | { readonly kind: 'template'; readonly name: string; readonly pipe: Pipe | null; readonly at: Offset }
  | { readonly kind: 'break' | 'continue'; readonly at: Offset }

/** One named template with the source that its offsets point into. */
export interface Definition {
  readonly name: string
  readonly source: Source
  readonly nodes: readonly Node[]
}

export interface Source {
  readonly name: string
  readonly text: string
}
